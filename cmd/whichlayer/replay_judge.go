package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// maxReplayedIncidents bounds those that a summary lists.
const maxReplayedIncidents = 1000

// judge does with recorded rounds what alert.Desk does with live ones: each target's tracker holds the past that the
// rules are given.
type judge struct {
	detect  config.Detect
	targets []config.Target
	seats   map[string]*judgeSeat
	list    []*alert.Incident // the last word on each that people would have been told of
	at      map[string]int    // of an incident's ID in list
	dropped int               // suspicions that came to nothing
}

// judgeSeat is one target's place.
type judgeSeat struct {
	tracker *alert.Tracker
	process time.Time // that recorded
	last    time.Time
	round   uint64
}

// newJudge takes the settings of the targets that are known, else detect.
func newJudge(detect config.Detect, targets []config.Target) *judge {
	return &judge{detect: detect, targets: targets, seats: map[string]*judgeSeat{}, at: map[string]int{}}
}

// judgement is a round with the verdict of then and that of now.
type judgement struct {
	File    string        `json:"file"`
	Line    int           `json:"line"`
	Number  int           `json:"n"`
	Time    time.Time     `json:"time"`
	Target  string        `json:"target"`
	Round   uint64        `json:"round"`
	Changed bool          `json:"changed"`
	Was     probe.Verdict `json:"was"`
	Is      probe.Verdict `json:"is"`

	result *probe.Result
	past   []*probe.Result
}

// round judges one round. The process that recorded is told by when it began.
func (j *judge) round(r *probe.RecordedRound, process time.Time) (out *judgement, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the rules have a defect, they cannot judge this round: %v", p)
		}
	}()
	out = &judgement{Time: r.Result.Ended.UTC(), Target: r.Result.Target, Round: r.Result.Round, Was: r.Verdict, result: &r.Result}
	if r.Result.Trigger == probe.ByCheck { // which looks once, and has no past
		out.Is = probe.Attribute(out.result, nil)
	} else {
		s := j.seat(&r.Result, process)
		out.past = s.tracker.History()
		out.Is = probe.Attribute(out.result, out.past)
		for _, e := range s.tracker.Observe(out.result, out.Is).Events {
			j.hear(e)
		}
	}
	out.Changed = kindOf(out.Was) != kindOf(out.Is) && kindOf(out.Was) != verdictKind{}
	return out, nil
}

// seat is the target's place, a fresh one where its past ends.
func (j *judge) seat(r *probe.Result, process time.Time) *judgeSeat {
	s := j.seats[r.Target]
	if s != nil && !s.follows(r, process) {
		for _, e := range s.tracker.Close(s.last, "its recording ends here") {
			j.hear(e)
		}
		s = nil
	}
	if s == nil {
		detect := j.detect
		if i := slices.IndexFunc(j.targets, func(t config.Target) bool { return t.Name == r.Target }); i >= 0 {
			detect = j.targets[i].Detect
		}
		// Without randomness a replay gives the same twice.
		s = &judgeSeat{tracker: alert.NewTracker(r.Target, detect, alert.NewID(r.Target, strings.NewReader(""))), process: process}
		j.seats[r.Target] = s
	}
	s.last, s.round = r.Ended, r.Round
	return s
}

// backInTime is more than a clock is set back by, as long as all is well.
const backInTime = time.Minute

// follows tells that a round belongs to the same course. Another process knew nothing of what was before; one that
// counts from 1 again has a new configuration of the target. Event streams tell neither, but when.
func (s *judgeSeat) follows(r *probe.Result, process time.Time) bool {
	if !s.process.Equal(process) {
		return false
	}
	if r.Round > 0 {
		return r.Round > s.round
	}
	return !r.Ended.Before(s.last.Add(-backInTime))
}

// hear keeps the last word on each incident.
func (j *judge) hear(e alert.Event) {
	i := e.Incident
	switch {
	case i == nil || e.Event == alert.EventGap:
	case i.OpenedAt == nil:
		if e.Event == alert.EventDismissed {
			j.dropped++
		}
	default:
		if at, known := j.at[i.ID]; known {
			j.list[at] = i
		} else if len(j.list) < maxReplayedIncidents {
			j.at[i.ID] = len(j.list)
			j.list = append(j.list, i)
		}
	}
}

// incidents are those that people would have been told of, in the order in which they would have; dismissed counts
// suspicions that came to nothing.
func (j *judge) incidents() (list []*alert.Incident, dismissed int) {
	for _, s := range j.seats {
		if i := s.tracker.Incident(); i != nil && i.OpenedAt != nil {
			if at, known := j.at[i.ID]; known {
				j.list[at] = i
			}
		}
	}
	return j.list, j.dropped
}

// verdictKind is the part of a verdict whose change matters.
type verdictKind struct {
	State      probe.State      `json:"state"`
	Layer      probe.Layer      `json:"layer"`
	Cause      probe.Cause      `json:"cause"`
	Confidence probe.Confidence `json:"confidence"`
}

func kindOf(v probe.Verdict) verdictKind { return verdictKind{v.State, v.Layer, v.Cause, v.Confidence} }

// String is "down, proxy: frozen (likely)".
func (k verdictKind) String() string {
	switch {
	case k == verdictKind{}:
		return "no verdict"
	case k.State == probe.Up && k.Layer == probe.LayerNone:
		return "up"
	}
	return fmt.Sprintf("%s, %s: %s (%s)", k.State, k.Layer, causeWords(k.Cause), k.Confidence)
}
