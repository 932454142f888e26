package alert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

var defaultDetect = config.Detect{Confirm: config.Duration(20 * time.Second), Resolve: config.Duration(60 * time.Second),
	Reopen: config.Duration(10 * time.Minute)}

// story checks what must hold of every stream of events, whatever the world.
type story struct {
	t      *testing.T
	detect config.Detect
	state  map[string]State
	events []Event
}

func newStory(t *testing.T, d config.Detect) *story {
	return &story{t: t, detect: d, state: map[string]State{}}
}

func (s *story) saw(e Event) {
	s.events = append(s.events, e)
	i := e.Incident
	if i == nil {
		return
	}
	s.ordered(i, e.Time)
	was, legal := s.state[i.ID], false
	switch e.Event {
	case EventSuspect:
		legal = was == "" || was == Resolved || was == Dismissed && i.Reopened >= 0
	case EventOpened:
		legal = was == Suspected
		span := e.Lanes[0].Stages[len(e.Lanes[0].Stages)-1].Ended().Sub(first(i))
		if span < s.detect.Confirm.Std() {
			s.t.Errorf("%s opened on %v of evidence", i.ID, span)
		}
	case EventUpdated:
		legal = was == Open || was == Recovering
	case EventResolved:
		legal = was == Open
		if i.EndsBefore == nil || i.ResolvedAt == nil || i.ResolvedAt.Sub(*i.EndsAfter) < s.detect.Resolve.Std() {
			s.t.Errorf("%s resolved too soon: %+v", i.ID, i.Bounds)
		}
	case EventDismissed:
		legal = was == Suspected
	case EventGap:
		return
	}
	if !legal {
		s.t.Errorf("%s: %s after %q", i.ID, e.Event, was)
	}
	s.state[i.ID] = i.State
	if e.Event == EventUpdated {
		s.state[i.ID] = Open
	}
}

// first is the earliest instant that can belong to the spell's evidence.
func first(i *Incident) time.Time {
	if n := len(i.Spells); n > 0 {
		if a := i.Spells[n-1].StartsAfter; a != nil {
			return *a
		}
	}
	if i.StartsAfter == nil {
		return epoch
	}
	return *i.StartsAfter
}

func (s *story) ordered(i *Incident, now time.Time) {
	for _, b := range append([]Bounds{i.Bounds}, i.Spells...) {
		if b.StartsAfter != nil && !b.StartsAfter.Before(b.StartsBefore) {
			s.t.Errorf("%s: start after %v, before %v", i.ID, b.StartsAfter, b.StartsBefore)
		}
		if (b.EndsAfter == nil) != (b.EndsBefore == nil) || b.EndsAfter != nil && !b.EndsAfter.Before(*b.EndsBefore) {
			s.t.Errorf("%s: end after %v, before %v", i.ID, b.EndsAfter, b.EndsBefore)
		}
		if b.EndsAfter != nil && b.StartsAfter != nil && b.EndsAfter.Before(*b.StartsAfter) {
			s.t.Errorf("%s: ended after %v, began after %v", i.ID, b.EndsAfter, b.StartsAfter)
		}
	}
	if lo, hi := i.Duration(now); lo < 0 || hi != 0 && hi < lo {
		s.t.Errorf("%s: lasted at least %v, at most %v", i.ID, lo, hi)
	}
}

func (s *story) last(k Kind) *Incident {
	for n := len(s.events) - 1; n >= 0; n-- {
		if s.events[n].Event == k {
			return s.events[n].Incident
		}
	}
	return nil
}

