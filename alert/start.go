package alert

import (
	"slices"
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
	// Beside are those of hops and backends, one of a kind and role.
	Beside []beside
}

// beside is when the held-open connection to a hop or a backend was first known to be bad.
type beside struct {
	Of   probe.LaneKind
	Role probe.Role
	Bad  time.Time
}

// of tells that the connection ended at the layer that a verdict names.
func (b beside) of(v probe.Verdict) bool {
	switch v.Layer {
	case probe.LayerBackend:
		return b.Of == probe.LaneBackend
	case probe.LayerProxy:
		return b.Of == probe.LaneVia && b.Role == probe.RoleProxy
	case probe.LayerBalancer:
		return b.Of == probe.LaneVia && b.Role == probe.RoleBalancer
	}
	return false
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

// recentLoss is how long before a name server fell silent its lost questions are taken for the same trouble.
const recentLoss = 15 * time.Second

// loss widens the start of a spell that is known by what many rounds lost together: it may have begun with the first of
// them that did. So may the silence of a name server that had just lost more than one question.
func (s *start) loss(r *probe.Result, v probe.Verdict) {
	silent := v.Layer == probe.LayerDNS && v.Cause == probe.CauseTimedOut
	if !silent && v.Cause != probe.CauseLoss && v.Cause != probe.CauseSlow {
		return
	}
	for _, p := range r.Paths {
		if silent && (p.Resent < 2 || r.Started.Sub(p.Clean) > recentLoss) {
			continue
		}
		if v.Layer == probe.LayerDNS == p.Names && !p.Clean.IsZero() && !s.After.IsZero() && p.Clean.Before(s.After) {
			s.After = p.Clean
		}
	}
}

// heldOpen takes what the long-lived connections say in a bad round: they ask every second and so date the start
// finer than rounds do. Only the first word counts, and only when it fits to what the lanes saw: a connection that
// served on while new ones failed says nothing about them, and neither does one that had failed before the last
// good round.
func (s *start) heldOpen(r *probe.Result) {
	for i := range r.Lanes {
		l := &r.Lanes[i]
		bad, failing := heldBad(l)
		switch {
		case !failing || s.After.IsZero():
		case l.Of == "":
			s.heldFront(l.HeldOpen, bad)
		default:
			s.heldBeside(r, l, bad)
		}
	}
}

// heldFront takes the word of the connection that goes the users' way.
func (s *start) heldFront(h *probe.HeldOpenFacts, bad time.Time) {
	after := h.LastGoodSent
	if h.Mute {
		after = s.After // only kernels spoke: that says nothing good about the service
	}
	if after.After(s.Bad) && after.Sub(s.Bad) <= underWay {
		after = s.Bad // it was under way when the first stage that failed began
	}
	if s.HeldBefore.IsZero() && !after.IsZero() && !after.After(s.Bad) && bad.After(s.After) && bad.After(after) {
		s.HeldAfter, s.HeldBefore = after, bad
	}
}

// heldBeside takes the word of a connection that ends at a hop or a backend, for the case that the verdict names that one
// and the front's own connection cannot speak. It tells when the fault was there, not until when all was well: others of
// its clients may have suffered before. It counts only for the one of its kind and role, which also fails new
// connections now.
func (s *start) heldBeside(r *probe.Result, l *probe.Lane, bad time.Time) {
	first := !slices.ContainsFunc(s.Beside, func(b beside) bool { return b.Of == l.Of && b.Role == l.Role })
	if first && !l.HeldOpen.Mute && bad.After(s.After) && onlyOne(r, l) && !heldFrontServes(r) {
		s.Beside = append(s.Beside, beside{l.Of, l.Role, bad})
	}
}

// onlyOne tells that the lane that a connection accompanies is the only one of its kind and role, and fails.
func onlyOne(r *probe.Result, held *probe.Lane) bool {
	n, failed := 0, false
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Lane == held.Of && l.Role == held.Role && !l.Extra {
			n++
			failed = slices.ContainsFunc(l.Stages, func(x probe.Stage) bool { return x.Outcome == probe.Failed })
		}
	}
	return n == 1 && failed
}

// heldFrontServes tells that the front's own connection goes on.
func heldFrontServes(r *probe.Result) bool {
	return slices.ContainsFunc(r.Lanes, func(l probe.Lane) bool {
		_, failing := heldBad(&l)
		return l.Lane == probe.LaneHeldOpen && l.Of == "" && !failing
	})
}

// heldBad is when a held-open lane began to fail, if it is failing. That a mute connection ended dates nothing: servers
// end those on which they hear nothing.
func heldBad(l *probe.Lane) (time.Time, bool) {
	if l.Lane != probe.LaneHeldOpen || l.HeldOpen == nil {
		return time.Time{}, false
	}
	missed, died := l.HeldOpen.Missed, l.HeldOpen.Died
	if !l.HeldOpen.Mute && (missed.IsZero() || !died.IsZero() && died.Before(missed)) {
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
	for _, x := range s.Beside {
		if s.HeldBefore.IsZero() && x.of(v) && oldConnectionsSuffer(v) && x.Bad.Before(before) {
			before = x.Bad
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

// oldConnectionsSuffer is false for faults that only new connections meet, and for loss, which every connection meets at
// another time.
func oldConnectionsSuffer(v probe.Verdict) bool {
	switch v.Cause {
	case probe.CauseLoss, probe.CauseNewDropped, probe.CauseRefusesClients, probe.CauseTLSRefused, probe.CauseNotTLS,
		probe.CauseCertExpired, probe.CauseCertName, probe.CauseCertAuthority, probe.CauseCertInvalid:
		return false
	}
	return v.Layer != probe.LayerDNS && v.Layer != probe.LayerProber
}
