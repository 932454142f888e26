package probe_test

import (
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// witness is what a held-open connection should look like.
type witness int

const (
	serves witness = iota
	silent         // our request is acknowledged and unanswered
	ended
)

// witnesses of the chain balancer, proxy, backend: beside the front, the proxy addressed directly, the backend, and the
// control ports of the three.
func witnesses(front, via, backend witness) map[string]witness {
	return map[string]witness{
		"/balancer": front, "via/proxy": via, "backend/backend": backend,
		"control/balancer": serves, "control/proxy": serves, "control/backend": serves,
	}
}

// TestHeldOpenLanes: what each fault does to the connections from before it, and that those which hang serve again after it.
func TestHeldOpenLanes(t *testing.T) {
	for fault, want := range map[lab.Fault]map[string]witness{
		lab.ProxyFrozen:    witnesses(silent, silent, serves),
		lab.ProxyKilled:    witnesses(ended, ended, serves),
		lab.BalancerKilled: witnesses(ended, serves, serves),
		lab.BackendKilled:  witnesses(ended, ended, ended),
		lab.ProxyResets:    witnesses(serves, serves, serves), // new connections only
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			chain, err := lab.Start(t.Context(), lab.Options{Balancer: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { chain.Close() })
			target := startTarget(t, chain)
			healthy := witnesses(serves, serves, serves)
			untilSeen(t, target, healthy)
			if err := chain.Break(fault); err != nil {
				t.Fatal(err)
			}
			untilSeen(t, target, want)
			if want["/balancer"] != silent {
				return
			}
			if err := chain.Mend(fault); err != nil {
				t.Fatal(err)
			}
			untilSeen(t, target, healthy)
		})
	}
}

// untilSeen makes rounds until the held-open lanes are as wanted, and stay so in the next round.
func untilSeen(t *testing.T, target *probe.Target, want map[string]witness) {
	t.Helper()
	var wrong string
	for end, good := time.Now().Add(15*time.Second), 0; good < 2; {
		if time.Now().After(end) {
			t.Fatal(wrong)
		}
		r := target.Round(t.Context(), time.Now(), probe.ByCheck)
		if wrong = unlike(&r, want); wrong == "" {
			good++
			continue
		}
		good = 0
		<-time.After(50 * time.Millisecond)
	}
}

// unlike says what is not as wanted; nothing if all is.
func unlike(r *probe.Result, want map[string]witness) string {
	seen := 0
	for i := range r.Lanes {
		l := &r.Lanes[i]
		if l.Lane != probe.LaneHeldOpen {
			continue
		}
		seen++
		key := string(l.Of) + "/" + l.Hop
		w, known := want[key]
		s := &l.Stages[0]
		ok := known && l.HeldOpen.Mute == (l.Of == probe.LaneControl)
		switch w {
		case serves:
			ok = ok && s.Good()
		case silent:
			ok = ok && s.Type == probe.HTTPTimedOut && s.TCPInfo.AckedAll()
		case ended:
			ok = ok && s.Outcome == probe.Failed && !l.HeldOpen.Died.IsZero()
		}
		if !ok {
			return key + ": " + string(s.Outcome) + " " + string(s.Type) + " " + s.Error
		}
	}
	if seen != len(want) {
		return "not all of the lanes are there"
	}
	return ""
}
