package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// eventRound is a round as the event stream and `check --json` have it. The golden cases add what else a result holds.
type eventRound struct {
	Event   string    `json:"event"`
	Time    time.Time `json:"time"`
	Verdict Verdict   `json:"verdict"`
	Result
	Incident json.RawMessage `json:"incident"`
	Gap      json.RawMessage `json:"gap"`
}

// event takes a line of an event stream; of its events only rounds matter.
func (r *RecordingReader) event(line []byte, top map[string]bool) (*RecordedRound, error) {
	var kind struct {
		Event string `json:"event"`
	}
	if err := r.decode(line, &kind); err != nil {
		return nil, err
	}
	if kind.Event != "" && kind.Event != "result" {
		return nil, nil
	}
	var e eventRound
	if err := r.decode(line, &e); err != nil {
		return nil, err
	}
	r.events = r.events || !top["self"]
	r.lacks(top, "time", "target", "verdict")
	for i, name := range r.result.names {
		if r.result.required>>i&1 == 1 {
			r.lacks(top, name)
		}
	}
	if e.Ended.IsZero() {
		e.Ended = e.Time
	}
	if e.Started.IsZero() {
		e.Started = e.FirstStart()
	}
	if err := recordable(&e.Result); err != nil {
		return nil, r.at(0, err)
	}
	return &RecordedRound{e.Result, e.Verdict}, nil
}

// FirstStart is when the first stage of the round began, its end when none did. Held-open connections are older than
// the round.
func (r *Result) FirstStart() time.Time {
	first := r.Ended
	for i := range r.Lanes {
		if r.Lanes[i].Lane == LaneHeldOpen {
			continue
		}
		for _, s := range r.Lanes[i].Stages {
			if !s.Started.IsZero() && s.Started.Before(first) {
				first = s.Started
			}
		}
	}
	return first
}

// latestTime bounds the times of a round: beyond it no clock is right.
var latestTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// recordable refuses what fits the types and cannot have been seen. A clock may have been set within a round, so that its
// end may come before its start.
func recordable(x *Result) error {
	switch {
	case x.Target == "":
		return errors.New("a round without a target")
	case x.Started.IsZero() || x.Ended.IsZero():
		return errors.New("a round without the times of its start and end")
	case !plausible(x.Started) || !plausible(x.Ended):
		return fmt.Errorf("a round from %s to %s: expected 1970 to %d",
			x.Started.UTC().Format(time.RFC3339), x.Ended.UTC().Format(time.RFC3339), latestTime.Year()-1)
	}
	for i := range x.Lanes {
		l := &x.Lanes[i]
		switch {
		case l.HeldOpen != nil && l.HeldOpen.Usual < 0:
			return fmt.Errorf("a negative time in lane %s", clip(string(l.Lane), 40))
		case l.Lane == LaneHeldOpen && l.HeldOpen == nil:
			return errors.New("a held-open connection without its history")
		}
		for j := range l.Stages {
			s := &l.Stages[j]
			if s.Duration < 0 || !s.Started.IsZero() && !plausible(s.Started) {
				return fmt.Errorf("a negative time, or one that cannot be, in lane %s, stage %s", clip(string(l.Lane), 40), clip(string(s.Stage), 40))
			}
		}
	}
	return nil
}

func plausible(t time.Time) bool { return t.Unix() >= 0 && t.Before(latestTime) }
