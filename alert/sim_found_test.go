package alert

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// The tests of this file are what TestSim found, each boiled down to its core.

// crash lets nothing survive but what was kept.
func (o *office) crash(t *testing.T, store *ram, receivers ...config.Receiver) {
	t.Helper()
	b := o.Flush()
	if err := store.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	maintenance := o.lines[0].ledger.maintenance
	o.Outbox = NewOutbox(&config.Config{Receivers: receivers})
	if _, err := o.Restore(store.saved()); err != nil {
		t.Fatal(err)
	}
	for _, l := range o.lines {
		l.ledger.maintenance = maintenance
	}
}

// TestOneRelapseOfTwo: of two that failed together the second relapses alone, under the first one's name, and then the
// first one too, for another reason: there must not be two courses of events under one name.
func TestOneRelapseOfTwo(t *testing.T) {
	t.Parallel()
	o := newOffice(people("ops"))
	o.happens(0, EventOpened, "1", "orders", front1)
	o.happens(time.Second, EventOpened, "2", "shop", front2)
	o.happens(time.Minute, EventResolved, "2", "shop", front2)
	o.happens(time.Second, EventResolved, "1", "orders", front1)
	o.happens(time.Minute, EventOpened, "2", "shop", front2)
	o.happens(time.Minute, EventOpened, "1", "orders", front3)
	o.happens(time.Minute, EventResolved, "2", "shop", front2)
	o.happens(time.Minute, EventResolved, "1", "orders", front3)
	o.want(t, "ops: opened 1 orders", "ops: resolved 1 orders orders=resolved,shop=resolved",
		"ops: opened 1 shop shop=open", "ops: resolved 1 shop shop=resolved,orders=resolved")
}

// TestWhatATickDidIsKept: a receiver that hears of ends alone is told nothing at the end of a maintenance, but what it
// will be told of has begun for it.
func TestWhatATickDidIsKept(t *testing.T) {
	t.Parallel()
	r := config.Receiver{Name: "ops", On: []config.Transition{config.Resolved}}
	o, store := newOffice(r), newRAM()
	until := epoch.Add(time.Minute)
	o.lines[0].ledger.maintenance = func(_ string, at time.Time) time.Time {
		if at.Before(until) {
			return until
		}
		return time.Time{}
	}
	o.happens(0, EventOpened, "1", "orders", front1)
	o.passes(2 * time.Minute)
	o.crash(t, store, r)
	o.happens(time.Minute, EventResolved, "1", "orders", front1)
	o.want(t, "ops: resolved 1 orders")
}

// TestRemindersAfterTheClockWasSetBack come again soon, not a day later.
func TestRemindersAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	r := config.Receiver{Name: "ops", Repeat: config.Duration(time.Minute)}
	o, store := newOffice(r), newRAM()
	o.happens(0, EventOpened, "1", "orders", front1)
	o.crash(t, store, r)
	o.now = o.now.Add(-24 * time.Hour)
	o.passes(time.Minute + 2*time.Second)
	o.want(t, "ops: opened 1 orders", "ops: reminder 1 orders")
}

// TestResolvedAfterTheClockWasSetBack: an incident ends a minute later, not a day later, with or without a restart.
func TestResolvedAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		b, store := newDeskBench(t, "orders"), newRAM()
		now := epoch
		b.now = func() time.Time { return now }
		b.take = func(e Entry) { _ = store.Commit(t.Context(), &e.Batch) }
		for range 20 {
			now = now.Add(2 * time.Second)
			b.Observe(round("orders", now, true))
		}
		now = now.Add(2 * time.Second)
		b.Observe(round("orders", now, false))
		now = now.Add(-24 * time.Hour)
		if restart {
			old := b
			b = newDeskBench(t, "orders")
			b.now, b.take = old.now, old.take
			b.Restore(t.Context(), store.saved(), store)
		}
		for range 40 {
			now = now.Add(2 * time.Second)
			b.Observe(round("orders", now, false))
		}
		if kinds := b.kinds("orders"); len(kinds) == 0 || kinds[len(kinds)-1] != EventResolved {
			t.Errorf("restart %v: the course of the incident: %v", restart, kinds)
		}
		for _, e := range b.events {
			if e.Gap != nil && e.Gap.To.Before(e.Gap.From) {
				t.Errorf("restart %v: a gap from %v to %v", restart, e.Gap.From, e.Gap.To)
			}
		}
		if n := len(b.Incidents()); n != 0 {
			t.Errorf("restart %v: %d incidents go on", restart, n)
		}
	}
}

