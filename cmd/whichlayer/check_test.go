package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/whichlayer/whichlayer/probe"
)

// judged is a target with a verdict of one state.
func judged(states ...probe.State) (all []checked) {
	for _, s := range states {
		all = append(all, checked{result: probe.Result{Target: "t"}, verdict: probe.Verdict{State: s, Layer: probe.LayerProxy, Cause: probe.CauseFrozen}})
	}
	return all
}

// TestWorst holds the documented order: down, degraded, unknown, up.
func TestWorst(t *testing.T) {
	for _, tt := range []struct {
		states []probe.State
		want   int
	}{
		{nil, 0},
		{[]probe.State{probe.Up, probe.Up}, 0},
		{[]probe.State{probe.Up, probe.Unknown}, 3},
		{[]probe.State{probe.Unknown, probe.Degraded, probe.Up}, 1},
		{[]probe.State{probe.Unknown, probe.Degraded, probe.Down}, 2},
		{[]probe.State{probe.Down}, 2},
		{[]probe.State{""}, 3},
	} {
		if got := worst(judged(tt.states...)); got != tt.want {
			t.Errorf("%q: exit code %d, want %d", tt.states, got, tt.want)
		}
	}
}

func TestTellSeveral(t *testing.T) {
	var out bytes.Buffer
	f := checkFlags{}
	if err := f.tell(&out, terminal{width: 80}, judged(probe.Up, probe.Down, probe.Unknown, probe.Up)); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "\n\n4 targets: 1 down, 1 unknown, 2 up\n") {
		t.Errorf("got\n%s", &out)
	}
	out.Reset()
	f.quiet = true
	if err := f.tell(&out, terminal{width: 80}, judged(probe.Up, probe.Down)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want one a target:\n%s", n, &out)
	}
	out.Reset()
	f.quiet, f.json = false, true
	if err := f.tell(&out, terminal{width: 80}, judged(probe.Up, probe.Down)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 || strings.Contains(out.String(), "targets:") {
		t.Errorf("%d lines, want one a target:\n%s", n, &out)
	}
}
