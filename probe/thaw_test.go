package probe_test

import (
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// TestThaw freezes a proxy and lets it go on: the attempt that was left open and the held-open connection both date the
// end, and the held-open one the beginning.
func TestThaw(t *testing.T) {
	chain, err := lab.Start(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	target := startTarget(t, chain)
	untilHeld(t, target)

	frozen := time.Now()
	if err := chain.Break(lab.ProxyFrozen); err != nil {
		t.Fatal(err)
	}
	if by := <-target.Wake(); by != probe.ByHeldOpen {
		t.Errorf("woken by %s, want the held-open connection", by)
	}
	missed := time.Since(frozen)
	bad := target.Round(t.Context(), time.Now(), probe.ByHeldOpen)
	held := laneOf(t, &bad, probe.LaneHeldOpen).HeldOpen
	if !held.LastGoodSent.Before(frozen) || held.Missed.Before(frozen) || missed > time.Second {
		t.Errorf("frozen at %v, held-open: %+v, missed after %v", frozen, held, missed)
	}
	if front := laneOf(t, &bad, probe.LaneFront); !front.Hanging {
		t.Errorf("the front's attempt was not left open: %+v", front)
	}

	thawed := time.Now()
	if err := chain.Mend(lab.ProxyFrozen); err != nil {
		t.Fatal(err)
	}
	<-target.Wake()
	good := target.Round(t.Context(), time.Now(), probe.ByLate)
	still := func() bool { return !laneOf(t, &good, probe.LaneHeldOpen).HeldOpen.Missed.IsZero() }
	for (len(good.Late) == 0 || still()) && time.Since(thawed) < 5*time.Second {
		next := target.Round(t.Context(), time.Now(), probe.ByLate)
		good.Late, good.Lanes = append(good.Late, next.Late...), next.Lanes
	}
	if len(good.Late) != 1 || !good.Late[0].OK || good.Late[0].Ended.Before(thawed) || good.Late[0].Ended.Sub(thawed) > 500*time.Millisecond {
		t.Fatalf("thawed at %v, late: %+v", thawed, good.Late)
	}
	if held := laneOf(t, &good, probe.LaneHeldOpen).HeldOpen; held.GoodSince.Before(thawed) || held.GoodSince.Sub(thawed) > 500*time.Millisecond || !held.Missed.IsZero() {
		t.Errorf("thawed at %v, held-open: %+v", thawed, held)
	}
	if v := probe.Attribute(&good, []*probe.Result{&bad}); v.State != probe.Up {
		t.Errorf("after the thaw: %+v", v)
	}
}

func laneOf(t *testing.T, r *probe.Result, kind probe.LaneKind) *probe.Lane {
	t.Helper()
	for i := range r.Lanes {
		if r.Lanes[i].Lane == kind {
			return &r.Lanes[i]
		}
	}
	t.Fatalf("no lane %s in %+v", kind, r)
	return nil
}

// TestHangingLimit sees that no more than two attempts of a lane stay open in a frozen proxy's queue.
func TestHangingLimit(t *testing.T) {
	chain, err := lab.Start(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	target := startTarget(t, chain)
	untilHeld(t, target)
	if err := chain.Break(lab.ProxyFrozen); err != nil {
		t.Fatal(err)
	}
	hanging := 0
	for range 4 {
		r := target.Round(t.Context(), time.Now(), probe.ByReprobe)
		if laneOf(t, &r, probe.LaneFront).Hanging {
			hanging++
		}
	}
	if hanging != 2 {
		t.Errorf("%d attempts were left open, want 2", hanging)
	}
}