// TestBoundsHoldTheTruth breaks thousands of worlds for good and heals them again.
func TestBoundsHoldTheTruth(t *testing.T) {
	widest := map[string]time.Duration{}
	for seed := range uint64(1500) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := &world{rand: rnd, every: time.Duration(5+rnd.IntN(26)) * time.Second, heldOpen: rnd.IntN(2) == 0}
		from := epoch.Add(time.Minute + w.ms(0, 60000))
		to := from.Add(80*time.Second + w.ms(0, 120000))
		o := outage{span{from, to}, mechanism(rnd.IntN(int(mechanisms))), 1}
		w.outages = []outage{o}
		if rnd.IntN(4) == 0 {
			w.blind = 0.2
		}
		if rnd.IntN(4) == 0 {
			p := from.Add(-time.Minute + w.ms(0, 180000))
			w.pauses = []span{{p, p.Add(w.ms(1000, 30000))}}
		}
		s := newStory(t, defaultDetect)
		w.run(to.Add(10*time.Minute), defaultDetect, s.saw)
		i := s.last(EventResolved)
		if i == nil && (w.pauses != nil || w.blind > 0) && s.last(EventOpened) == nil {
			continue // too little of it was seen
		}
		if i == nil {
			t.Fatalf("seed %d: %+v never resolved: %v", seed, o, s.state)
		}
		unbounded := i.StartsAfter == nil && w.blind > 0 // nothing good was seen before
		if i.StartsAfter == nil && !unbounded || !unbounded && i.StartsAfter.After(from) || from.After(i.StartsBefore) {
			t.Fatalf("seed %d: %+v (blind %v, pauses %v) began %v, not in (%v, %v]", seed, o, w.blind, w.pauses, from, i.StartsAfter, i.StartsBefore)
		}
		if i.EndsAfter.After(to) || to.After(*i.EndsBefore) {
			t.Fatalf("seed %d: %+v ended %v, not in (%v, %v]", seed, o, to, i.EndsAfter, i.EndsBefore)
		}
		if w.blind == 0 && w.pauses == nil {
			key := fmt.Sprintf("mechanism %d heldopen %v", o.mechanism, w.heldOpen)
			widest[key+" start"] = max(widest[key+" start"], i.StartsBefore.Sub(*i.StartsAfter))
			widest[key+" end"] = max(widest[key+" end"], i.EndsBefore.Sub(*i.EndsAfter))
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, m := range []mechanism{refused, dropped, frozen_, status, lost} {
		if got := widest[fmt.Sprintf("mechanism %d heldopen true start", m)]; got > 2300*time.Millisecond {
			t.Errorf("mechanism %d: a held-open connection leaves the start %v wide", m, got)
		}
	}
	if got := widest["mechanism 2 heldopen false end"]; got > thawTime {
		t.Errorf("the end of a freeze is %v wide", got)
	}
	for _, m := range []mechanism{refused, status} {
		if got := widest[fmt.Sprintf("mechanism %d heldopen false end", m)]; got > 2500*time.Millisecond {
			t.Errorf("mechanism %d: the end is %v wide", m, got)
		}
	}
	for k, d := range widest {
		t.Log(k, d)
	}
}

// TestNoisyWorlds has partial outages, flapping, single failures and blindness: the story must stay in order, and an
// incident that opened must be resolved once all is well.
func TestNoisyWorlds(t *testing.T) {
	opened := 0
	for seed := range uint64(250) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		w := &world{rand: rnd, every: time.Duration(1+rnd.IntN(20)) * time.Second, heldOpen: rnd.IntN(2) == 0,
			noise: rnd.Float64() * 0.05, blind: rnd.Float64() * 0.1}
		at := epoch
		for range 1 + rnd.IntN(5) {
			at = at.Add(w.ms(1000, 400000))
			end := at.Add(w.ms(500, 300000))
			w.outages = append(w.outages, outage{span{at, end}, mechanism(rnd.IntN(int(mechanisms))), []float64{0.3, 0.5, 1}[rnd.IntN(3)]})
			at = end
		}
		s := newStory(t, defaultDetect)
		tr := w.run(at, defaultDetect, s.saw)
		w.noise, w.blind = 0, 0
		for range 200 {
			r, v := w.look(probe.BySchedule)
			for _, e := range tr.Observe(r, v).Events {
				s.saw(e)
			}
			w.now = w.now.Add(2 * time.Second)
		}
		for id, state := range s.state {
			if state != Resolved && state != Dismissed {
				t.Errorf("seed %d: %s is still %s", seed, id, state)
			}
		}
		if s.last(EventOpened) != nil {
			opened++
		}
		if tr.Incident() != nil || len(tr.History()) != 0 {
			t.Errorf("seed %d: an incident is left over", seed)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if opened < 135 {
		t.Errorf("only %d of 250 worlds opened an incident: the test shows little", opened)
	}
}

// TestQuietPath counts the false alarms of a path that fails one probe in 1000 by chance.
func TestQuietPath(t *testing.T) {
	w := &world{rand: rand.New(rand.NewPCG(7, 7)), every: 10 * time.Second, noise: 0.001}
	s := newStory(t, defaultDetect)
	w.run(epoch.AddDate(0, 0, 10), defaultDetect, s.saw)
	if i := s.last(EventOpened); i != nil {
		t.Errorf("a false alarm in ten days: %+v", i)
	}
}

// TestHalfOutageIsNeverMissed fails half of the probes for five minutes.
func TestHalfOutageIsNeverMissed(t *testing.T) {
	const worlds = 400
	opened := 0
	for seed := range uint64(worlds) {
		w := &world{rand: rand.New(rand.NewPCG(seed, 3)), every: 10 * time.Second}
		from := epoch.Add(2*time.Minute + w.ms(0, 10000))
		w.outages = []outage{{span{from, from.Add(5 * time.Minute)}, refused, 0.5}}
		s := newStory(t, defaultDetect)
		w.run(from.Add(8*time.Minute), defaultDetect, s.saw)
		if s.last(EventOpened) == nil {
			t.Errorf("seed %d: missed", seed)
			continue
		}
		opened++
	}
	t.Logf("half of the probes fail for 5 minutes: %d of %d opened", opened, worlds)
}

func TestHardOutageOpensSoon(t *testing.T) {
	var took []time.Duration
	for seed := range uint64(400) {
		w := &world{rand: rand.New(rand.NewPCG(seed, 4)), every: 10 * time.Second}
		from := epoch.Add(2*time.Minute + w.ms(0, 10000))
		w.outages = []outage{{span{from, from.Add(5 * time.Minute)}, refused, 1}}
		s := newStory(t, defaultDetect)
		w.run(from.Add(8*time.Minute), defaultDetect, s.saw)
		took = append(took, s.last(EventOpened).OpenedAt.Sub(from))
	}
	slices.Sort(took)
	n := len(took)
	t.Logf("a hard outage at a 10 s interval: opened after %v, p99 %v, at most %v", took[n/2], took[n*99/100], took[n-1])
	if took[n*99/100] > 30*time.Second || took[n-1] > 31*time.Second {
		t.Errorf("the slowest alarms came after %v", took[n-5:])
	}
}

func TestRelapseReopensTheSameIncident(t *testing.T) {
	w := &world{rand: rand.New(rand.NewPCG(1, 5)), every: 10 * time.Second}
	a, b := epoch.Add(time.Minute), epoch.Add(8*time.Minute)
	w.outages = []outage{{span{a, a.Add(2 * time.Minute)}, frozen_, 1}, {span{b, b.Add(2 * time.Minute)}, refused, 1}}
	s := newStory(t, defaultDetect)
	w.run(b.Add(8*time.Minute), defaultDetect, s.saw)
	i := s.last(EventResolved)
	if len(s.state) != 1 || i.Reopened != 1 || len(i.Spells) != 2 {
		t.Fatalf("incidents %v, reopened %d, spells %v", s.state, i.Reopened, i.Spells)
	}
	for n, o := range w.outages {
		sp := i.Spells[n]
		if sp.StartsAfter.After(o.from) || o.from.After(sp.StartsBefore) || sp.EndsAfter.After(o.to) || o.to.After(*sp.EndsBefore) {
			t.Errorf("spell %d: %v to %v not in %+v", n, o.from, o.to, sp)
		}
	}
	if i.StartsBefore != i.Spells[0].StartsBefore || *i.EndsBefore != *i.Spells[1].EndsBefore {
		t.Errorf("the incident's bounds %+v do not span its spells %+v", i.Bounds, i.Spells)
	}
	if i.Verdict.Cause != probe.CauseProcessDead {
		t.Errorf("verdict of the relapse: %s", i.Verdict.Cause)
	}
}

func TestBrokenFromTheBeginning(t *testing.T) {
	w := &world{rand: rand.New(rand.NewPCG(1, 6)), every: 10 * time.Second}
	w.outages = []outage{{span{epoch.Add(-time.Hour), epoch.Add(2 * time.Minute)}, refused, 1}}
	s := newStory(t, defaultDetect)
	w.run(epoch.Add(5*time.Minute), defaultDetect, s.saw)
	i := s.last(EventResolved)
	if i == nil || i.StartsAfter != nil {
		t.Fatalf("want a resolved incident without a lower bound of its start, got %+v", i)
	}
}

// FuzzTracker feeds rounds that no prober makes.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 200, 100, 50, 25, 1, 1, 1, 1, 1, 1, 9, 9, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := NewTracker("t", defaultDetect, func(t time.Time) string { return "id" })
		now := epoch
		for n := 0; n+2 < len(b); n += 3 {
			now = now.Add(time.Duration(int8(b[n])) * time.Second)
			states := []probe.State{probe.Up, probe.Down, probe.Degraded, probe.Unknown, ""}
			types := []probe.Type{probe.TCPTimedOut, probe.TLSTimedOut, probe.HTTPStatus, probe.DNSTimedOut}
			outs := []probe.Outcome{probe.OK, probe.Failed, probe.Slow, probe.NoData, probe.Skipped}
			r := &probe.Result{Started: now, Ended: now.Add(time.Duration(b[n+1]) * 50 * time.Millisecond), Lanes: []probe.Lane{
				{Lane: probe.LaneFront, Stages: []probe.Stage{{Stage: probe.StageNames[b[n+1]%5], Outcome: outs[b[n+2]%5], Type: types[b[n]%4],
					Started: now, Duration: probe.Seconds(b[n+2]) * 1e7}}},
				{Lane: probe.LaneHeldOpen, HeldOpen: &probe.HeldOpenFacts{LastGoodSent: now.Add(-time.Duration(b[n+1]) * time.Second), Missed: now}}}}
			if b[n]%7 == 0 {
				r.Lanes = nil
			}
			if b[n]%5 == 0 {
				r.Late = []probe.LateAnswer{{Lane: probe.LaneFront, OK: true, Ended: now}}
			}
			tr.Observe(r, probe.Verdict{State: states[b[n+2]%5], Cause: []probe.Cause{probe.CauseFrozen, probe.CauseSlow}[b[n]&1], Layer: probe.LayerProxy})
			if n := len(tr.History()); n > historyLimit {
				t.Fatalf("a history of %d rounds", n)
			}
		}
	})
}

