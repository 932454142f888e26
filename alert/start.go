package alert

import (
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// underWay is how far a held-open request may overlap a stage that failed and still say something about it.
const underWay = 200 * time.Millisecond

// start is what bounds a spell's start.
type start struct {
	// After is zero when there was no good round before. Bad is when the first stage that failed began.
	After, Before, Bad time.Time
	// HeldAfter and HeldBefore are the held-open connection's own bounds; zero until it fails too.
	HeldAfter, HeldBefore time.Time
}

// startOf bounds the start from a spell's first bad round. A timeout proves badness only at its end, a refusal or a
// reset at its instant, which is also the stage's end.
func startOf(r *probe.Result, faults []fault, good *lastGood) start {
	if len(faults) == 0 {
		return start{After: good.Round, Before: r.Ended, Bad: r.Started}
	}
	var s start
	for i, f := range faults {
		after := good.before(f)
		if i == 0 || after.Before(s.After) {
			s.After = after
		}
		if i == 0 || f.stage.Ended().Before(s.Before) {
			s.Before = f.stage.Ended()
		}
		if i == 0 || f.stage.Started.Before(s.Bad) {
			s.Bad = f.stage.Started
		}
	}
	return s
}

// heldOpen takes what the long-lived connections say in a bad round: they ask every second and so date the start
// finer than rounds do. Only the first word counts, and only when it fits to what the lanes saw: a connection that
// served on while new ones failed says nothing about them, and neither does one that had failed before the last
// good round.
func (s *start) heldOpen(r *probe.Result) {
	for i := range r.Lanes {
		h := r.Lanes[i].HeldOpen
		bad, failing := heldBad(&r.Lanes[i])
		if !failing || !s.HeldBefore.IsZero() || s.After.IsZero() {
			continue
		}
		after := h.LastGoodSent
		if after.After(s.Bad) && after.Sub(s.Bad) <= underWay {
			after = s.Bad // it was under way when the first stage that failed began
		}
		if after.IsZero() || after.After(s.Bad) || !bad.After(s.After) || !bad.After(after) {
			continue
		}
		s.HeldAfter, s.HeldBefore = after, bad
	}
}

// heldBad is when a held-open lane began to fail, if it is failing.
func heldBad(l *probe.Lane) (time.Time, bool) {
	if l.Lane != probe.LaneHeldOpen || l.HeldOpen == nil {
		return time.Time{}, false
	}
	missed, died := l.HeldOpen.Missed, l.HeldOpen.Died
	if missed.IsZero() || !died.IsZero() && died.Before(missed) {
		missed = died
	}
	return missed, !missed.IsZero()
}

// bounds joins both sources, if an established connection suffers from what the verdict says at all.
func (s *start) bounds(v probe.Verdict) Bounds {
	after, before := s.After, s.Before
	if !s.HeldBefore.IsZero() && oldConnectionsSuffer(v) {
		if s.HeldAfter.After(after) {
			after = s.HeldAfter
		}
		if s.HeldBefore.Before(before) {
			before = s.HeldBefore
		}
	}
	b := Bounds{StartsBefore: before.UTC()}
	if s.After.IsZero() {
		return b
	}
	if !after.Before(before) {
		after = before.Add(-time.Nanosecond)
	}
	b.StartsAfter = utc(after)
	return b
}

// oldConnectionsSuffer is false for faults that only new connections meet.
func oldConnectionsSuffer(v probe.Verdict) bool {
	switch v.Cause {
	case probe.CauseNewDropped, probe.CauseRefusesClients, probe.CauseTLSRefused, probe.CauseNotTLS,
		probe.CauseCertExpired, probe.CauseCertExpires, probe.CauseCertName, probe.CauseCertAuthority, probe.CauseCertInvalid:
		return false
	}
	return v.Layer != probe.LayerDNS && v.Layer != probe.LayerProber
}
