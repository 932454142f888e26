package notify

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// part is a paragraph of a message for people: exactly one of its contents is there.
type part struct {
	// Title is empty for the first words.
	Title string
	// Text may have several lines.
	Text string
	// Pairs are names with their values.
	Pairs [][2]string
	// Rows are a table, its first row the heads.
	Rows [][]string
	// List are sentences.
	List []string
	// Code are lines to paste.
	Code []string
	// Links lead elsewhere.
	Links []Link
}

// Bounds on what people are shown.
const (
	maxShown      = 20
	maxShownLanes = 40
	maxSentence   = 400
	maxCode       = 2000
)

// parts are what every message for people has, in this order: what broke and how sure, since when, what to do, what each
// lane sees, why, who is cleared, what to type.
func parts(m Message) []part {
	all := []part{
		{Text: m.Sentence},
		{Pairs: facts(m)},
		{Title: "Targets that fail together", Rows: memberTable(m)},
	}
	if m.advises() {
		all = append(all, part{Title: "What it means", Text: m.supposing(m.Means)}, part{Title: "Look first", Text: m.Next},
			part{Title: "Whom to ask", Text: m.Ask})
	}
	if m.Confidence == "ambiguous" {
		all = append(all, part{Title: "What would decide", List: shown(m.WouldDecide)})
	}
	all = append(all,
		part{Title: "What each lane sees", Rows: laneTable(m)},
		part{Title: "Evidence", List: shown(m.Evidence)},
		part{Title: "Cleared", List: shown(innocents(m))},
		part{Title: "Commands", Code: shownCode(m.Commands)},
		part{Title: "Wireshark", Code: shownCode([]string{m.DisplayFilter})},
		part{Title: "Links", Links: m.Links},
	)
	out := all[:0]
	for _, p := range all {
		if !p.empty() {
			out = append(out, p)
		}
	}
	return out
}

func (p part) empty() bool {
	return p.Text == "" && len(p.Pairs)+len(p.List)+len(p.Code)+len(p.Links) == 0 && len(p.Rows) < 2
}

// advises tells that somebody has to do something now.
func (m Message) advises() bool {
	return !m.Drill && (m.Transition == "opened" || m.Transition == "updated")
}

func (m Message) supposing(text string) string {
	if m.Supposing == "" {
		return text
	}
	return strings.ToUpper(m.Supposing[:1]) + m.Supposing[1:] + ": " + text
}

// facts are the short answers.
func facts(m Message) [][2]string {
	lasted := "Lasted"
	if m.Ended == "" {
		lasted = "Lasts"
	}
	relapses := ""
	if m.Relapses > 0 {
		relapses = fmt.Sprint(m.Relapses)
	}
	var out [][2]string
	for _, p := range [][2]string{
		{"Verdict changed", m.Changed}, {"Layer", m.Layer}, {"Cause", spaced(m.Cause)}, {"Confidence", m.Confidence}, {"Suspects", suspectList(m)},
		{"Began", m.Began}, {"Ended", m.Ended}, {lasted, m.Lasted}, {"Relapses", relapses},
		{"Logs", m.LogTimes}, {"X-Request-Id", strings.Join(m.RequestIDs[:min(len(m.RequestIDs), 5)], ", ")}, {"Incident", m.Incident},
	} {
		if p[1] != "" {
			out = append(out, [2]string{p[0], clip(p[1], maxSentence)})
		}
	}
	return out
}

func suspectList(m Message) string {
	if len(m.Suspects) < 2 {
		return ""
	}
	names := make([]string, len(m.Suspects))
	for i, s := range m.Suspects {
		names[i] = s.Layer + " (" + spaced(s.Cause) + ")"
	}
	return strings.Join(names, ", ")
}

func memberTable(m Message) [][]string {
	rows := [][]string{{"target", "state", "layer", "cause", "began"}}
	for i, x := range m.Members {
		if i == maxShown {
			return append(rows, []string{fmt.Sprintf("… and %d more", len(m.Members)-i)})
		}
		rows = append(rows, []string{clip(x.Target, 60), x.Word, x.Layer, clip(spaced(x.Cause), 60), x.Began})
	}
	return rows
}

func laneTable(m Message) [][]string {
	rows := [][]string{{"lane", "address", "stage", "outcome", "time"}}
	for i, l := range m.Lanes {
		if i == maxShownLanes {
			return append(rows, []string{fmt.Sprintf("… and %d more", len(m.Lanes)-i)})
		}
		rows = append(rows, []string{l.Lane, l.Address, l.Stage, l.Outcome, l.Time})
	}
	return rows
}

func innocents(m Message) (out []string) {
	for _, c := range m.Cleared {
		out = append(out, c.Layer+": "+c.Reason)
	}
	return out
}

// shown are the first of a list's sentences.
func shown(list []string) (out []string) {
	for i, s := range list {
		if i == maxShown {
			return append(out, fmt.Sprintf("… and %d more", len(list)-i))
		}
		out = append(out, clip(strings.ReplaceAll(s, "\n", " "), maxSentence))
	}
	return out
}

func shownCode(list []string) (out []string) {
	for _, s := range list {
		if s != "" {
			out = append(out, clip(s, maxCode))
		}
	}
	return out
}

func spaced(cause string) string { return strings.ReplaceAll(cause, "_", " ") }

// plainText is a message for people as plain text, without its title.
func plainText(m Message) string {
	var paragraphs []string
	for _, p := range parts(m) {
		text := p.plain()
		if p.Title != "" {
			text = p.Title + "\n" + indent(text)
		}
		paragraphs = append(paragraphs, text)
	}
	return strings.Join(paragraphs, "\n\n") + "\n"
}

func (p part) plain() string {
	var lines []string
	switch {
	case p.Text != "":
		return clip(p.Text, maxCode)
	case p.Rows != nil:
		return strings.TrimSuffix(table(p.Rows), "\n")
	}
	width := 0
	for _, x := range p.Pairs {
		width = max(width, utf8.RuneCountInString(x[0]))
	}
	for _, x := range p.Pairs {
		lines = append(lines, x[0]+strings.Repeat(" ", width-utf8.RuneCountInString(x[0])+2)+x[1])
	}
	for _, x := range p.List {
		lines = append(lines, "- "+x)
	}
	lines = append(lines, p.Code...)
	for _, x := range p.Links {
		lines = append(lines, x.Text+": "+x.URL)
	}
	return strings.Join(lines, "\n")
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }
