package probe_test

import (
	"net/url"
	"runtime"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// budget is what one hostile lane may cost: its stages' timeouts (the lab's are one second) and some slack, and a few
// times the body limit in memory.
const (
	timeBudget   = 6 * time.Second
	memoryBudget = 16 << 20
)

// TestHostile probes servers that mean harm: each must cost a bounded time and memory and end in a typed outcome.
func TestHostile(t *testing.T) {
	for _, trick := range lab.Tricks() {
		for _, overTLS := range []bool{false, true} {
			if trick.Below && overTLS {
				continue
			}
			name := trick.Name
			if overTLS {
				name += "-over-tls"
			}
			t.Run(name, func(t *testing.T) { probeHostile(t, trick, overTLS) })
		}
	}
}

func probeHostile(t *testing.T, trick lab.Trick, overTLS bool) {
	chain, err := lab.Start(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	h, err := chain.StartHostile(trick, overTLS)
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http"
	if overTLS || trick.Below {
		scheme = "https"
	}
	target := startTarget(t, chain, func(c *config.Target) {
		c.Front.URL = config.URL{URL: &url.URL{Scheme: scheme, Host: h.Addr().String(), Path: "/"}}
		c.Front.ServerName = chain.Name()
		c.Front.Addresses, c.Via, c.Backends = nil, nil, nil
		d := config.Duration(500 * time.Millisecond)
		c.Timeouts = config.Timeouts{Resolve: d, Connect: d, TLS: d, Request: d, Response: d}
		c.HeldOpen = nil
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	r := target.Round(t.Context(), start, probe.ByCheck)
	took := time.Since(start)
	runtime.ReadMemStats(&after)

	if took > timeBudget {
		t.Errorf("took %v", took)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > memoryBudget {
		t.Errorf("allocated %d bytes", got)
	}
	for _, s := range r.Lanes[0].Stages {
		if s.Outcome == probe.Failed && (!s.Type.Known() || s.Type.Self()) {
			t.Errorf("%s: type %q: %s", s.Stage, s.Type, s.Error)
		}
		for _, c := range s.Error {
			if c < ' ' {
				t.Errorf("%s: control character in %q", s.Stage, s.Error)
			}
		}
		if s.Outcome == probe.Failed {
			t.Logf("%s: %s %s", s.Stage, s.Type, s.Error)
		}
	}
	if f := r.Lanes[0].HTTP; f != nil {
		for _, c := range f.Server {
			if c < ' ' {
				t.Errorf("control character in the Server header %q", f.Server)
			}
		}
	}
}
