package alert

import (
	"strings"
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

// saysLess tells that a verdict names no layer where the incident's does, in the same state: that this round did not
// show who it was makes an earlier answer no worse.
func saysLess(old, v probe.Verdict) bool {
	return nameless(v) && !nameless(old) && v.State == old.State
}

func nameless(v probe.Verdict) bool { return v.Layer == probe.LayerNone || v.Layer == "" }

// consider weighs a bad round's verdict against the incident's and tells whether what people were told has changed.
func (t *Tracker) consider(r *probe.Result, v probe.Verdict) bool {
	s, i := &t.s, t.s.Incident
	if i.Verdict.State == "" {
		i.change(r.Ended, v, "")
		return false
	}
	old := i.Verdict
	if saysLess(old, v) {
		s.OtherRounds = 0
		return false
	}
	if samePicture(old, v) {
		s.OtherRounds = 0
		switch {
		case rank(v.Confidence) > rank(old.Confidence):
			i.change(r.Ended, v, reason(old, v))
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
	i.change(r.Ended, v, reason(old, v))
	return true
}

func roundsNeeded(old, v probe.Verdict) int {
	was, is := rank(old.Confidence), rank(v.Confidence)
	switch {
	case is > was, is == was && worse(old, v):
		return betterRounds
	case is == was:
		return equalRounds
	}
	return weakerRounds
}

func worse(old, v probe.Verdict) bool { return v.State == probe.Down && old.State != probe.Down }

// reason says what made a verdict better than the one before: it follows [roundsNeeded].
func reason(old, v probe.Verdict) string {
	var parts []string
	if rank(v.Confidence) > rank(old.Confidence) {
		parts = append(parts, "surer: "+string(v.Confidence)+" instead of "+confidenceWord(old))
	}
	if worse(old, v) && rank(v.Confidence) >= rank(old.Confidence) {
		parts = append(parts, "worse: "+string(v.State)+" instead of "+string(old.State))
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, "; ")
	case rank(v.Confidence) == rank(old.Confidence):
		return "two rounds in a row saw it"
	}
	return "three rounds in a row saw it"
}

func confidenceWord(v probe.Verdict) string {
	if v.Confidence == "" {
		return string(probe.UnknownConfidence)
	}
	return string(v.Confidence)
}

// change takes a verdict and notes it in the timeline with the reason, there without its evidence.
func (i *Incident) change(at time.Time, v probe.Verdict, why string) {
	i.Verdict = v
	v.Evidence, v.Cleared, v.WouldDecide = []string{}, nil, nil
	i.Timeline = keepEnds(i.Timeline, Change{At: at.UTC(), Verdict: v, Reason: why}, maxTimeline/5, maxTimeline)
}
