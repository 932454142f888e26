package probe

import (
	"testing"
	"time"
)

// TestUnusual: what takes many times longer than it did is slow, once calm rounds have shown what is usual, until it is
// usual itself.
func TestUnusual(t *testing.T) {
	t.Parallel()
	b := newBaseline()
	round := func(request time.Duration) Verdict {
		s := passing(StageRequest)
		s.Duration = Seconds(request)
		lanes := []Lane{laneOf(LaneFront, "", RoleProxy, "10.0.0.1:443", s), laneOf(LaneBackend, "app", RoleBackend, "10.0.0.2:80", s)}
		b.mark(lanes)
		b.learn(lanes, true)
		return Attribute(roundOf(lanes...), nil)
	}
	const usual, late = 5 * time.Millisecond, 2 * time.Second
	if v := round(late); v.State != Up {
		t.Fatalf("the first round: %+v", v)
	}
	b = newBaseline()
	for range calmRounds {
		if v := round(usual); v.State != Up {
			t.Fatalf("as usual: %+v", v)
		}
	}
	if v := round(usual + unusualAnswer/2); v.State != Up {
		t.Errorf("half a second more: %+v", v)
	}
	if v := round(late); v.State != Degraded || v.Layer != LayerBackend || v.Rule != RuleUnusual {
		t.Errorf("late, as is the backend: %+v", v)
	}
	for range 700 {
		round(late)
	}
	if v := round(late); v.State != Up {
		t.Errorf("always late: %+v", v)
	}
}
