package probe_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// startTarget runs a target against a chain until the test ends.
func startTarget(t *testing.T, chain *lab.Chain, change ...func(*config.Target)) *probe.Target {
	t.Helper()
	cfg, err := chain.Config("@every 1s")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&cfg.Targets[0])
	}
	env := &probe.Env{DNS: cfg.DNS, Version: "test", Log: slog.New(slog.DiscardHandler)}
	target, err := probe.NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- target.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return target
}

// untilHeld runs rounds until the front's held-open lane answers, so that the old connection can be a witness.
func untilHeld(t *testing.T, target *probe.Target) probe.Result {
	t.Helper()
	for range 50 {
		r := target.Round(t.Context(), time.Now(), probe.ByCheck)
		if slices.ContainsFunc(r.Lanes, func(l probe.Lane) bool { return l.Lane == probe.LaneHeldOpen && l.Of == "" }) {
			return r
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatal("the held-open connection never answered")
	return probe.Result{}
}

// TestFaults breaks the chain in every way it knows and holds the verdict against the truth.
func TestFaults(t *testing.T) {
	for _, fault := range lab.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			chain, err := lab.Start(t.Context(), lab.Options{Balancer: strings.HasPrefix(string(fault), "balancer")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { chain.Close() })
			target := startTarget(t, chain)
			healthy := untilHeld(t, target)
			if v := probe.Attribute(&healthy, nil); v.State != probe.Up || v.Layer != probe.LayerNone {
				t.Fatalf("healthy chain: %+v", v)
			}
			if err := chain.Break(fault); err != nil {
				t.Fatal(err)
			}
			var past []*probe.Result
			var v probe.Verdict
			for range 3 {
				r := target.Round(t.Context(), time.Now(), probe.ByCheck)
				v = probe.Attribute(&r, past)
				past = append(past, &r)
			}
			judge(t, fault, v)
		})
	}
}

func judge(t *testing.T, fault lab.Fault, v probe.Verdict) {
	t.Helper()
	truth := fault.Truth()
	named := slices.ContainsFunc(truth, func(x lab.Truth) bool { return x.Layer == string(v.Layer) })
	t.Logf("truth %v: %s %s/%s %s by %s", truth, v.State, v.Layer, v.Cause, v.Confidence, v.Rule)
	for _, e := range v.Evidence {
		t.Log("  ", e)
	}
	switch {
	case !named && v.Confidence == probe.Confirmed:
		t.Errorf("wrong with confidence")
	case !named:
		t.Errorf("wrong layer")
	case truth[0].Layer != "none" && !v.State.Bad():
		t.Errorf("state %s", v.State)
	}
}
