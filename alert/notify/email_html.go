package notify

import (
	_ "embed"
	"html/template"
)

//go:embed email.html
var mailHTML string

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
