//go:build linux

package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits on the bounds. Slack is what the test itself may be late by: two cores serve several chains at once.
const (
	interval    = time.Second
	thawWidth   = 500 * time.Millisecond
	returnWidth = 2500 * time.Millisecond
	slack       = 300 * time.Millisecond
)

// judge lists what is wrong with what whichlayer said.
func (o *observation) judge() []string {
	problems := o.judgeLayer(o.opened)
	problems = append(problems, o.judgeLayer(o.was)...)
	problems = append(problems, o.judgeBounds()...)
	return append(problems, o.judgeSlack()...)
}

// judgeLayer compares a verdict with the truth.
func (o *observation) judgeLayer(e *event) []string {
	v := e.Verdict
	if v.Layer == o.fault.layer || slices.Contains(o.fault.honest, v.Layer) {
		return nil
	}
	for _, s := range v.Suspects {
		if o.fault.ambiguous && v.Confidence != "confirmed" && s.Layer == o.fault.layer {
			return nil
		}
	}
	word := "wrong layer"
	if v.Confidence == "confirmed" {
		word = "WRONG AND CONFIRMED"
	}
	return []string{fmt.Sprintf("%s: %s, want %s\n%s", word, v.Layer, o.fault.layer, e.raw)}
}

// judgeBounds holds the reported bounds of start and end against the truth.
func (o *observation) judgeBounds() []string {
	i := o.resolved.Incident
	if i == nil {
		return []string{"the resolved event has no incident"}
	}
	starts, ends := span{i.StartsAfter, i.StartsBefore}, span{i.EndsAfter, i.EndsBefore}
	problems := outside("start", starts, o.start, interval+o.fault.timeout+o.blind(starts))
	width := returnWidth
	if o.fault.thaw {
		width = thawWidth
	}
	return append(problems, outside("end", ends, o.end, width+o.blind(ends))...)
}

// blind is how much wider bounds may be because the prober said that it could not look meanwhile: each such round costs
// its own time and the wait for the next.
func (o *observation) blind(s span) (more time.Duration) {
	for _, e := range o.events {
		if e.Event == "result" && e.blind() && e.Time.After(s.from) && e.Time.Before(s.to.Add(interval)) {
			more += 2*interval + connectTimeout
		}
	}
	return more
}

// outside tells how said misses the truth, or is wider than it may be.
func outside(what string, said, truth span, width time.Duration) (problems []string) {
	if said.from.IsZero() || said.to.IsZero() {
		return []string{fmt.Sprintf("%s: a bound is missing: (%s, %s]", what, said.from, said.to)}
	}
	if said.from.After(truth.to) || said.to.Before(truth.from) {
		problems = append(problems, fmt.Sprintf("%s: the truth %s is outside of (%s, %s]: bounds %+.3f s and %+.3f s from it", what,
			clock(truth.from), clock(said.from), clock(said.to), said.from.Sub(truth.from).Seconds(), said.to.Sub(truth.from).Seconds()))
	}
	if got := said.to.Sub(said.from); got > width+slack {
		problems = append(problems, fmt.Sprintf("%s: bounds %s apart, want at most %s", what, got, width))
	}
	return problems
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// judgeSlack looks for the two messages, each with the bounds that it must show to the second.
func (o *observation) judgeSlack() (problems []string) {
	i := o.resolved.Incident
	if i == nil || o.opened.Incident == nil {
		return []string{"no incident to look for in the messages"}
	}
	seconds := func(t time.Time) string { return t.UTC().Format("15:04:05") }
	opened := []string{strings.ToUpper(o.opened.Verdict.State), seconds(o.opened.Incident.StartsAfter), seconds(o.opened.Incident.StartsBefore), o.opened.Verdict.Layer}
	if !o.toldOnSlack("chat.postMessage", opened) {
		problems = append(problems, fmt.Sprintf("no message on Slack with %q", opened))
	}
	resolved := []string{"RESOLVED", seconds(i.EndsAfter), seconds(i.EndsBefore)}
	if !o.toldOnSlack("chat.", resolved) {
		problems = append(problems, fmt.Sprintf("no message on Slack with %q", resolved))
	}
	if len(problems) > 0 {
		all, _ := json.MarshalIndent(o.slack, "", " ")
		problems = append(problems, "Slack was told: "+string(all))
	}
	return problems
}

// toldOnSlack tells whether one call of the method holds all the words.
func (o *observation) toldOnSlack(method string, words []string) bool {
	return slices.ContainsFunc(o.slack, func(c slackCall) bool {
		text, _ := json.Marshal(c.Form)
		return strings.Contains(c.Method, method) && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(string(text), w) })
	})
}

// row is one line of the table at the end: how long until the alarm, how wide the bounds.
func (o *observation) row() string {
	v, i := o.was.Verdict, o.resolved.Incident
	if i == nil {
		return o.fault.name + ": no incident"
	}
	suspected := o.opened
	if n := slices.IndexFunc(o.events, func(e event) bool { return e.Event == "suspect" }); n >= 0 {
		suspected = &o.events[n]
	}
	return fmt.Sprintf("%-22s %-9s %-9s %-10s %-24s %6.2f %6.2f %6.2f %6.2f %8.3f %8.3f %7.2f", o.fault.name, o.fault.layer, v.Layer, v.Confidence, v.Cause,
		suspected.Time.Sub(o.start.from).Seconds(), o.opened.Time.Sub(o.start.from).Seconds(), i.StartsBefore.Sub(i.StartsAfter).Seconds(), i.EndsBefore.Sub(i.EndsAfter).Seconds(),
		i.StartsAfter.Sub(o.start.from).Seconds(), i.EndsBefore.Sub(o.end.from).Seconds(), o.resolved.Time.Sub(o.end.from).Seconds())
}

const tableHead = "fault                  truth     said      confidence cause                   suspect opened  width  width start-lo   end-hi resolved\n" +
	"                                                                                 after  after  start    end to truth to truth    after  (seconds)"
