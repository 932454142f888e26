package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// laneText is what stands below a lane's row: the stages' durations, then the failure with the kernel's view of it.
// A witness (control, vantage) that is well needs no words.
func (w *waterfall) laneText(l *probe.Lane) []string {
	witness := l.Lane == probe.LaneControl || l.Lane == probe.LaneVantage || l.Lane == probe.LaneHeldOpen && l.Of != ""
	if (witness && laneOutcome(l) != probe.Failed || l.Look != "") && !w.verbose {
		return nil
	}
	lines := w.stageLine(l)
	for i := range l.Stages {
		if l.Role == probe.RoleGateway && laneOutcome(l) != probe.Failed {
			break
		}
		lines = append(lines, w.failureText(&l.Stages[i])...)
	}
	if l.HeldOpen != nil {
		lines = append(lines, w.paint(faint, heldOpenText(l.HeldOpen)))
	}
	if w.verbose {
		lines = append(lines, w.verboseText(l)...)
	}
	return lines
}

// stageLine writes the durations of the stages that ran, below those of the other lanes if the width allows.
func (w *waterfall) stageLine(l *probe.Lane) []string {
	aligned := w.alignedWidth() <= w.width-textMargin
	var parts []string
	for _, name := range probe.StageNames {
		width, used := w.column[name]
		s := stageOf(l, name)
		switch {
		case s != nil && aligned:
			parts = append(parts, w.pad(stageText(s), width))
		case s != nil:
			parts = append(parts, stageText(s))
		case used && aligned:
			parts = append(parts, strings.Repeat(" ", width))
		}
	}
	if l.HTTP != nil {
		parts = append(parts, fmt.Sprintf("HTTP %d", l.HTTP.Status))
	}
	text := strings.TrimRight(wrapParts(parts, "  ", textMargin, w.width), " ")
	if text == "" {
		return nil
	}
	return []string{text}
}

// alignedWidth is the width of a line of durations in columns.
func (w *waterfall) alignedWidth() (n int) {
	for _, width := range w.column {
		n += width + 2
	}
	return n + len("HTTP 200")
}

// stageOf is a lane's stage, nil when it was skipped: that a stage before it failed is said already.
func stageOf(l *probe.Lane, name probe.StageName) *probe.Stage {
	for i := range l.Stages {
		if s := &l.Stages[i]; s.Stage == name && s.Outcome != probe.Skipped {
			return s
		}
	}
	return nil
}

// stageText is a stage's name and duration.
func stageText(s *probe.Stage) string {
	switch {
	case s.Started.IsZero():
		return string(s.Stage) + " no data"
	case s.Outcome == probe.Slow:
		return string(s.Stage) + " " + span(s.Duration.Std()) + " slow"
	}
	return string(s.Stage) + " " + span(s.Duration.Std())
}

// failureText says what failed, with HAProxy's code, the error's own words and what the kernel knew.
func (w *waterfall) failureText(s *probe.Stage) []string {
	if s.Outcome != probe.Failed && (s.Outcome != probe.NoData || s.Type == "") {
		return nil
	}
	p, mark := w.outcomeMark(s.Outcome)
	head := string(s.Type)
	if s.Code != "" {
		head += " (" + string(s.Code) + ")"
	}
	text := w.clean(s.Error)
	if s.Errno != "" && !strings.Contains(text, s.Errno) {
		text += " [" + s.Errno + "]"
	}
	lines := []string{w.paint(p, mark+" "+string(s.Stage)+": "+head)}
	if text != "" {
		lines = append(lines, "  "+wrap(text, textMargin+2, w.width))
	}
	if facts := tcpFacts(s); facts != "" {
		lines = append(lines, "  "+wrap("tcp: "+facts, textMargin+2, w.width))
	}
	return lines
}

// tcpFacts says in words what the kernel's counters mean for a stage that failed.
func tcpFacts(s *probe.Stage) string {
	i := s.TCPInfo
	if i == nil {
		return ""
	}
	if i.State == tcpinfo.SynSent {
		return fmt.Sprintf("SYN sent %s, no answer", times(1+int(i.TotalRetrans)))
	}
	if i.State == tcpinfo.Close && i.BytesSent == 0 && s.Stage == probe.StageConnect {
		return ""
	}
	parts := []string{sentFact(i), receivedFact(i)}
	if i.HeldBack() {
		parts = append(parts, fmt.Sprintf("%d bytes held back on this host", i.NotSent))
	}
	if n := i.Timeouts(); n > 0 && i.Unacked > 0 {
		parts = append(parts, plural(n, "retransmission timeout"))
	}
	if i.RcvOOO > 0 {
		parts = append(parts, plural(int(i.RcvOOO), "segment")+" came out of order: something before is missing")
	}
	return strings.Join(parts, ", ")
}

// sentFact tells how much of what we sent arrived in the peer's kernel.
func sentFact(i *tcpinfo.Info) string {
	switch {
	case i.BytesSent == 0 && i.NotSent == 0:
		return "nothing sent"
	case i.AckedAll(): // what was sent twice came twice
		return fmt.Sprintf("acked %d of %d bytes", i.BytesAcked, i.BytesAcked)
	case i.TotalRetrans > 0:
		return fmt.Sprintf("acked %d of %d bytes (%s)", i.BytesAcked, i.BytesSent, plural(int(i.TotalRetrans), "retransmission"))
	}
	return fmt.Sprintf("acked %d of %d bytes", i.BytesAcked, i.BytesSent)
}

func receivedFact(i *tcpinfo.Info) string {
	if i.BytesReceived == 0 {
		return "nothing received"
	}
	ago := "less than 1 ms"
	if i.LastDataRecv > 0 {
		ago = span(time.Duration(i.LastDataRecv) * time.Millisecond)
	}
	return fmt.Sprintf("received %d bytes, the last %s ago", i.BytesReceived, ago)
}

func heldOpenText(h *probe.HeldOpenFacts) string {
	text := plural(int(h.Answered), "answer")
	if h.Mute {
		text = "kept alive"
	}
	if !h.Since.IsZero() {
		text += " since " + clock(h.Since)
	}
	if !h.LastGoodAnswered.IsZero() {
		text += ", the last at " + clock(h.LastGoodAnswered)
	}
	if !h.Died.IsZero() {
		text += ", died at " + clock(h.Died)
	}
	return text
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000 UTC") }

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
