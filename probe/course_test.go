package probe

import (
	"strings"
	"testing"
)

// TestCourse: an outage that comes and goes says how often, and at which address.
func TestCourse(t *testing.T) {
	t.Parallel()
	good := func(at string) *Result { return roundOf(fineLane(LaneFront, "", RoleFront, at)) }
	bad := func(at string) *Result {
		return roundOf(laneOf(LaneFront, "", RoleFront, at, failing(StageTLS, TLSTimedOut)))
	}
	last := func(v Verdict) string { return v.Evidence[len(v.Evidence)-1] }
	const a, b = "10.0.0.1:443", "10.0.0.2:443"
	s := last(Attribute(bad(b), []*Result{bad(b), good(a), bad(b), good(a)}))
	if !strings.Contains(s, "failed in 3 of 5 rounds") || !strings.Contains(s, a+" in 0 of 2, "+b+" in 3 of 3") {
		t.Errorf("two addresses: %s", s)
	}
	if s := last(Attribute(bad(a), []*Result{bad(a), good(a), bad(a), good(a)})); !strings.Contains(s, "comes and goes") {
		t.Errorf("one address: %s", s)
	}
	for _, s := range Attribute(bad(a), []*Result{bad(a), bad(a), bad(a), bad(a), bad(a)}).Evidence {
		if strings.HasPrefix(s, "course:") {
			t.Errorf("one that lasts: %s", s)
		}
	}
}
