package alert

import (
	"cmp"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// oneOutage is within how long incidents of different targets begin that are counted once over all targets.
const oneOutage = 2 * time.Minute

// Recurrence is how outages come back: of one target, or over all.
type Recurrence struct {
	// Target is empty over all targets; incidents that began together, or while another one lasted, are then one.
	Target string `json:"target,omitempty"`
	Count  int    `json:"count"`
	// First and Last are the starts of the first and the last outage.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Apart is from one start to the next; nil for a single outage.
	Apart *Spread `json:"apart,omitempty"`
	// Zone is where the clock of Hours and Weekdays hangs. They count starts: by the hour, and by the day from Monday on.
	Zone     string  `json:"zone"`
	Hours    [24]int `json:"hours"`
	Weekdays [7]int  `json:"weekdays"`
	// Patterns are sentences, only such that chance would hardly bring about.
	Patterns []Pattern `json:"patterns"`
}

// Spread sums up durations.
type Spread struct {
	Min    probe.Seconds `json:"min_seconds"`
	Median probe.Seconds `json:"median_seconds"`
	Max    probe.Seconds `json:"max_seconds"`
}

// Pattern is something that starts of outages have in common.
type Pattern struct {
	// Text says it in words, such as "3 of 4 began 09:00-09:20 UTC".
	Text string `json:"text"`
	// Chance bounds the probability that outages at random times would have as much in common: at most 0.01.
	Chance float64 `json:"chance"`
}

// Recur says how incidents come back, by the clock of a zone: the targets with the most first, then, for several, over
// all. What was dismissed, what only announces the end of a certificate and the prober's own troubles are no outages.
func Recur(incidents []*Incident, zone *time.Location) (out []Recurrence) {
	byTarget := map[string][]*Incident{}
	var all []*Incident
	for _, i := range incidents {
		if i.State != Dismissed && i.Target != SelfTarget && i.Verdict.Cause != probe.CauseCertExpires {
			byTarget[i.Target] = append(byTarget[i.Target], i)
			all = append(all, i)
		}
	}
	for target, some := range byTarget {
		out = append(out, recur(target, starts(some), zone))
	}
	slices.SortFunc(out, func(a, b Recurrence) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Target, b.Target)) })
	if len(out) > 1 {
		out = append(out, recur("", together(all), zone))
	}
	return out
}

// starts are when incidents began, in order.
func starts(incidents []*Incident) (out []time.Time) {
	for _, i := range incidents {
		out = append(out, i.StartsBefore)
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// together are the starts of what did not begin with, or in the course of, another one.
func together(incidents []*Incident) (out []time.Time) {
	sorted := slices.Clone(incidents)
	slices.SortStableFunc(sorted, func(a, b *Incident) int { return a.StartsBefore.Compare(b.StartsBefore) })
	var until time.Time
	for _, i := range sorted {
		if len(out) == 0 || i.StartsBefore.After(until) {
			out = append(out, i.StartsBefore)
		}
		until = later(until, i.StartsBefore.Add(oneOutage))
		if i.EndsBefore != nil {
			until = later(until, *i.EndsBefore)
		}
	}
	return out
}

// recur sums up starts, of which there is at least one.
func recur(target string, starts []time.Time, zone *time.Location) Recurrence {
	r := Recurrence{Target: target, Count: len(starts), First: starts[0].UTC(), Last: starts[len(starts)-1].UTC(), Zone: zoneName(starts[len(starts)-1], zone)}
	for _, t := range starts {
		local := t.In(zone)
		r.Hours[local.Hour()]++
		r.Weekdays[fromMonday(local)]++
	}
	apart := intervals(starts)
	if len(apart) > 0 {
		r.Apart = &Spread{probe.Seconds(apart[0]), probe.Seconds(median(apart)), probe.Seconds(apart[len(apart)-1])}
	}
	r.Patterns = patterns(starts, apart, zone, r.Zone)
	return r
}

// intervals are those from one start to the next, the shortest first.
func intervals(starts []time.Time) (out []time.Duration) {
	for i := 1; i < len(starts); i++ {
		out = append(out, starts[i].Sub(starts[i-1]))
	}
	slices.Sort(out)
	return out
}

func median(sorted []time.Duration) time.Duration {
	n := len(sorted)
	return sorted[(n-1)/2] + (sorted[n/2]-sorted[(n-1)/2])/2
}

// fromMonday numbers the days of the week from Monday, 0.
func fromMonday(t time.Time) int { return (int(t.Weekday()) + 6) % 7 }

// zoneName is a zone's name, as far as it says anything, else what its clocks call themselves then.
func zoneName(t time.Time, zone *time.Location) string {
	if name := zone.String(); name != "Local" {
		return name
	}
	name, _ := t.In(zone).Zone()
	return name
}
