//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// mix is a chain in which two things are broken at once. Who says so honestly is sure of one of the two, or lists one.
type mix struct {
	name   string
	front  string   // as in fault
	layers []string // those that are at fault
	// before is what the chain is like before anything breaks.
	before, apply func(*chain)
	// later is what breaks some rounds after the first.
	later func(*chain)
	// serves marks a mix under which users are served at times.
	serves bool
}

// mixTime is for how long a mix is watched, laterAfter when its second fault comes.
const (
	mixTime    = 12 * time.Second
	laterAfter = 5 * time.Second
)

// TestChainMix breaks two things at once, each pair in a chain of its own, and holds every verdict of every round against
// the truth, and that of a `whichlayer check` that knows no past.
func TestChainMix(t *testing.T) {
	s := newSuite(t)
	s.build(t)
	var mu sync.Mutex
	rows := []string{}
	t.Cleanup(func() { slices.Sort(rows); t.Logf("\n%s", strings.Join(rows, "\n")) })
	for _, m := range mixes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			seen, once := newChain(t, s).watchMix(m)
			for _, problem := range append(m.judge("run", seen), m.judge("check", once)...) {
				t.Error(problem)
			}
			if dir := os.Getenv("WHICHLAYER_RECORD"); dir != "" {
				if err := m.record(dir, seen); err != nil {
					t.Error(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			rows = append(rows, m.row("run", seen), m.row("check", once))
		})
	}
}

// watchMix watches a chain while the mix holds. The rounds begin with the last good one.
func (c *chain) watchMix(m mix) (seen, once []event) {
	c.t.Helper()
	f := fault{name: m.name, front: m.front}
	if m.before != nil {
		m.before(c)
	}
	w := c.watch(f)
	w.healthy(3)
	before := len(w.events)
	start := during(func() { m.apply(c) }).to
	if m.later != nil {
		w.until(start.Add(laterAfter))
		m.later(c)
	} else {
		w.until(start.Add(time.Second))
	}
	said := c.checkBeside(f)
	w.until(start.Add(mixTime))
	once = append(once, <-said)
	w.finish()
	return lastGoodOnwards(w.events, before), once
}

// until takes events until one was made after the instant.
func (w *watcher) until(t time.Time) {
	w.t.Helper()
	w.await("a round after "+clock(t), 30*time.Second, func(e *event) bool { return e.Event == "result" && e.Time.After(t) })
}

// checkBeside runs `whichlayer check` meanwhile. It gives no event when the check itself failed.
func (c *chain) checkBeside(f fault) <-chan event {
	said := make(chan event, 1)
	cmd := c.cli.command(c.suite.binary, "check", "--json", "--config", c.whichlayerConfig(f))
	go func() {
		out, _ := cmd.Output() // the exit code says how the target does
		e := event{Event: "result", raw: bytes.TrimSpace(out)}
		if err := json.Unmarshal(out, &e); err != nil {
			e.Verdict.Evidence = []string{fmt.Sprintf("check: %v: %s", err, out)}
		}
		said <- e
	}()
	return said
}

// lastGoodOnwards are the rounds from the last good one of the first n events on.
func lastGoodOnwards(events []event, n int) (out []event) {
	for i, e := range events {
		if e.Event != "result" {
			continue
		}
		if i < n {
			out = nil
		}
		out = append(out, e)
	}
	return out
}

// judge lists the verdicts that are not honest.
func (m mix) judge(who string, seen []event) (problems []string) {
	bad := 0
	for _, e := range seen {
		if e.bad() {
			bad++
		}
		if word := m.dishonest(&e); word != "" {
			problems = append(problems, fmt.Sprintf("%s: %s: %s, the truth is %s\n%s", who, word, e.words(), m.layers, e.raw))
		}
	}
	if bad == 0 && !m.serves && !slices.ContainsFunc(seen, func(e event) bool { return e.blind() }) {
		problems = append(problems, fmt.Sprintf("%s: %d rounds and none is bad", who, len(seen)))
	}
	return problems
}

// dishonest says what is wrong with a verdict; empty when nothing is.
func (m mix) dishonest(e *event) string {
	v := &e.Verdict
	guilty := func(s suspect) bool { return slices.Contains(m.layers, s.Layer) }
	switch {
	case v.State == "up", v.Cause == "paused", v.Cause == "starved":
		return ""
	case v.Confidence == "confirmed" && !slices.Contains(m.layers, v.Layer):
		return "WRONG AND CONFIRMED"
	case !slices.ContainsFunc(v.Suspects, guilty):
		return "the truth is not suspected"
	}
	return ""
}

func (e *event) words() string {
	v := &e.Verdict
	return fmt.Sprintf("%s %s/%s %s by %s %v", v.State, v.Layer, v.Cause, v.Confidence, v.Rule, v.Suspects)
}

// row tells the last verdict, and how many rounds said what.
func (m mix) row(who string, seen []event) string {
	if len(seen) == 0 {
		return m.name + ": nothing"
	}
	var course []string
	for _, e := range seen {
		s := e.Verdict.Layer + "/" + e.Verdict.Cause + " " + e.Verdict.Confidence + " " + e.Verdict.Rule
		if len(course) == 0 || course[len(course)-1] != s {
			course = append(course, s)
		}
	}
	return fmt.Sprintf("%-28s %-5s truth %-18s %s", m.name, who, strings.Join(m.layers, "+"), strings.Join(course, " -> "))
}

// record keeps what was seen: the rounds in NAME.jsonl and, in NAME.txtar, a case for the golden test of the rules, which
// are the last good round and the first two bad ones, and for a mix with a later fault the last two.
func (m mix) record(dir string, seen []event) error {
	var all []byte
	for _, e := range seen {
		all = append(all, e.raw...)
	}
	keep := slices.Clone(seen[:min(len(seen), 3)])
	if m.later != nil && len(seen) > 8 {
		keep = append(keep, seen[len(seen)-2:]...)
	}
	if len(keep) < 3 {
		return errors.New("too few rounds to record")
	}
	archive := fmt.Appendf(nil, "%s: at fault is %s. Recorded on a chain of real servers.\n-- rounds.jsonl --\n",
		m.name, strings.Join(m.layers, ", and "))
	for _, e := range keep {
		archive = append(archive, e.raw...)
	}
	write := func(ext string, b []byte) error { return os.WriteFile(filepath.Join(dir, m.name+ext), b, 0o644) }
	return errors.Join(write(".jsonl", all), write(".txtar", archive))
}
