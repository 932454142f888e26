//go:build linux

package main_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"
)

// TestChainLoss lets whichlayer watch a healthy chain on whose path packets get lost at random, in both directions: no
// incident may open. WHICHLAYER_SOAK says for how long, 15 s by default, `make soak` half an hour.
func TestChainLoss(t *testing.T) {
	span, err := time.ParseDuration(cmp.Or(os.Getenv("WHICHLAYER_SOAK"), "15s"))
	if err != nil {
		t.Fatalf("WHICHLAYER_SOAK: %v", err)
	}
	s := newSuite(t)
	s.build(t)
	for _, percent := range []int{1, 5} {
		t.Run(fmt.Sprintf("%d-percent", percent), func(t *testing.T) {
			t.Parallel()
			soak(t, newChain(t, s), percent, span)
		})
	}
}

// soak watches under loss and counts what was said.
func soak(t *testing.T, c *chain, percent int, span time.Duration) {
	w := c.watch(fault{name: "loss"})
	w.healthy(3)
	drop(fmt.Sprintf("ip daddr { %[1]s } numgen random mod 100 < %[2]d drop", proxyIP, percent))(c)
	drop(fmt.Sprintf("ip saddr { %[1]s } numgen random mod 100 < %[2]d drop", proxyIP, percent))(c)
	for end := time.Now().Add(span); time.Now().Before(end); {
		w.results(10)
	}
	w.finish()
	said, rounds := map[string]int{}, 0
	for _, e := range w.events {
		if e.Event != "result" {
			said[e.Event]++
			continue
		}
		rounds++
		said[fmt.Sprintf("%s %s/%s %s", e.Verdict.State, e.Verdict.Layer, e.Verdict.Cause, e.Verdict.Rule)]++
	}
	for _, k := range slices.Sorted(maps.Keys(said)) {
		t.Logf("%6d of %d rounds: %s", said[k], rounds, k)
	}
	for _, e := range w.events {
		if e.Event == "opened" {
			t.Errorf("nothing but loss is wrong, and an incident was opened: %s", e.raw)
		}
	}
}
