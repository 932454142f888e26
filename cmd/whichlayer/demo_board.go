package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// board is the demo on a terminal, redrawn in place.
type board struct {
	terminal
	file *os.File

	last   string // what stands there now
	shown  int    // in so many lines
	width0 int    // of the terminal when it was drawn, 0 before
	height int
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Draw implements demoScreen.
func (b *board) Draw(s *story, now time.Time) error {
	b.height = 24
	width := b.width
	if w, h, err := term.GetSize(int(b.file.Fd())); err == nil {
		width, b.height = w, h
	}
	b.width = max(minWidth, min(width, maxWidth))
	lines := b.lines(s, now)
	text := strings.Join(lines[:min(len(lines), b.height-1)], "\x1b[K\n") + "\x1b[K"
	if text == b.last && width == b.width0 {
		return nil
	}
	_, err := b.file.WriteString(b.home(width) + text)
	b.last, b.width0, b.shown = text, width, strings.Count(text, "\n")
	return err
}

// home brings the cursor to the board's first cell. After the width has changed, or where lines are wrapped, nobody knows
// where that is, and the board begins on a clean screen.
func (b *board) home(width int) string {
	switch {
	case b.width0 == 0:
		return "\x1b[?25l" // no cursor meanwhile
	case b.width0 != width || width < minWidth:
		return "\x1b[2J\x1b[H"
	case b.shown == 0:
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", b.shown)
}

// Close leaves the last picture and gives the cursor back.
func (b *board) Close() error {
	if b.width0 == 0 {
		return nil
	}
	_, err := b.file.WriteString("\x1b[?25h\n\n")
	return err
}

// lines is the whole board.
func (b *board) lines(s *story, now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := append(b.head(s, now), "")
	lines = append(lines, b.lanes(s)...)
	lines = append(lines, "")
	lines = append(lines, b.says(s)...)
	lines = append(lines, "")
	return append(lines, b.sent(s)...)
}

// head is the title, the programme and what is done to the chain now.
func (b *board) head(s *story, now time.Time) []string {
	clock := fmt.Sprintf("%d of %d s", int(now.Sub(s.began).Seconds()), int(s.length.Seconds()))
	title := "whichlayer demo"
	rest := b.symbol(" · ", " - ") + "a TLS proxy and a backend, broken on cue"
	gap := max(1, b.width-2-cells(title)-cells(rest)-cells(clock))
	var programme []string
	for i, a := range s.acts {
		switch {
		case i < s.act:
			programme = append(programme, b.paint(faint, a.name))
		case i == s.act:
			programme = append(programme, b.paint(strong, "["+a.name+"]"))
		default:
			programme = append(programme, a.name)
		}
	}
	a := s.acts[s.act]
	p := good
	if a.breaks != "" {
		p = bad
	}
	current := fmt.Sprintf(" %s for %d s: %s", b.symbol("▶", ">"), int(now.Sub(s.since).Seconds()), a.title)
	return []string{
		" " + b.paint(strong, title) + b.paint(faint, rest) + strings.Repeat(" ", gap) + b.paint(faint, clock),
		" " + strings.Join(programme, b.paint(faint, b.symbol(" ─ ", " - "))),
		"",
		b.paint(p, b.clip(current, b.width-1)),
	}
}

// Widths of the board's columns.
const (
	boardName = 16
	boardTime = 9
)

// lanes is the table of lanes and rounds.
func (b *board) lanes(s *story) []string {
	rounds := max(5, b.width-3-boardName-boardTime*len(probe.StageNames))
	head := " " + b.pad("lane", boardName) + " " + b.pad(fmt.Sprintf("last %d rounds", rounds), rounds)
	for _, name := range probe.StageNames {
		head += fmt.Sprintf("%*s", boardTime, name)
	}
	lines := []string{b.paint(faint, head)}
	for _, name := range s.rows {
		row := " " + b.paint(strong, b.pad(name, boardName)) + " " + b.cells(s, name, rounds)
		lines = append(lines, row+b.times(s, name))
	}
	legend := fmt.Sprintf(" failed at: D resolve C connect T tls R request B response  %s slow  %s no data",
		b.symbol("◔", "~"), b.symbol("·", "."))
	return append(lines, b.paint(faint, b.clip(legend, b.width-1)))
}

// letters name the stage that failed, one cell wide.
var letters = map[probe.StageName]string{
	probe.StageResolve: "D", probe.StageConnect: "C", probe.StageTLS: "T", probe.StageRequest: "R", probe.StageResponse: "B",
}

// cells is a lane's last rounds, the newest at the right.
func (b *board) cells(s *story, name string, rounds int) string {
	from := max(0, len(s.columns)-rounds)
	out := strings.Repeat(" ", rounds-(len(s.columns)-from))
	for _, c := range s.columns[from:] {
		out += b.glimpse(c.lanes[name])
	}
	return out
}

func (b *board) glimpse(g glimpse) string {
	p, mark := b.outcomeMark(g.outcome)
	switch g.outcome {
	case probe.Failed:
		if b.colour == colourNone {
			return letters[g.stage]
		}
		return "\x1b[7m" + b.paint(bad, letters[g.stage])
	case probe.OK, probe.Slow:
		return b.paint(p, mark)
	}
	return b.paint(faint, b.symbol("·", "."))
}

// times are the durations of a lane's stages in the last round.
func (b *board) times(s *story, name string) string {
	var out string
	for i := range s.result.Lanes {
		l := &s.result.Lanes[i]
		if l.Extra || laneName(l) != name {
			continue
		}
		for _, stage := range probe.StageNames {
			p, text := plain, ""
			if st := stageOf(l, stage); st != nil {
				text = span(st.Duration.Std())
				if !st.Good() {
					p = bad
				}
			}
			out += strings.Repeat(" ", max(0, boardTime-cells(text))) + b.paint(p, text)
		}
		return out
	}
	return out
}

// saysLines is the room for the verdict, so that what stands below does not jump.
func (b *board) saysLines() int { return min(max(6, b.height-26), 10) }

// says is the verdict of the last round with its reasons.
func (b *board) says(s *story) []string {
	lines := []string{b.paint(faint, " whichlayer says")}
	if s.result != nil {
		p, mark := stateMark(b.terminal, s.verdict.State)
		sentence := b.clean(alert.Sentence(s.verdict, s.result.Target))
		lines = append(lines, b.item(p, mark, headline(p), sentence)...)
		if s.verdict.State != probe.Up {
			for _, e := range s.verdict.Evidence {
				lines = append(lines, b.item(plain, b.symbol("•", "*"), plain, b.clean(e))...)
			}
			lines = append(lines, b.cleared(s.verdict)...)
		}
	}
	for len(lines) < b.saysLines() {
		lines = append(lines, "")
	}
	return lines[:b.saysLines()]
}

// cleared names the innocent in one line.
func (b *board) cleared(v probe.Verdict) []string {
	if len(v.Cleared) == 0 {
		return nil
	}
	names := make([]string, len(v.Cleared))
	for i, c := range v.Cleared {
		names[i] = string(c.Layer)
	}
	return b.item(good, b.symbol("✓", "+"), plain, "not to blame: "+strings.Join(names, ", "))
}

// item is a marked text of at most two lines.
func (b *board) item(p paint, mark string, textPaint paint, text string) []string {
	rows := strings.Split(wrap(text, 3, b.width-1), "\n")
	if len(rows) > 2 {
		rows = rows[:2]
		rows[1] = b.clip(strings.TrimRight(rows[1], " .,")+b.symbol("…", "~"), b.width-1)
	}
	out := []string{" " + b.paint(p, mark) + " " + b.paint(textPaint, rows[0])}
	for _, row := range rows[1:] {
		out = append(out, "   "+b.paint(textPaint, strings.TrimSpace(row)))
	}
	return out
}

// sent is what would have been sent: the newest in full, those before it in a line each.
func (b *board) sent(s *story) []string {
	lines := []string{b.paint(faint, " alerts that would have been sent (times are UTC), the newest first")}
	if len(s.notices) == 0 {
		lines = append(lines, b.paint(faint, "   none"))
	}
	for i := len(s.notices) - 1; i >= 0; i-- {
		n := s.notices[i]
		lines = append(lines, b.headline(n))
		if i == len(s.notices)-1 {
			lines = append(lines, b.details(n)...)
		}
	}
	for len(lines) < sentLines {
		lines = append(lines, "")
	}
	return lines[:sentLines]
}

// sentLines is one for the title, one for each of six messages, four for details.
const sentLines = 11

// headline is a message's first line.
func (b *board) headline(n notice) string {
	text := fmt.Sprintf(" %s %s  %-9s", b.symbol("▌", "|"), n.at.UTC().Format("15:04:05"), n.Word())
	return b.paint(eventPaint(n.Event.Event), text) + " " + b.clip(b.clean(n.Headline()), b.width-2-cells(text))
}

// details are what a receiver shows below the headline.
func (b *board) details(n notice) (lines []string) {
	i := n.Event.Incident
	rows := [][2]string{{"began", shortRange(i.StartsAfter, &i.StartsBefore)}}
	if n.Ended(time.UTC) != "" {
		rows = append(rows, [2]string{"ended", shortRange(i.EndsAfter, i.EndsBefore)})
	}
	rows = append(rows, [2]string{"logs", n.LogTimes(time.UTC)}, [2]string{"capture", n.CaptureFilter()})
	bar := b.paint(eventPaint(n.Event.Event), " "+b.symbol("▌", "|"))
	for _, row := range rows {
		if row[1] != "" {
			text := fmt.Sprintf(" %-8s %s", row[0], b.clean(row[1]))
			lines = append(lines, bar+b.paint(faint, b.clip(text, b.width-3)))
		}
	}
	return lines
}

// shortRange is two bounds as clock times and the width between them.
func shortRange(after, before *time.Time) string {
	if before == nil {
		return "not known yet"
	}
	const layout = "15:04:05.000"
	to := before.In(time.UTC).Format(layout)
	if after == nil {
		return "before " + to
	}
	return fmt.Sprintf("between %s and %s (%s)", after.In(time.UTC).Format(layout), to, span(before.Sub(*after)))
}

// clip cuts a text without colours to a width.
func (t terminal) clip(s string, width int) string {
	r, dots := []rune(s), t.symbol("…", "~")
	if len(r) <= width {
		return s
	}
	return string(r[:max(0, width-cells(dots))]) + dots
}
