package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// write tells a topic to a person or to a program.
func (w *topic) write(out io.Writer, t terminal, asJSON bool) error {
	if asJSON {
		return w.writeJSON(out)
	}
	var b strings.Builder
	switch {
	case len(w.types) > 0:
		w.writeTypes(&b, t)
	case w.list:
		w.writeList(&b, t)
	default:
		for i, s := range w.suspects {
			if i > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "%s\n", t.paint(strong, fmt.Sprintf("%s/%s", s.Layer, s.Cause)))
			words := alert.Explain(s)
			writeLabelled(&b, t, 2, "what happened", sentence(words.Happened))
			writeWords(&b, t, 2, words)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writeList lists suspects by layer, a line or two each.
func (w *topic) writeList(b io.Writer, t terminal) {
	width := 0
	for _, s := range w.suspects {
		width = max(width, cells(string(s.Cause)))
	}
	last := probe.Layer("")
	for i, s := range w.suspects {
		if s.Layer != last {
			if i > 0 {
				fmt.Fprintln(b)
			}
			head := string(s.Layer)
			fmt.Fprintf(b, "%s: %s\n", t.paint(strong, head), wrapText(alert.LayerIs(s.Layer), cells(head)+2, t.width))
			last = s.Layer
		}
		fmt.Fprintf(b, "  %-*s  %s\n", width, s.Cause, wrapText(alert.Explain(s).Happened, width+4, t.width))
	}
	hint := "more: whichlayer explain CAUSE; it knows types of failure, too, such as tls.timed_out, and HAProxy's codes, such as L6TOUT"
	fmt.Fprintf(b, "\n%s\n", t.paint(faint, wrap(hint, 0, t.width)))
}

func (w *topic) writeTypes(b io.Writer, t terminal) {
	if w.code != "" {
		fmt.Fprintf(b, "%s\n  %s\n\n", t.paint(strong, string(w.code)), wrapText(alert.CodeMeans(w.code), 2, t.width))
	}
	for _, u := range w.types {
		name := string(u)
		if c := u.Code(); c != "" && w.code == "" {
			name += " (" + string(c) + ")"
		}
		fmt.Fprintf(b, "%s\n  %s\n", t.paint(strong, name), wrapText(alert.TypeMeans(u), 2, t.width))
	}
}

// writeJSON prints one object per suspect or type and line.
func (w *topic) writeJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, s := range w.suspects {
		if err := enc.Encode(struct {
			probe.Suspect
			alert.Words
		}{s, alert.Explain(s)}); err != nil {
			return err
		}
	}
	for _, u := range w.types {
		if err := enc.Encode(struct {
			Type  probe.Type `json:"type"`
			Code  probe.Code `json:"code"`
			Means string     `json:"means"`
		}{u, u.Code(), alert.TypeMeans(u)}); err != nil {
			return err
		}
	}
	return nil
}

// labelWidth is that of the longest label below a cause.
const labelWidth = 13

// writeWords tells what follows from what happened.
func writeWords(b io.Writer, t terminal, indent int, w alert.Words) {
	writeLabelled(b, t, indent, "what it means", w.Means)
	writeLabelled(b, t, indent, "look first", w.Next)
	writeLabelled(b, t, indent, "whom to ask", w.Ask)
}

func writeLabelled(b io.Writer, t terminal, indent int, label, text string) {
	fmt.Fprintf(b, "%*s%s  %s\n", indent, "", t.paint(faint, fmt.Sprintf("%-*s", labelWidth, label)),
		wrapText(t.clean(text), indent+labelWidth+2, t.width))
}

// wrapText is wrap that keeps a command between backticks on one line where it fits there.
func wrapText(text string, start, width int) string {
	const held = "\x00"
	pieces := strings.Split(text, "`")
	for i := 1; i < len(pieces); i += 2 {
		if cells(pieces[i])+len("``,") <= width-start {
			pieces[i] = strings.ReplaceAll(pieces[i], " ", held)
		}
	}
	return strings.ReplaceAll(wrap(strings.Join(pieces, "`"), start, width), held, " ")
}

// sentence makes a sentence of a clause.
func sentence(clause string) string {
	r, size := utf8.DecodeRuneInString(clause)
	return string(unicode.ToUpper(r)) + clause[size:] + "."
}
