package notify

import (
	"strings"
	"unicode/utf8"

	"github.com/whichlayer/whichlayer/alert"
)

const ellipsis = "…"

// clip cuts a text to at most limit characters, between characters, and shows that it did. Invalid UTF-8 and control
// characters but line feeds are replaced: both come from what foreign servers said.
func clip(s string, limit int) string {
	if limit <= 0 {
		return ""
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + ellipsis
}

// markup escapes what Slack's markup gives a meaning to, and what would begin or end a code block.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "```", "'''")

// escape is clip for Slack's markup. The limit holds for the escaped text.
func escape(s string, limit int) string {
	s = clip(s, limit)
	for {
		escaped := markup.Replace(s)
		over := utf8.RuneCountInString(escaped) - limit
		if over <= 0 {
			return escaped
		}
		// No character becomes longer than 5: dropping a fifth of what is too much never drops too much.
		s = clip(s, utf8.RuneCountInString(s)-(over+4)/5)
	}
}

// code puts a text into a code block of at most limit characters.
func code(s string, limit int) string {
	const fence = "```"
	return fence + escape(s, limit-2*len(fence)) + fence
}

// bullets lists texts, one a line, in at most limit characters.
func bullets(texts []string, limit int) string {
	var b strings.Builder
	for _, t := range texts {
		line := "• " + escape(strings.ReplaceAll(t, "\n", " "), 300) + "\n"
		if utf8.RuneCountInString(b.String())+utf8.RuneCountInString(line)+len(ellipsis) > limit {
			b.WriteString(ellipsis)
			break
		}
		b.WriteString(line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// table aligns rows in columns with two spaces between.
func table(rows [][]string) string {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// laneRows is what each lane saw, a row each: lane, address, stage, how it went, how long it took.
func laneRows(n alert.Notification, limit int) [][]string {
	rows := [][]string{{"lane", "address", "stage", "outcome", "time"}}
	for _, l := range n.Event.Lanes {
		if untold(&l) {
			continue
		}
		if len(rows) > limit {
			return append(rows, []string{ellipsis + " and more"})
		}
		rows = append(rows, laneRow(l))
	}
	return rows
}
