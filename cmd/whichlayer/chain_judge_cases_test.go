//go:build linux

package main_test

import (
	"strings"
	"testing"
	"time"
)

// TestChainJudge proves that the chain tests can fail.
func TestChainJudge(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Unix(1_800_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	truth := span{at(10), at(10.1)}
	for _, c := range []struct {
		name string
		said span
		want string
	}{
		{"inside", span{at(9.5), at(10.4)}, ""},
		{"begins within the action", span{at(10.05), at(10.4)}, ""},
		{"too late", span{at(10.2), at(10.4)}, "outside"},
		{"too early", span{at(9), at(9.9)}, "outside"},
		{"too wide", span{at(9), at(12)}, "apart"},
		{"no lower bound", span{time.Time{}, at(12)}, "missing"},
		{"no upper bound", span{at(9), time.Time{}}, "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(outside("start", c.said, truth, 2*time.Second), "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("said %q, want %q", got, c.want)
			}
		})
	}
}

// TestChainJudgeLayer proves that a wrong layer is not taken for a right one.
func TestChainJudgeLayer(t *testing.T) {
	refused := fault{layer: "network", honest: []string{"host"}, ambiguous: true}
	for _, c := range []struct{ name, layer, confidence, suspect, want string }{
		{"exact", "network", "confirmed", "network", ""},
		{"cannot be told apart", "host", "likely", "network", ""},
		{"open, truth listed", "proxy", "ambiguous", "network", ""},
		{"open, truth not listed", "proxy", "ambiguous", "proxy", "wrong layer"},
		{"certain and wrong", "proxy", "confirmed", "network", "WRONG AND CONFIRMED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e event
			e.Verdict.Layer, e.Verdict.Confidence = c.layer, c.confidence
			e.Verdict.Suspects = []suspect{{Layer: c.suspect}}
			got := strings.Join((&observation{fault: refused}).judgeLayer(&e), "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("said %q, want %q", got, c.want)
			}
		})
	}
}
