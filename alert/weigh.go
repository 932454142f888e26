package alert

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// count takes a bad round into all that weighs failures.
func (t *Tracker) count(r *probe.Result, v probe.Verdict, faults []fault) {
	s := &t.s
	began, failed := r.Started, r.Ended
	var blame *fault
	if len(faults) > 0 {
		began, failed = faults[0].stage.Started, faults[0].stage.Ended()
		if l := faults[0].lane; l.Lane == probe.LaneFront && !l.Extra && faults[0].stage.Stage != probe.StageResolve {
			blame = &faults[0]
		}
	}
	first := startOf(r, faults, &s.Good)
	s.Detector.Bad(began, failed, served(v))
	s.Pattern.note(!served(v), first)
	s.Recurs = s.Recurs || s.Pattern.recurs(s.From)
	if blame != nil {
		first.After = s.Good.here(*blame)
	}
	s.Members.note(r, true, blame, first, served(v))
	if s.Detector.Consecutive >= hardRun && s.Detector.Certain(t.detect.Confirm.Std()) {
		s.Mild = notMild
	}
}

// served tells that users were served in a bad round, if after packets had been sent again.
func served(v probe.Verdict) bool {
	return v.State == probe.Degraded && (v.Rule == probe.RuleUnusual || v.Cause == probe.CauseLoss || v.Layer == probe.LayerDNS && v.Cause == probe.CauseSlow)
}

// hardRun is how many failures in a row are enough by themselves.
const hardRun = 4

// restart lets a spell that nobody has been told of begin later: where a run of failures begins that is enough by
// itself, what failed once before some good rounds had another reason.
func (t *Tracker) restart(r *probe.Result, v probe.Verdict, faults []fault) {
	s := &t.s
	if s.GoodRun >= resolveRounds {
		fresh := startOf(r, faults, &s.Good)
		fresh.loss(r, v)
		s.Run = &fresh
	}
	if s.Run == nil || s.Incident.State == Open || s.Incident.State == Recovering {
		s.Run = nil
		return
	}
	s.Run.heldOpen(r)
	if s.Detector.Consecutive >= hardRun {
		s.Start, s.Run = *s.Run, nil
		s.Detector.Since = later(s.Detector.Since, s.Start.Bad)
	}
}

// heldRecent is how long before a round's failure that of a held-open connection may be and still be a part of it.
const heldRecent = 10 * time.Second

// heldAgrees tells that the front's held-open connection had failed about a second before the round's own lanes did: that
// is a second failure, so that one round that times out is enough to set machines in motion.
func heldAgrees(r *probe.Result, failed time.Time) bool {
	return slices.ContainsFunc(r.Lanes, func(l probe.Lane) bool {
		t, failing := heldBad(&l)
		before := failed.Sub(t)
		return failing && l.Of == "" && before >= suspectSpan && before <= heldRecent
	})
}

// suspicious tells that machines should be set in motion.
func (t *Tracker) suspicious(r *probe.Result) bool {
	s := &t.s
	if s.Detector.Suspicious() || heldAgrees(r, s.Detector.LastBad) || s.Pattern.certain() {
		return true
	}
	l := frontLane(r)
	return l != nil && s.Members.suspicious(l.Address)
}