// TestTroublesThatARestartEnds: that nothing could be written, and that a receiver refuses that is no longer there.
func TestTroublesThatARestartEnds(t *testing.T) {
	t.Parallel()
	cfg := func(receivers ...string) *config.Config {
		c := &config.Config{Targets: targets("orders")}
		for _, name := range receivers {
			c.Receivers = append(c.Receivers, config.Receiver{Name: name})
		}
		return c
	}
	about := func(name string) Trouble { return Trouble{Cause: probe.CauseReceiverRefuses, About: name} }
	left := func(b *deskBench) (out []string) {
		for _, i := range b.Incidents() {
			out = append(out, strings.TrimSpace(string(i.Verdict.Cause)+" "+i.About))
		}
		return out
	}
	store := newRAM()
	b := newDeskBench(t, "orders")
	b.take = func(e Entry) { _ = store.Commit(t.Context(), &e.Batch) }
	b.Reload(cfg("kept", "gone", "gone later"), epoch, nil)
	b.Begin(about("gone"), "token wrong")
	b.Begin(about("gone later"), "token wrong")
	b.Begin(about("kept"), "token wrong")
	b.Begin(Trouble{Cause: probe.CauseStateNotKept}, "disk full")
	b = newDeskBench(t, "orders")
	b.Reload(cfg("kept", "gone later"), epoch, nil)
	b.Restore(t.Context(), store.saved(), store)
	want := []string{"receiver_refuses gone later", "receiver_refuses kept"}
	if diff := cmp.Diff(want, sortedStrings(left(b))); diff != "" {
		t.Error(diff)
	}
	b.Reload(cfg("kept"), epoch, nil)
	if diff := cmp.Diff(want[1:], left(b)); diff != "" {
		t.Error(diff)
	}
}

// TestStartOfAnEarlierBegin: what a held-open connection said of the failure that tipped the scales is no bound of an
// earlier one that belongs to the same trouble.
func TestStartOfAnEarlierBegin(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	s := start{After: at(420), Before: at(424), Bad: at(423), HeldAfter: at(421), HeldBefore: at(422)}
	s.since(start{After: at(205), Before: at(215), Bad: at(214)})
	b := s.bounds(down(probe.LayerProxy, probe.CauseProcessDead, probe.Confirmed))
	if !b.StartsAfter.Equal(at(205)) || !b.StartsBefore.Equal(at(215)) {
		t.Errorf("it began in (%v, %v], want (%v, %v]", b.StartsAfter, b.StartsBefore, at(205), at(215))
	}
}

func sortedStrings(s []string) []string {
	slices.Sort(s)
	return s
}

// TestMaintenanceOfOneOfTwo: what another target does must not let go of the end of a maintenance.
func TestMaintenanceOfOneOfTwo(t *testing.T) {
	t.Parallel()
	o := newOffice(people("ops"))
	until := epoch.Add(time.Minute)
	o.lines[0].ledger.maintenance = func(target string, at time.Time) time.Time {
		if target == "orders" && at.Before(until) {
			return until
		}
		return time.Time{}
	}
	o.happens(0, EventOpened, "1", "orders", front1)
	o.happens(time.Second, EventSuspect, "2", "shop", front2)
	o.happens(time.Second, EventDismissed, "2", "shop", front2)
	o.want(t)
	o.passes(time.Minute)
	o.want(t, "ops: opened 1 orders orders=open,shop=dismissed")
}

// TestASuspicionEndsOnceAtARestart although it is too old by then.
func TestASuspicionEndsOnceAtARestart(t *testing.T) {
	t.Parallel()
	store := newRAM()
	b := newDeskBench(t, "orders")
	now := epoch
	cfg := &config.Config{Receivers: []config.Receiver{{Name: "ops", On: []config.Transition{config.Suspect, config.Dismissed}}}}
	o := NewOutbox(cfg)
	b.now = func() time.Time { return now }
	b.take = func(e Entry) {
		for _, x := range e.Events {
			o.Take(x, e.At)
		}
		kept := o.Flush()
		_ = store.Commit(t.Context(), &e.Batch)
		_ = store.Commit(t.Context(), &kept)
	}
	for range 3 {
		now = now.Add(2 * time.Second)
		b.Observe(round("orders", now, true))
	}
	again := newDeskBench(t, "orders")
	now = now.Add(time.Hour)
	again.now = b.now
	again.Restore(t.Context(), store.saved(), store)
	if diff := cmp.Diff([]Kind{EventSuspect}, b.kinds("orders")); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]Kind{EventGap, EventDismissed}, again.kinds("orders")); diff != "" {
		t.Error(diff)
	}
}

