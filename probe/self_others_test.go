package probe

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// frontAt is a front lane whose connect began so many seconds ago and ended so.
func frontAt(now time.Time, address string, ago float64, outcome Outcome, typ Type) *Lane {
	return &Lane{Lane: LaneFront, Address: address, Stages: []Stage{
		{Stage: StageConnect, Outcome: outcome, Type: typ, Started: now.Add(-time.Duration(ago * float64(time.Second)))}}}
}

func TestOtherTargets(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	type front struct {
		target, address string
		ago             float64
		outcome         Outcome
		typ             Type
	}
	since := 4.0 // this target's connect began so many seconds ago, to 192.0.2.1
	for name, c := range map[string]struct {
		fronts []front
		want   *OtherTargets
	}{
		"nothing known":   {nil, nil},
		"this one itself": {[]front{{"demo", "198.51.100.1:443", 5, Failed, TCPTimedOut}}, nil},
		"two others fail": {[]front{{"a", "198.51.100.1:443", 5, Failed, TCPTimedOut}, {"b", "203.0.113.1:443", 2, Failed, TCPUnreachable}},
			&OtherTargets{Targets: 2, Failing: 2}},
		"two in one network count once": {[]front{{"a", "198.51.100.1:443", 5, Failed, TCPTimedOut}, {"b", "198.51.100.9:443", 2, Failed, TCPTimedOut}},
			&OtherTargets{Targets: 1, Failing: 1}},
		"one of a network is well": {[]front{{"a", "198.51.100.1:443", 5, Failed, TCPTimedOut}, {"b", "198.51.100.9:443", 2, OK, ""}},
			&OtherTargets{Targets: 1}},
		"our own network fails":        {[]front{{"a", "192.0.2.9:443", 5, Failed, TCPTimedOut}}, nil},
		"one of our network is well":   {[]front{{"a", "192.0.2.9:443", 3, OK, ""}}, &OtherTargets{Targets: 1}},
		"a refusal is an answer":       {[]front{{"a", "198.51.100.1:443", 3, Failed, TCPRefused}}, &OtherTargets{Targets: 1}},
		"well, but before":             {[]front{{"a", "198.51.100.1:443", 5, OK, ""}}, nil},
		"failed, but long ago":         {[]front{{"a", "198.51.100.1:443", 60, Failed, TCPTimedOut}}, nil},
		"failed before, well since":    {[]front{{"a", "198.51.100.1:443", 9, Failed, TCPTimedOut}, {"a", "198.51.100.1:443", 3, OK, ""}}, &OtherTargets{Targets: 1}},
		"our own trouble":              {[]front{{"a", "198.51.100.1:443", 5, Failed, SelfNoRoute}}, nil},
		"a name that does not resolve": {[]front{{"a", "", 5, Skipped, ""}}, nil},
		"a forward proxy":              {[]front{{"a", "198.51.100.1:443", 5, Failed, ForwardProxyFailed}}, nil},
		"IPv6":                         {[]front{{"a", "[2001:db8:1::1]:443", 5, Failed, TCPTimedOut}, {"b", "[2001:db8:1::2]:443", 5, Failed, TCPTimedOut}, {"c", "[2001:db8:2::1]:443", 5, Failed, TCPTimedOut}}, &OtherTargets{Targets: 2, Failing: 2}},
	} {
		v := &Vantage{}
		for _, f := range c.fronts {
			v.note(f.target, frontAt(now, f.address, f.ago, f.outcome, f.typ))
		}
		at := now.Add(-time.Duration(since * float64(time.Second)))
		got := v.otherTargets("demo", frontAt(now, "192.0.2.1:443", since, Failed, TCPTimedOut), at)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	v := &Vantage{}
	for i := range 4 * keptFronts {
		v.note(fmt.Sprint(i), frontAt(now, "198.51.100.1:443", 5, OK, ""))
	}
	if len(v.fronts.seen) != keptFronts {
		t.Errorf("%d are kept", len(v.fronts.seen))
	}
	(*Vantage)(nil).note("a", frontAt(now, "198.51.100.1:443", 5, OK, ""))
	if (*Vantage)(nil).otherTargets("a", &Lane{}, now) != nil {
		t.Error("no memory")
	}
}
