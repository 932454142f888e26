package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// summary compares what was true with what was said.
func (s *story) summary(t terminal) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.past) == 0 && len(s.stray) == 0 {
		return "\nNothing was broken, and nothing was said.\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", t.paint(strong, t.pad("What was true (times are UTC)", saidColumn)+"What whichlayer said"))
	held, all := 0, 0
	for i := range s.past {
		e := &s.past[i]
		e.write(&b, t, i+1, s.slow)
		for _, f := range e.findings(s.slow) {
			all++
			if f.ok {
				held++
			}
		}
	}
	for _, i := range s.stray {
		fmt.Fprintf(&b, "\n %s false alarm: %s\n", t.paint(bad, t.symbol("✗", "x")), shortVerdict(i.Verdict))
	}
	p := good
	if held < all || len(s.stray) > 0 {
		p = bad
	}
	last := fmt.Sprintf("%d of %d statements held, %s, %s watched.", held, all, plural(len(s.stray), "false alarm"), span(s.watched()))
	fmt.Fprintf(&b, "\n%s\n", t.paint(p, last))
	return b.String()
}

// watched is how long the story went on until its last round.
func (s *story) watched() time.Duration {
	if s.result == nil {
		return 0
	}
	return s.result.Ended.Sub(s.began)
}

// write tells of one fault what was true, at the left, and what was said, at the right.
func (e *episode) write(b *strings.Builder, t terminal, n int, slow slowRounds) {
	fmt.Fprintf(b, "\n %s  %s\n", t.paint(strong, fmt.Sprintf("%d %s", n, e.name)),
		t.paint(faint, fmt.Sprintf("suspected %s, opened %s after the fault", since(e.start, e.suspected), since(e.start, e.opened))))
	truth := truthWords(e.fault)
	if e.told == nil {
		writeFinding(b, t, "layer", truth, "nothing", finding{false, "not noticed"})
		return
	}
	first, last := e.told.Verdict, e.latest.Verdict
	writeFinding(b, t, "layer", truth, shortVerdict(first), judgeVerdict(first, e.fault))
	if shortVerdict(first) != shortVerdict(last) {
		writeFinding(b, t, "later", truth, shortVerdict(last), judgeVerdict(last, e.fault))
	}
	writeFinding(b, t, "start", stamp(e.start.to), boundsText(e.latest.StartsAfter, &e.latest.StartsBefore), e.judgeStart(slow))
	writeFinding(b, t, "end", stamp(e.end.to), boundsText(e.latest.EndsAfter, e.latest.EndsBefore), e.judgeEnd(slow))
}

func truthWords(f lab.Fault) string {
	all := f.Truth()
	if len(all) == 0 {
		return string(f)
	}
	return all[0].Layer + " " + causeWords(probe.Cause(all[0].Cause))
}

// Columns of the summary.
const (
	truthWidth = 26
	saidColumn = 14 + truthWidth
)

// writeFinding is one statement, marked; its reason stands there only when it says more than the mark.
func writeFinding(b *strings.Builder, t terminal, what, truth, said string, f finding) {
	p, mark := good, t.symbol("✓", "+")
	if !f.ok {
		p, mark = bad, t.symbol("✗", "x")
	}
	if f.text != right && f.text != inside {
		said += ": " + f.text
	}
	fmt.Fprintf(b, "   %s %-6s %s  %s\n", t.paint(p, mark), what, t.pad(truth, truthWidth), wrap(said, saidColumn, t.width))
}

func since(start moment, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(t.Sub(start.to))
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "still lasts"
	}
	return t.UTC().Format("15:04:05.000")
}

// boundsText is an interval as clock times; the second omits what it shares with the first.
func boundsText(after, before *time.Time) string {
	switch {
	case before == nil:
		return "nothing"
	case after == nil:
		return "before " + stamp(*before)
	}
	return fmt.Sprintf("%s to %s (%s)", stamp(*after), before.UTC().Format("05.000"), span(before.Sub(*after)))
}
