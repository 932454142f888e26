package notify

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/config"
)

func TestTemplates(t *testing.T) {
	m := newMessage(sample(config.Opened), "ops", Setting{Zone: berlin(), ExternalURL: "https://w.example.com/"})
	for _, c := range []struct{ template, want string }{
		{"{{.Word}}: {{.Headline}}", "DOWN: orders is down: proxy, frozen (likely)"},
		{"{{upper .Layer}} {{lower .Word}}", "PROXY down"},
		{`{{.Evidence | join "; " | truncate 20}}`, "front/tls: the peer…"},
		{`{{range .Suspects}}[{{.Layer}} {{.Cause}}]{{end}}`, "[proxy frozen][network return_path_dropped]"},
		{`{{with index .Lanes 0}}{{.Lane}} {{.Stage}} {{.Outcome}} {{.Time}}{{end}}`, "front tls tls.timed_out L6TOUT 3s"},
		{`{{json .Cleared}}`, `[{"Layer":"backend","Reason":"answers when asked directly"}]`},
		{`{{json "<&>\n"}}`, `"<&>\n"`},
		{`{{index .Commands 0}}`, "whichlayer incidents show 20261122T140304Z-orders-3f9a"},
		{`{{range .Links}}{{.URL}}{{end}}`, "https://w.example.com/"},
		{"{{.StartsAfter}} {{.StartsBefore}} {{.EndsAfter}}.", "2026-11-22T14:03:04.12Z 2026-11-22T14:03:05.32Z ."},
		{"{{.Began}}", "2026-11-22 14:03:04.120 to 14:03:05.320 UTC (15:03:04.120 to 15:03:05.320 CET)"},
	} {
		parsed, err := parseTemplate("title", config.NewTemplate(c.template))
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		if got, err := render(parsed, m); got != c.want || err != nil {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", c.template, got, err, c.want)
		}
	}
}

func TestCheckTemplates(t *testing.T) {
	for _, c := range []struct {
		name, key, template string
		want                []string // parts of the message; none: it is good
	}{
		{"good", "title", "{{.Word}} {{.Target}}", nil},
		{"all of a message", "text", `{{range .Members}}{{.Target}} {{.Word}} {{.Began}}{{end}}{{range .Lanes}}{{.Address}}{{end}}{{json .}}`, nil},
		{"unknown field", "title", "{{.Hedline}}", []string{"there is no .Hedline (at 1:2 of the template)", ".Headline"}},
		{"unknown field on the second line", "text", "a\n  {{.Hedline}}", []string{"at 2:4"}},
		{"unknown field where no sample leads", "title", `{{if eq .Layer "dns"}}{{.Nonsense}}{{end}}`, []string{".Nonsense"}},
		{"unknown field in a definition", "title", `{{define "x"}}{{$.Nonsense}}{{end}}x`, []string{".Nonsense"}},
		{"unknown field of a value in parentheses", "title", `{{if .Drill}}{{(index .Lanes 0).Nonsense}}{{end}}`, []string{".Nonsense"}},
		{"a field of another value", "title", "{{range .Lanes}}{{.Headline}}{{end}}", []string{"fails for", "Headline"}},
		{"a list that may be empty", "title", "{{index .Lanes 0}}", []string{"fails for an incident of which little is known", "out of range"}},
		{"a list that is empty without members", "title", "{{index .Members 0}}", []string{"fails for the transition suspect"}},
		{"endless", "text", `{{define "x"}}x{{template "x" .}}{{end}}{{template "x" .}}`, []string{"fails for"}},
		{"too much", "text", `{{range .Lanes}}{{printf "%100000s" .Lane}}{{end}}`, []string{"more than 64 KiB"}},
		{"unknown function", "title", "{{shout .Word}}", []string{"is not a template", "shout"}},
		{"good body", "body", `{"text": {{json .Title}}, "lanes": {{json .Lanes}}}`, nil},
		{"body that is no JSON", "body", "{{.Title}}", []string{"is not JSON for the transition suspect"}},
		{"body that quotes by itself", "body", `{"text": "{{.Target}}"}`, []string{"is not JSON for an incident with quotes", "{{json"}},
		{"body that is JSON only sometimes", "body", `{"text": {{json .Title}}{{if .Members}},{{end}}}`, []string{"of several targets"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := config.Receiver{Name: "x", Webhook: &config.Webhook{}}
			key := "receivers[3]." + c.key
			switch text := config.NewTemplate(c.template); c.key {
			case "title":
				r.Title = text
			case "text":
				r.Text = text
			default:
				r.Webhook.Body, key = text, "receivers[3].webhook.body"
			}
			got := CheckTemplates(r, "receivers[3]")
			if len(c.want) == 0 {
				if diff := cmp.Diff([]Mistake(nil), got); diff != "" {
					t.Error(diff)
				}
				return
			}
			if len(got) != 1 || got[0].Key != key {
				t.Fatalf("got %+v", got)
			}
			for _, want := range c.want {
				if !strings.Contains(got[0].Msg, want) {
					t.Errorf("%q is not in %q", want, got[0].Msg)
				}
			}
		})
	}
}

// TestTemplatesNeverCostAMessage renders what the check would have refused.
func TestTemplatesNeverCostAMessage(t *testing.T) {
	r := config.Receiver{Name: "x", Title: config.NewTemplate("{{index .Members 7}}"), Text: config.NewTemplate(`{{printf "%70000s" "x"}}`)}
	w, err := newWording(r, discard())
	if err != nil {
		t.Fatal(err)
	}
	m := newMessage(sample(config.Opened), "x", Setting{Zone: berlin()})
	if got := w.title(m, "its own"); got != "its own" {
		t.Errorf("title %q", got)
	}
	if got, ok := w.words(m); !ok || len(got) > maxRendered+len(ellipsis) || len(got) < maxRendered-1000 {
		t.Errorf("%d bytes, %v", len(got), ok)
	}
	r.Title = config.NewTemplate("a\r\nBcc: {{.Target}}\x00")
	if w, err = newWording(r, discard()); err != nil {
		t.Fatal(err)
	}
	if got := w.title(m, ""); strings.ContainsAny(got, "\r\n\x00") || got != "a Bcc: orders" {
		t.Errorf("title %q", got)
	}
}

func TestShellWords(t *testing.T) {
	for in, want := range map[string]string{"orders": "orders", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$(reboot)": "'$(reboot)'", "-x": "'-x'"} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// FuzzTemplates lets a configuration hold any template.
func FuzzTemplates(f *testing.F) {
	f.Add("{{.Word}}")
	f.Add("{{range .Lanes}}{{end}}{{with $x := .Cleared}}{{len $x}}{{else}}{{end}}")
	f.Add(`{{define "T1"}}{{end}}{{template "T1" .}}{{(index .Lanes 0).Lane}}{{break}}`)
	f.Add(`{{json . | truncate 3 | join}}{{slice .Word 1 9}}{{call .Word}}{{nil}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "range") && strings.ContainsAny(text, "0123456789") || strings.Contains(text, "print") {
			t.Skip("who writes a loop over a large number gets it")
		}
		for _, m := range CheckTemplates(config.Receiver{Title: config.NewTemplate(text)}, "receivers[0]") {
			if m.Msg == "" || m.Key == "" {
				t.Errorf("mistake %+v", m)
			}
		}
	})
}
