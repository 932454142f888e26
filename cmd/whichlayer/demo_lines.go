package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// lineTime is how lines show the time of day.
const lineTime = "15:04:05.000"

// ticker is the demo as lines, for pipes, files and --plain.
type ticker struct {
	terminal
	out io.Writer
}

// Draw implements demoScreen: it prints what has happened since.
func (t *ticker) Draw(s *story, _ time.Time) error {
	s.mu.Lock()
	lines := s.lines
	s.lines = nil
	s.mu.Unlock()
	var b strings.Builder
	for _, l := range lines {
		text := wrap(t.clean(l.text), cells(lineTime)+2, t.width)
		fmt.Fprintf(&b, "%s  %s\n", t.paint(faint, l.at.UTC().Format(lineTime)), t.paint(l.p, text))
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

// Close implements demoScreen.
func (t *ticker) Close() error { return nil }

// roundLine is a round in a line: which lanes failed, at which stage, and the verdict.
func (s *story) roundLine(c column, v probe.Verdict) string {
	var words []string
	for _, name := range s.rows {
		g, seen := c.lanes[name]
		if seen && g.outcome == probe.Failed {
			words = append(words, fmt.Sprintf("%s fails at %s", name, g.stage))
		} else if seen && g.outcome != probe.OK {
			words = append(words, fmt.Sprintf("%s %s", name, g.outcome))
		}
	}
	if well := len(c.lanes) - len(words); well > 0 {
		words = append(words, fmt.Sprintf("%s ok", plural(well, "lane")))
	}
	return shortVerdict(v) + ": " + strings.Join(words, ", ")
}

// shortVerdict is a verdict in a few words.
func shortVerdict(v probe.Verdict) string {
	if v.State == probe.Up {
		return "up"
	}
	if v.Confidence == probe.Ambiguous {
		words := make([]string, len(v.Suspects))
		for i, x := range v.Suspects {
			words[i] = suspectWords(x.Layer, x.Cause)
		}
		return strings.Join(words, " or ")
	}
	return fmt.Sprintf("%s (%s)", suspectWords(v.Layer, v.Cause), v.Confidence)
}

// suspectWords is such as "proxy frozen"; the layer is not said twice, as in "link link down".
func suspectWords(l probe.Layer, c probe.Cause) string {
	return string(l) + " " + strings.TrimPrefix(causeWords(c), string(l)+" ")
}

func causeWords(c probe.Cause) string { return strings.ReplaceAll(string(c), "_", " ") }
