package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/template"

	"github.com/whichlayer/whichlayer/config"
)

// maxRendered is how much a template may make, in bytes.
const maxRendered = 64 << 10

var errTooLong = fmt.Errorf("it makes more than %d KiB", maxRendered>>10)

// wording is what a receiver's templates put in place of a message's own words. Nil templates change nothing.
type wording struct {
	heading, text, body *template.Template
	log                 *slog.Logger
}

// newWording parses the templates of a receiver.
func newWording(r config.Receiver, log *slog.Logger) (wording, error) {
	w := wording{log: log}
	for _, t := range templatesOf(r) {
		parsed, err := parseTemplate(t.key, t.source)
		if err != nil {
			return w, fmt.Errorf("%s: %w", t.key, err)
		}
		switch t.key {
		case "title":
			w.heading = parsed
		case "text":
			w.text = parsed
		default:
			w.body = parsed
		}
	}
	return w, nil
}

// source is a template and the key under which a receiver has it.
type source struct {
	key    string
	source config.Template
}

// templatesOf are those that a receiver has.
func templatesOf(r config.Receiver) (out []source) {
	all := []source{{"title", r.Title}, {"text", r.Text}}
	if r.Webhook != nil {
		all = append(all, source{"webhook.body", r.Webhook.Body})
	}
	for _, s := range all {
		if !s.source.IsZero() {
			out = append(out, s)
		}
	}
	return out
}

// title is the receiver's own first line, else the given one. A template that fails at last costs no message.
func (w wording) title(m Message, otherwise string) string {
	text, ok := w.render(w.heading, m)
	if text = strings.Join(strings.Fields(clip(text, maxRendered)), " "); !ok || text == "" {
		return otherwise
	}
	return text
}

// words are the receiver's own words below the first line; not ok when it has none.
func (w wording) words(m Message) (text string, ok bool) { return w.render(w.text, m) }

func (w wording) render(t *template.Template, m Message) (string, bool) {
	if t == nil {
		return "", false
	}
	text, err := render(t, m)
	if err != nil && !errors.Is(err, errTooLong) {
		w.log.Warn("template failed, the message is sent with its own words", "template", t.Name(), "incident", m.Incident, "error", err)
		return "", false
	}
	return text, true
}

func parseTemplate(name string, t config.Template) (*template.Template, error) {
	return template.New(name).Option("missingkey=error").Funcs(templateFuncs()).Parse(t.String())
}

// templateFuncs take what a pipe hands over last.
func templateFuncs() template.FuncMap {
	return template.FuncMap{
		"upper":    strings.ToUpper,
		"lower":    strings.ToLower,
		"join":     func(separator string, list []string) string { return strings.Join(list, separator) },
		"truncate": func(length int, text string) string { return clip(text, length) },
		"json":     jsonText,
	}
}

func jsonText(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// render executes a template. With errTooLong comes what was made so far.
func render(t *template.Template, m Message) (text string, err error) {
	defer func() {
		if r := recover(); r != nil { // text/template hands on panics of the runtime
			text, err = "", fmt.Errorf("it panics: %v", r)
		}
	}()
	var b capped
	if err := t.Execute(&b, m); err != nil {
		return clip(b.String(), maxRendered), err
	}
	return b.String(), nil
}

// capped is a buffer that refuses to grow beyond maxRendered.
type capped struct{ bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	room := maxRendered - c.Len()
	if len(p) > room {
		n, _ := c.Buffer.Write(p[:room])
		return n, errTooLong
	}
	return c.Buffer.Write(p)
}
