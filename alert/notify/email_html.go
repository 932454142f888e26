package notify

import "html/template"

// mailPage is what the HTML of a mail shows.
type mailPage struct {
	Colour  string
	Word    string
	Title   string
	Parts   []part
	Sent    string
	Version string
}

// mailTemplate is a page for mail programs: tables and inline styles, since many know nothing else, and nothing that would
// be fetched from elsewhere. html/template escapes what others said.
func mailTemplate() *template.Template { return template.Must(template.New("mail").Parse(mailHTML)) }

const mailHTML = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light">
<title>{{.Word}}: {{.Title}}</title></head>
<body style="margin:0;padding:16px;background:#f4f4f4;color:#1a1a1a;font-family:Helvetica,Arial,sans-serif;font-size:14px;line-height:1.45">
<table role="presentation" cellpadding="0" cellspacing="0" style="width:100%;max-width:860px;margin:0 auto;background:#ffffff;border-collapse:collapse">
<tr><td style="padding:16px 20px;border-left:8px solid {{.Colour}}">
<div style="font-size:13px;font-weight:bold;letter-spacing:1px;color:{{.Colour}}">{{.Word}}</div>
<div style="font-size:19px;font-weight:bold;line-height:1.3">{{.Title}}</div>
</td></tr>
{{range .Parts}}<tr><td style="padding:8px 20px 8px 28px">
{{with .Title}}<div style="font-weight:bold;margin:4px 0">{{.}}</div>
{{end}}{{with .Text}}<div style="white-space:pre-wrap">{{.}}</div>
{{end}}{{with .Pairs}}<table cellpadding="0" cellspacing="0" style="border-collapse:collapse">
{{range .}}<tr><td style="padding:2px 16px 2px 0;color:#666666;vertical-align:top;white-space:nowrap">{{index . 0}}</td><td style="padding:2px 0;vertical-align:top">{{index . 1}}</td></tr>
{{end}}</table>
{{end}}{{with .Rows}}<div style="overflow-x:auto"><table cellpadding="0" cellspacing="0" style="border-collapse:collapse;font-size:13px">
{{range $i, $row := .}}<tr>{{range $row}}{{if eq $i 0}}<th style="padding:3px 14px 3px 0;text-align:left;color:#666666;font-weight:normal;border-bottom:1px solid #cccccc">{{.}}</th>{{else}}<td style="padding:3px 14px 3px 0;vertical-align:top;border-bottom:1px solid #eeeeee">{{.}}</td>{{end}}{{end}}</tr>
{{end}}</table></div>
{{end}}{{with .List}}<ul style="margin:0;padding:0 0 0 18px">
{{range .}}<li>{{.}}</li>
{{end}}</ul>
{{end}}{{range .Code}}<pre style="margin:4px 0;padding:8px 10px;background:#f4f4f4;font-family:Consolas,Menlo,monospace;font-size:12px;white-space:pre-wrap;word-break:break-all">{{.}}</pre>
{{end}}{{range .Links}}<div><a href="{{.URL}}" style="color:#0072B2">{{.Text}}</a></div>
{{end}}</td></tr>
{{end}}<tr><td style="padding:12px 20px 16px 28px;color:#888888;font-size:12px">whichlayer{{with .Version}} {{.}}{{end}}, {{.Sent}}</td></tr>
</table>
</body></html>
`