// TestSuspectByHeldOpen: a held-open connection that failed a second before the round did is the second failure.
func TestSuspectByHeldOpen(t *testing.T) {
	start := time.Date(2026, 11, 22, 14, 3, 0, 0, time.UTC)
	round := func(missed time.Duration, of probe.LaneKind) *probe.Result {
		r := &probe.Result{Target: "orders", Started: start, Ended: start.Add(3 * time.Second), Lanes: []probe.Lane{{
			Lane: probe.LaneFront,
			Stages: []probe.Stage{{Stage: probe.StageTLS, Outcome: probe.Failed, Type: probe.TLSTimedOut, Started: start,
				Duration: probe.Seconds(3 * time.Second)}},
		}}}
		if missed != 0 {
			r.Lanes = append(r.Lanes, probe.Lane{Lane: probe.LaneHeldOpen, Of: of, HeldOpen: &probe.HeldOpenFacts{Missed: start.Add(missed)}})
		}
		return r
	}
	for missed, want := range map[time.Duration]int{
		0: 0, 200 * time.Millisecond: 1, 2900 * time.Millisecond: 0, -time.Minute: 0,
	} {
		for _, of := range []probe.LaneKind{probe.LaneVia, probe.LaneBackend, probe.LaneControl} {
			tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
			if step := tr.Observe(round(missed, of), probe.Verdict{State: probe.Down}); len(step.Events) != 0 {
				t.Errorf("missed at %v beside a %s lane: %+v", missed, of, step.Events)
			}
		}
		tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
		step := tr.Observe(round(missed, ""), probe.Verdict{State: probe.Down, Layer: probe.LayerProxy, Cause: probe.CauseFrozen})
		if len(step.Events) != want || want == 1 && step.Events[0].Event != EventSuspect {
			t.Errorf("missed at %v: %+v, want %d suspect", missed, step.Events, want)
		}
	}
}
