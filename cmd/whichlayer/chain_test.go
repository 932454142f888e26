//go:build linux

// The chain tests break a chain of real servers (stunnel, nginx, haproxy, the kernel's packet filter) in network
// namespaces of their own, while `whichlayer run` watches it, and hold what it says against the truth.
//
//	go test -run TestChain -v ./cmd/whichlayer
//
// They need root, Linux and the packages of .ci/install-test-deps. WHICHLAYER_RECORD=DIR keeps what was seen of each fault:
// a typical bad round in DIR/NAME.json, the whole course in DIR/NAME.events, a golden case for the rules in DIR/NAME.txtar.
// WHICHLAYER_E2E_BUILDFLAGS=-race tests a binary with the race detector in it.
package main_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// missingForChain lists what the chain tests lack here.
func missingForChain() (missing []string) {
	if os.Getuid() != 0 {
		missing = append(missing, "root")
	}
	for _, name := range []string{"ip", "nft", "sysctl", "stunnel4", "nginx", "haproxy"} {
		if _, err := exec.LookPath(program(name)); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// newSuite prepares the tests. Where the real servers are missing it skips them, but fails them in CI.
func newSuite(t *testing.T) *suite {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: -short; the chain tests take some minutes")
	}
	if missing := missingForChain(); len(missing) > 0 {
		why := "the tests with real stunnel, nginx and haproxy need " + strings.Join(missing, ", ")
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip("SKIPPED: " + why)
	}
	removeStale()
	ca, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return &suite{ca: ca}
}

// build makes the binary that is tested.
func (s *suite) build(t *testing.T) {
	t.Helper()
	s.binary = filepath.Join(t.TempDir(), "whichlayer")
	args := append([]string{"build", "-o", s.binary}, strings.Fields(os.Getenv("WHICHLAYER_E2E_BUILDFLAGS"))...)
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// TestChain breaks one thing after the other, each in a chain of its own.
func TestChain(t *testing.T) {
	s := newSuite(t)
	s.build(t)
	var mu sync.Mutex
	rows := []string{}
	t.Cleanup(func() { slices.Sort(rows); t.Logf("\n%s\n%s", tableHead, strings.Join(rows, "\n")) })
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			o := newChain(t, s).observe(f)
			for _, problem := range o.judge() {
				t.Error(problem)
			}
			t.Logf("began between %s and %s, ended between %s and %s", clock(o.start.from), clock(o.start.to), clock(o.end.from), clock(o.end.to))
			if dir := os.Getenv("WHICHLAYER_RECORD"); dir != "" {
				if err := o.record(dir); err != nil {
					t.Error(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			rows = append(rows, o.row())
		})
	}
	t.Run("healthy", func(t *testing.T) { t.Parallel(); testHealthy(t, s) })
}

// testHealthy lets whichlayer watch a chain in which nothing is wrong: it must keep silent, in its log too.
func testHealthy(t *testing.T, s *suite) {
	c := newChain(t, s)
	w := c.watch(fault{name: "healthy"})
	w.healthy(3)
	path := filepath.Join(c.dir, "whichlayer.log")
	before, _ := os.ReadFile(path)
	w.results(15)
	after, _ := os.ReadFile(path)
	blind := slices.ContainsFunc(w.events, func(e event) bool { return e.blind() })
	if more := bytes.TrimPrefix(after, before); len(more) > 0 && !blind {
		t.Errorf("a healthy target is logged:\n%s", more)
	}
	w.finish()
	for _, e := range w.events {
		if !e.blind() && (e.Event != "result" || e.Verdict.State != "up") {
			t.Errorf("nothing is wrong, but: %s", e.raw)
		}
	}
	if told := c.slack.told(); slices.ContainsFunc(told, func(c slackCall) bool { return strings.Contains(c.Method, "postMessage") }) {
		t.Errorf("nothing is wrong, but Slack was told %v", told)
	}
	if dir := os.Getenv("WHICHLAYER_RECORD"); dir != "" {
		last := w.events[len(w.events)-1]
		if err := os.WriteFile(filepath.Join(dir, "healthy.json"), last.raw, 0o644); err != nil {
			t.Error(err)
		}
	}
}

// TestChainCheck proves the tests' own faults without whichlayer: each is felt by a plain client, and gone when lifted.
// While it lasts, one round of `whichlayer check` must name its layer, or list it among others.
func TestChainCheck(t *testing.T) {
	s := newSuite(t)
	s.build(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, s)
			if err := c.get(f.frontName()); err != nil {
				t.Fatalf("before: %v", err)
			}
			c.check(f, 0)
			f.apply(c)
			if err := c.get(f.frontName()); err == nil {
				t.Error("the fault is not felt")
			}
			code := 2
			if f.serves {
				code = 1
			}
			e := c.check(f, code)
			t.Logf("%s %s %s: %s", e.Verdict.Layer, e.Verdict.Cause, e.Verdict.Confidence, e.Verdict.Rule)
			f.ambiguous = true
			for _, problem := range (&observation{fault: f}).judgeLayer(e) {
				t.Error(problem)
			}
			f.lift(c)
			c.cli.eventually("the lifted fault", func(context.Context) error { return c.get(f.frontName()) })
		})
	}
}
