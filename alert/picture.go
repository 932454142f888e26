package alert

import (
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// How many bad rounds in a row another verdict must last before the incident takes it: one when it is surer or the
// state is worse, two when it is as sure, three when it is less sure. So one odd round changes nothing.
const (
	betterRounds = 1
	equalRounds  = 2
	weakerRounds = 3
)

// rank orders confidences.
func rank(c probe.Confidence) int {
	switch c {
	case probe.Confirmed:
		return 3
	case probe.Likely:
		return 2
	case probe.Ambiguous:
		return 1
	}
	return 0
}

// samePicture tells that two verdicts differ at most in how sure they are and why.
func samePicture(a, b probe.Verdict) bool {
	return a.State == b.State && a.Layer == b.Layer && a.Cause == b.Cause
}

// consider weighs a bad round's verdict against the incident's and tells whether what people were told has changed.
func (t *Tracker) consider(r *probe.Result, v probe.Verdict) bool {
	s, i := &t.s, t.s.Incident
	if i.Verdict.State == "" {
		i.change(r.Ended, v)
		return false
	}
	old := i.Verdict
	if samePicture(old, v) {
		s.OtherRounds = 0
		switch {
		case rank(v.Confidence) > rank(old.Confidence):
			i.change(r.Ended, v)
			return true
		case rank(v.Confidence) == rank(old.Confidence):
			i.Verdict = v // later evidence says more
		}
		return false
	}
	if !samePicture(s.Other, v) {
		s.OtherRounds = 0
	}
	s.Other = v
	s.OtherRounds++
	if s.OtherRounds < roundsNeeded(old, v) {
		return false
	}
	s.OtherRounds = 0
	i.change(r.Ended, v)
	return true
}

func roundsNeeded(old, v probe.Verdict) int {
	was, is := rank(old.Confidence), rank(v.Confidence)
	worse := v.State == probe.Down && old.State != probe.Down
	switch {
	case is > was, is == was && worse:
		return betterRounds
	case is == was:
		return equalRounds
	}
	return weakerRounds
}

// change takes a verdict and notes it in the timeline, there without its evidence.
func (i *Incident) change(at time.Time, v probe.Verdict) {
	i.Verdict = v
	v.Evidence, v.Cleared = []string{}, nil
	i.Timeline = keepEnds(i.Timeline, Change{At: at.UTC(), Verdict: v}, maxTimeline/5, maxTimeline)
}
