package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

// replayText tells a replay to people.
type replayText struct {
	w io.Writer
	t terminal
}

var (
	_ replayOutput = (*replayText)(nil)
	_ replayOutput = (*replayJSON)(nil)
)

// round is one line: when, which round, what was said, what is said, by which rule.
func (p *replayText) round(j *judgement) error {
	text := kindOf(j.Is).String()
	if was := kindOf(j.Was); was != kindOf(j.Is) {
		text = was.String() + " " + p.t.symbol("→", "->") + " " + text
	}
	_, err := fmt.Fprintf(p.w, "%s #%d %s\n", j.Time.Format("2006-01-02 15:04:05.000 UTC"), j.Number,
		p.t.clean(fmt.Sprintf("%s: %s (rule %s)", j.Target, text, j.Is.Rule)))
	return err
}

func (p *replayText) summary(s *replaySum) error {
	if s.Rounds == 0 {
		_, err := fmt.Fprintln(p.w, "no rounds were read")
		return err
	}
	const layout = "2006-01-02 15:04:05"
	fmt.Fprintf(p.w, "%s of %s in %s, %s to %s UTC\n%d judged otherwise now", plural(s.Rounds, "round"), plural(s.Targets, "target"),
		plural(s.Files, "file"), s.From.Format(layout), s.To.Format(layout), s.Changed)
	if s.Seconds > 0 {
		fmt.Fprintf(p.w, "; %.0f rounds and %.1f MB a second", float64(s.Rounds)/s.Seconds, float64(s.Bytes)/1e6/s.Seconds)
	}
	fmt.Fprintf(p.w, "\n\n%8s %8s  verdict\n", "then", "now")
	for _, c := range s.Verdicts {
		fmt.Fprintf(p.w, "%8d %8d  %s\n", c.Was, c.Is, p.t.clean(c.String()))
	}
	return p.incidents(s)
}

// incidents lists what people would be told by today's rules.
func (p *replayText) incidents(s *replaySum) error {
	_, err := fmt.Fprintf(p.w, "\nby today's rules %s and %s that came to nothing\n",
		plural(len(s.Incidents), "incident"), plural(s.Dismissed, "suspicion"))
	for _, i := range s.Incidents {
		n := incidentNote(i, s.To)
		ended := n.Ended(time.UTC)
		if ended == "" {
			ended = "not within what was recorded"
		}
		_, err = fmt.Fprintf(p.w, "  %s\n    began %s\n    ended %s\n", p.t.clean(n.Headline()), n.Began(time.UTC), ended)
	}
	return err
}

// incidentNote is the last word on an incident, as receivers are told.
func incidentNote(i *alert.Incident, now time.Time) alert.Notification {
	kind := alert.EventOpened
	switch i.State {
	case alert.Resolved:
		kind, now = alert.EventResolved, *i.ResolvedAt
	case alert.Dismissed:
		kind = alert.EventDismissed
	}
	n, _ := alert.NewNotification(alert.Event{Event: kind, Time: now, Target: i.Target, Verdict: &i.Verdict, Incident: i})
	return n
}

// replayJSON tells a replay to programs: an object per round, the last one is the summary.
type replayJSON struct{ out *json.Encoder }

func (p *replayJSON) round(j *judgement) error { return p.out.Encode(j) }

func (p *replayJSON) summary(s *replaySum) error {
	return p.out.Encode(map[string]*replaySum{"summary": s})
}
