package main

import (
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// timed is a target with a schedule whose longest round takes 10 s.
func timed(t *testing.T, name, schedule string) config.Target {
	t.Helper()
	d := config.Duration(2 * time.Second)
	target := config.Target{Name: name, Timeouts: config.Timeouts{Resolve: d, Connect: d, TLS: d, Request: d, Response: d}}
	if err := target.Schedule.UnmarshalText([]byte(schedule)); err != nil {
		t.Fatal(err)
	}
	return target
}

func TestProgress(t *testing.T) {
	start := time.Date(2026, 11, 22, 16, 59, 30, 0, time.UTC)
	for _, tt := range []struct {
		schedule string
		patience time.Duration
	}{
		{"@every 10s", 50 * time.Second},
		{"*/5 * * * * *", 35 * time.Second},
		{"@every 1h", 3*time.Hour + 20*time.Second},
		{"0 9-17 * * *", 17*time.Hour + 50*time.Second}, // 17:00, 9:00, 10:00
	} {
		p := newProgress()
		p.Beat(timed(t, "orders", tt.schedule), start)
		if why := p.Stalled(start.Add(tt.patience)); why != "" {
			t.Errorf("%s: stalled after %v: %s", tt.schedule, tt.patience, why)
		}
		if p.Stalled(start.Add(tt.patience+time.Second)) == "" {
			t.Errorf("%s: not stalled after %v", tt.schedule, tt.patience+time.Second)
		}
	}
}

func TestProgressNamesWhoIsLate(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	p := newProgress()
	for _, name := range []string{"g", "f", "e", "d", "c", "b", "a", "well"} {
		p.Beat(timed(t, name, "@every 1s"), start)
	}
	later := start.Add(time.Hour)
	p.Beat(timed(t, "well", "@every 1s"), later)
	p.Forget("a")
	got := p.Stalled(later)
	if want := "6 of 7 targets finished no round in time: b, c, d, e, f, …"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range strings.Split("bcdefg", "") {
		p.Forget(name)
	}
	if got := p.Stalled(later); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}