// TestTheRestIsTold to a receiver that has begun to hear of something and does not ask for it any more.
func TestTheRestIsTold(t *testing.T) {
	t.Parallel()
	o := newOffice(config.Receiver{Name: "ops", Repeat: config.Duration(time.Minute)})
	o.happens(0, EventOpened, "1", "orders", front1)
	o.Configure(&config.Config{Receivers: []config.Receiver{{Name: "ops", Repeat: config.Duration(time.Minute), Targets: []string{"shop"}}}})
	o.happens(time.Second, EventResolved, "1", "orders", front1)
	o.passes(5 * time.Minute)
	o.happens(time.Second, EventOpened, "1", "orders", front1)
	o.want(t, "ops: opened 1 orders", "ops: resolved 1 orders")
}

// TestOneRelapsesBeforeItIsTold: two failed together and were over before that could be told; that one of them relapses
// must not make the other one's outage unsaid.
func TestOneRelapsesBeforeItIsTold(t *testing.T) {
	t.Parallel()
	o := newOffice(people("ops"))
	o.lines[0].queue.until = epoch.Add(time.Hour) // the receiver is not to be tried before
	o.happens(0, EventOpened, "1", "orders", front1)
	o.happens(time.Second, EventOpened, "2", "shop", front2)
	o.happens(time.Minute, EventResolved, "1", "orders", front1)
	o.happens(time.Second, EventResolved, "2", "shop", front2)
	o.happens(time.Minute, EventOpened, "1", "orders", front1)
	o.happens(time.Minute, EventResolved, "1", "orders", front1)
	o.want(t)
	o.lines[0].queue.until = time.Time{}
	o.deliver()
	o.want(t, "ops: resolved whole 1 orders orders=resolved,shop=resolved", "ops: resolved whole 1 orders")
}

// TestALateHandshakeEndsNoErrors: a frozen proxy thaws and then answers with errors for a while. That an old handshake is
// answered is no end of that, whether the answer comes before or after the first error.
func TestALateHandshakeEndsNoErrors(t *testing.T) {
	t.Parallel()
	at := func(s float64) time.Time { return epoch.Add(time.Duration(s * float64(time.Second))) }
	front := func(s float64, stage probe.StageName, kind probe.Type, took float64) *probe.Result {
		x := probe.Stage{Stage: stage, Outcome: probe.Failed, Type: kind, Started: at(s), Duration: probe.Seconds(took * 1e9)}
		if kind == "" {
			x.Outcome = probe.OK
		}
		return &probe.Result{Target: "orders", Started: at(s), Ended: at(s + took), Lanes: []probe.Lane{{Lane: probe.LaneFront, Stages: []probe.Stage{x}}}}
	}
	frozen := down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
	for _, with := range []int{1, 2} { // the round that brings the late answer
		rounds := []*probe.Result{front(0, probe.StageTLS, probe.TLSTimedOut, 3), front(5, probe.StageRequest, probe.HTTPStatus, 0.01), front(10, probe.StageRequest, "", 0.01)}
		rounds[with].Late = []probe.LateAnswer{{Lane: probe.LaneFront, Stage: probe.StageTLS, Started: at(0), Ended: at(5.05), OK: true}}
		var e end
		for _, r := range rounds[:2] {
			e.late(r)
			e.bad(r, faultsOf(r), frozen)
		}
		e.late(rounds[2])
		if after, before := e.good(rounds[2], frozen, resolveRounds, false); !before.Equal(at(10.01)) || !after.Equal(at(5)) {
			t.Errorf("round %d: it ended in (%v, %v], want (%v, %v]", with, after, before, at(5), at(10.01))
		}
	}
}

// TestADismissedRelapseIsNoDismissedOutage: it would be missing where outages are counted.
func TestADismissedRelapseIsNoDismissedOutage(t *testing.T) {
	t.Parallel()
	b, store := newDeskBench(t, "orders"), newRAM()
	b.take = func(e Entry) { _ = store.Commit(t.Context(), &e.Batch) }
	for n := range 80 {
		b.Observe(round("orders", epoch.Add(time.Duration(n)*2*time.Second), n < 20))
	}
	for n := range 60 {
		b.Observe(round("orders", epoch.Add(4*time.Minute+time.Duration(n)*2*time.Second), n < 2))
	}
	if diff := cmp.Diff([]Kind{EventSuspect, EventOpened, EventResolved, EventSuspect, EventDismissed}, b.kinds("orders")); diff != "" {
		t.Fatal(diff)
	}
	for id, i := range store.incidents {
		if i.State != Resolved || i.ResolvedAt == nil || len(i.Spells) > 0 {
			t.Errorf("%s is kept as %s, resolved at %v, with the spells %v", id, i.State, i.ResolvedAt, i.Spells)
		}
	}
	if len(store.incidents) != 1 {
		t.Errorf("%d incidents", len(store.incidents))
	}
}
