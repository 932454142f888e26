package alert

import (
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// badRound is one whose front and backend time out, and which held-open connections say something about.
func badRound(at time.Time, held ...probe.Lane) *probe.Result {
	failed := func(kind probe.LaneKind, role probe.Role) probe.Lane {
		return probe.Lane{Lane: kind, Role: role, Stages: []probe.Stage{{Stage: probe.StageRequest, Outcome: probe.Failed, Type: probe.HTTPTimedOut,
			Started: at, Duration: probe.Seconds(3 * time.Second)}}}
	}
	lanes := []probe.Lane{failed(probe.LaneFront, probe.RoleFront), failed(probe.LaneBackend, probe.RoleBackend),
		{Lane: probe.LaneVia, Role: probe.RoleProxy, Stages: []probe.Stage{{Stage: probe.StageTLS, Outcome: probe.OK, Started: at}}}}
	return &probe.Result{Target: "orders", Started: at, Ended: at.Add(3 * time.Second), Lanes: append(lanes, held...)}
}

// TestStartByHeldOpen: whose word counts for the start. The last good round was 10 s before the first bad one.
func TestStartByHeldOpen(t *testing.T) {
	at := epoch.Add(time.Hour)
	const s = time.Second
	held := func(of probe.LaneKind, role probe.Role, sent, missed time.Duration) probe.Lane {
		return probe.Lane{Lane: probe.LaneHeldOpen, Of: of, Role: role,
			HeldOpen: &probe.HeldOpenFacts{LastGoodSent: at.Add(sent), LastGoodAnswered: at.Add(sent), Missed: at.Add(missed)}}
	}
	mute := func(l probe.Lane) probe.Lane { l.HeldOpen.Mute = true; return l }
	serving := held("", probe.RoleFront, -s, 0)
	serving.HeldOpen.Missed = time.Time{}
	died := mute(held("", probe.RoleFront, -5*s, 0))
	died.HeldOpen.Missed, died.HeldOpen.Died = time.Time{}, at.Add(-4*s)
	twoBackends := badRound(at, held(probe.LaneBackend, probe.RoleBackend, -5*s, -4*s))
	twoBackends.Lanes = append(twoBackends.Lanes, twoBackends.Lanes[1])

	backend := down(probe.LayerBackend, probe.CauseFrozen, probe.Likely)
	for name, c := range map[string]struct {
		round         *probe.Result
		verdict       probe.Verdict
		after, before time.Duration
	}{
		"nobody speaks":                       {badRound(at), backend, -10 * s, 3 * s},
		"the front's own":                     {badRound(at, held("", probe.RoleFront, -5*s, -4*s)), backend, -5 * s, -4 * s},
		"the front's, before the backend's":   {badRound(at, held(probe.LaneBackend, probe.RoleBackend, -7*s, -6*s), held("", probe.RoleFront, -5*s, -4*s)), backend, -5 * s, -4 * s},
		"the backend's":                       {badRound(at, held(probe.LaneBackend, probe.RoleBackend, -5*s, -4*s)), backend, -10 * s, -4 * s},
		"the backend's, another layer":        {badRound(at, held(probe.LaneBackend, probe.RoleBackend, -5*s, -4*s)), down(probe.LayerNetwork, probe.CausePathDown, probe.Likely), -10 * s, 3 * s},
		"the backend's, new ones are met":     {badRound(at, held(probe.LaneBackend, probe.RoleBackend, -5*s, -4*s)), down(probe.LayerBackend, probe.CauseCertExpired, probe.Likely), -10 * s, 3 * s},
		"the backend's, the front's serves":   {badRound(at, held(probe.LaneBackend, probe.RoleBackend, -5*s, -4*s), serving), backend, -10 * s, 3 * s},
		"the backend's, from long before":     {badRound(at, held(probe.LaneBackend, probe.RoleBackend, -50*s, -40*s)), backend, -10 * s, 3 * s},
		"the backend's, of two":               {twoBackends, backend, -10 * s, 3 * s},
		"the backend's kernel":                {badRound(at, mute(held(probe.LaneBackend, probe.RoleBackend, -5*s, -4*s))), backend, -10 * s, 3 * s},
		"a proxy's that serves new ones":      {badRound(at, held(probe.LaneVia, probe.RoleProxy, -5*s, -4*s)), down(probe.LayerProxy, probe.CauseFrozen, probe.Likely), -10 * s, 3 * s},
		"a control's":                         {badRound(at, mute(held(probe.LaneControl, probe.RoleBackend, -5*s, -4*s))), backend, -10 * s, 3 * s},
		"the front's kernel fell silent":      {badRound(at, mute(held("", probe.RoleFront, -5*s, -4*s))), down(probe.LayerHost, probe.CauseHostDown, probe.Likely), -10 * s, -4 * s},
		"a mute connection was ended":         {badRound(at, died), backend, -10 * s, 3 * s},
		"the backend's, after the lanes' own": {badRound(at, held(probe.LaneBackend, probe.RoleBackend, 2*s, 5*s)), backend, -10 * s, 3 * s},
	} {
		t.Run(name, func(t *testing.T) {
			good := &lastGood{}
			past := badRound(at.Add(-10 * s))
			for i := range past.Lanes {
				past.Lanes[i].Stages[0].Outcome = probe.OK
			}
			good.note(past)
			start := startOf(c.round, faultsOf(c.round), good)
			start.heldOpen(c.round)
			again := badRound(at.Add(4*s), held(probe.LaneBackend, probe.RoleBackend, -9*s, -8*s)) // only the first word counts
			if len(start.Beside) > 0 {
				start.heldOpen(again)
			}
			b := start.bounds(c.verdict)
			if b.StartsAfter.Sub(at) != c.after || b.StartsBefore.Sub(at) != c.before {
				t.Errorf("from %v to %v, want %v to %v", b.StartsAfter.Sub(at), b.StartsBefore.Sub(at), c.after, c.before)
			}
		})
	}
}

// TestEndByHeldOpen: only the front's own connection, if it asks, dates the end.
func TestEndByHeldOpen(t *testing.T) {
	at := epoch.Add(time.Hour)
	for name, c := range map[string]struct {
		of   probe.LaneKind
		mute bool
		want time.Duration // after the first good round began
	}{
		"the front's":        {"", false, -2 * time.Second},
		"the front's kernel": {"", true, 3 * time.Second},
		"the backend's":      {probe.LaneBackend, false, 3 * time.Second},
		"a control's":        {probe.LaneControl, true, 3 * time.Second},
	} {
		facts := probe.HeldOpenFacts{Mute: c.mute, Missed: at.Add(-time.Minute)}
		bad := badRound(at.Add(-10*time.Second), probe.Lane{Lane: probe.LaneHeldOpen, Of: c.of, HeldOpen: &facts})
		v := down(probe.LayerBackend, probe.CauseFrozen, probe.Likely)
		var e end
		e.bad(bad, faultsOf(bad), v)
		well := probe.HeldOpenFacts{Mute: c.mute, GoodSince: at.Add(-2 * time.Second), LastGoodAnswered: at}
		good := badRound(at, probe.Lane{Lane: probe.LaneHeldOpen, Of: c.of, HeldOpen: &well})
		for i := range good.Lanes {
			if len(good.Lanes[i].Stages) > 0 {
				good.Lanes[i].Stages[0].Outcome = probe.OK
			}
		}
		if _, before := e.good(good, v, resolveRounds, false); before.Sub(at) != c.want {
			t.Errorf("%s: ends before %v, want %v", name, before.Sub(at), c.want)
		}
	}
}

// TestStartByLoss: loss is known by many rounds together, so that it may have begun with the first that had to send
// something again.
func TestStartByLoss(t *testing.T) {
	at := epoch.Add(time.Hour)
	round := &probe.Result{Target: "orders", Started: at, Ended: at.Add(time.Second),
		Paths: []probe.Path{{Address: "10.0.0.1:443", Tries: 12, Resent: 6, Clean: at.Add(-20 * time.Second)}}}
	for cause, want := range map[probe.Cause]time.Duration{probe.CauseLoss: -20 * time.Second, probe.CauseFrozen: -2 * time.Second} {
		s := start{After: at.Add(-2 * time.Second), Before: at.Add(time.Second), Bad: at}
		s.loss(round, probe.Verdict{State: probe.Degraded, Layer: probe.LayerNetwork, Cause: cause})
		if got := s.After.Sub(at); got != want {
			t.Errorf("%s: after %v, want %v", cause, got, want)
		}
	}
}

// TestStartOfSilentNames: a name server that lost questions shortly before it fell silent may have been broken since then;
// one question that was lost, or long ago, says nothing.
func TestStartOfSilentNames(t *testing.T) {
	at := epoch.Add(time.Hour)
	for _, c := range []struct {
		resent int
		clean  time.Duration
		want   time.Duration
	}{{2, -9 * time.Second, -9 * time.Second}, {1, -9 * time.Second, -2 * time.Second}, {2, -time.Minute, -2 * time.Second}} {
		round := &probe.Result{Target: "orders", Started: at, Ended: at.Add(time.Second),
			Paths: []probe.Path{{Address: "10.0.0.53:53", Names: true, Tries: 12, Resent: c.resent, Clean: at.Add(c.clean)}}}
		s := start{After: at.Add(-2 * time.Second), Before: at.Add(time.Second), Bad: at}
		s.loss(round, probe.Verdict{State: probe.Down, Layer: probe.LayerDNS, Cause: probe.CauseTimedOut})
		if got := s.After.Sub(at); got != c.want {
			t.Errorf("%+v: after %v", c, got)
		}
	}
}
