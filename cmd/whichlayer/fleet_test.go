package main

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// newTestFleet is a fleet whose schedule does not run. The test's end waits for all of its goroutines.
func newTestFleet(t *testing.T) *fleet {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	metrics := probe.NewMetrics(prometheus.NewPedanticRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{
		log: log, health: probe.NewHealth(), metrics: metrics, scheduler: probe.NewScheduler(log, metrics), progress: newProgress(),
		judge: func(*probe.Result) time.Duration { return 0 },
		blind: func(string, probe.Gap) {}, reseat: func(*config.Config) {}, usual: func(string) []byte { return nil },
		ctx: ctx, hard: ctx, members: map[string]*member{},
	}
	t.Cleanup(func() { cancel(); f.Wait() })
	return f
}

// install parses a configuration and makes it run.
func (f *fleet) install(t *testing.T, text string) {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Apply(p)
}

// targets are those that run, by name.
func (f *fleet) targets() map[string]*probe.Target {
	all := map[string]*probe.Target{}
	for name, m := range f.members {
		all[name] = m.target
	}
	return all
}

const fleetHead = "schedule: '@every 1h'\nheldopen: off\ntargets:\n"

func TestFleetKeepsWhatDidNotChange(t *testing.T) {
	f := newTestFleet(t)
	f.install(t, fleetHead+`
  - {name: same, front: {url: "http://127.0.0.1:1/"}}
  - {name: other, front: {url: "http://127.0.0.1:2/"}}
  - {name: gone, front: {url: "http://127.0.0.1:3/"}}`)
	before := f.targets()
	leaving := f.members["gone"]
	var told []string
	f.reseat = func(c *config.Config) {
		select {
		case <-leaving.done:
		default:
			t.Error("the desk heard of the new configuration before the old targets had ended")
		}
		for i := range c.Targets {
			told = append(told, c.Targets[i].Name)
		}
	}
	f.install(t, fleetHead+`
  - {name: new, front: {url: "http://127.0.0.1:4/"}}
  - {name: other, front: {url: "http://127.0.0.1:2/changed"}}
  - {name: same, front: {url: "http://127.0.0.1:1/"}}`)
	after := f.targets()
	if diff := cmp.Diff([]string{"new", "other", "same"}, slices.Sorted(maps.Keys(after))); diff != "" {
		t.Fatal(diff)
	}
	if after["same"] != before["same"] {
		t.Error("the target that did not change was made anew")
	}
	if after["other"] == before["other"] {
		t.Error("the target that changed was kept")
	}
	if diff := cmp.Diff([]string{"new", "other", "same"}, told); diff != "" {
		t.Error(diff)
	}
	if _, ok := f.progress.deadline["gone"]; ok {
		t.Error("progress still waits for a target that is gone")
	}
}

// TestFleetSharedPart: all targets ask the name servers, so other name servers make all of them anew.
func TestFleetSharedPart(t *testing.T) {
	f := newTestFleet(t)
	const target = `
  - {name: a, front: {url: "http://a.test:1/"}}`
	f.install(t, "dns: {servers: ['127.0.0.1:53']}\n"+fleetHead+target)
	before := f.targets()
	f.install(t, "dns: {servers: ['127.0.0.1:5353']}\n"+fleetHead+target)
	if f.targets()["a"] == before["a"] {
		t.Error("the target goes on with the old name servers")
	}
}

// TestFleetPrepareChangesNothing: a configuration that cannot be built leaves the one that runs alone.
func TestFleetPrepareChangesNothing(t *testing.T) {
	f := newTestFleet(t)
	f.install(t, fleetHead+`
  - {name: a, front: {url: "http://127.0.0.1:1/"}}`)
	before := f.targets()
	bad := &config.Config{Targets: []config.Target{{Name: "b"}}}
	if err := bad.Targets[0].Front.URL.UnmarshalText([]byte("https://127.0.0.1:2/")); err != nil {
		t.Fatal(err)
	}
	// A combination that the loader would have refused.
	bad.Targets[0].Front.IPVersion = 6
	if _, err := f.Prepare(bad); err == nil || !strings.Contains(err.Error(), "none of the addresses") {
		t.Errorf("got %v, want an error about the addresses", err)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(f.targets()))); diff != "" {
		t.Error(diff)
	}
	if f.targets()["a"] != before["a"] {
		t.Error("the running target was replaced")
	}
}

// TestReloadRefuses: an error changes nothing but the metric and the log, and the caller hears of it.
func TestReloadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "whichlayer.yaml")
	if err := os.WriteFile(path, []byte("targets: 1\nnonsense: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	r := newReloader(path, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewPedanticRegistry())
	r.supervisor = &supervisor{log: r.log}
	r.install = func(*config.Config) error { t.Error("a bad configuration was installed"); return nil }
	if err := r.reload("a test"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{`msg="the new configuration was refused, the old one goes on" reason="a test" errors=2`, ":1:10: targets:", ":2:1: nonsense:"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, &log)
		}
	}
}
