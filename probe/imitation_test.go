package probe_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// What looks may add to a failing round.
const (
	lookTime = 1500 * time.Millisecond
	maxLooks = 8
	// slack is what two busy cores may be late by.
	slack = 700 * time.Millisecond
	// trialRounds is how often each imitation is looked at.
	trialRounds = 3
	// trialMemory is what one round may allocate in bytes, the lab's servers included.
	trialMemory = 4 << 20
)

// past is what the old connections of a target went through when the proxy began to imitate.
type past struct {
	name  string
	begin func(*trial) error
	// also is a layer that is at fault beside the proxy.
	also probe.Layer
}

func pasts() []past {
	breaking := func(faults ...lab.Fault) func(*trial) error {
		return func(tr *trial) error {
			for _, f := range faults {
				if err := tr.chain.Break(f); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return []past{
		{name: "old-served", begin: breaking()},
		{name: "old-silent", begin: breaking(lab.LinkDropped), also: probe.LayerLink},
		{name: "old-ended", begin: func(tr *trial) error {
			if err := tr.chain.Break(lab.ProxyKilled); err != nil {
				return err
			}
			return tr.chain.Mend(lab.ProxyKilled)
		}},
		{name: "never-seen"},
	}
}

// trial is one imitation with one past.
type trial struct {
	lab.Imitation
	past
	chain    *lab.Chain
	target   *probe.Target
	problems []string
	seen     []string
}

// TestImitations lets the proxy look as if something else had failed. The looks stay bounded and leave nothing behind, and
// no verdict is sure of a layer that is not at fault, nor leaves out the one that is.
func TestImitations(t *testing.T) {
	var trials []*trial
	for _, i := range lab.Imitations() {
		for _, p := range pasts() {
			trials = append(trials, &trial{Imitation: i, past: p})
		}
	}
	before := holdings()
	var memory [2]runtime.MemStats
	runtime.ReadMemStats(&memory[0])
	t.Run("all", func(t *testing.T) { try(t, trials) })
	runtime.ReadMemStats(&memory[1])
	for _, tr := range trials {
		t.Run(tr.Name+"/"+tr.name, func(t *testing.T) {
			for _, s := range tr.seen {
				t.Log(s)
			}
			for _, p := range tr.problems {
				t.Error(p)
			}
		})
	}
	t.Logf("%d rounds allocated %d MiB", len(trials)*trialRounds, (memory[1].TotalAlloc-memory[0].TotalAlloc)>>20)
	if got := memory[1].TotalAlloc - memory[0].TotalAlloc; got > uint64(len(trials)*trialRounds*trialMemory) {
		t.Errorf("%d trials of %d rounds allocated %d MiB", len(trials), trialRounds, got>>20)
	}
	before.settle(t)
}

// try plays all trials, many at once: they wait most of the time.
func try(t *testing.T, trials []*trial) {
	var wg sync.WaitGroup
	room := make(chan struct{}, 32)
	for _, tr := range trials {
		var err error
		if tr.chain, err = lab.Start(t.Context(), lab.Options{Dir: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tr.chain.Close() })
		tr.target = startTarget(t, tr.chain, func(c *config.Target) {
			if tr.begin == nil {
				c.HeldOpen = nil
			}
		})
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if err := tr.play(t); err != nil {
				tr.wrong("%v", err)
			}
		})
	}
	wg.Wait()
}

func (tr *trial) wrong(format string, args ...any) {
	tr.problems = append(tr.problems, fmt.Sprintf(format, args...))
}

func (tr *trial) play(t *testing.T) error {
	if tr.begin != nil {
		if err := tr.healthy(t); err != nil {
			return err
		}
		if err := tr.begin(tr); err != nil {
			return err
		}
	}
	if err := tr.chain.Imitate(tr.Imitation); err != nil {
		return err
	}
	var rounds []*probe.Result
	for range trialRounds {
		taken, start := tr.chain.Taken(), time.Now()
		r := tr.target.Round(t.Context(), start, probe.ByCheck)
		tr.judgeCost(&r, time.Since(start), tr.chain.Taken()-taken)
		tr.judgeVerdict(probe.Attribute(&r, rounds), &r)
		rounds = append(rounds, &r)
	}
	return nil
}

// healthy sees the chain work, the old connection too.
func (tr *trial) healthy(t *testing.T) error {
	for range 50 {
		r := tr.target.Round(t.Context(), time.Now(), probe.ByCheck)
		if v := probe.Attribute(&r, nil); v.State != probe.Up {
			return fmt.Errorf("before: %+v", v)
		}
		if slices.ContainsFunc(r.Lanes, func(l probe.Lane) bool { return l.Lane == probe.LaneHeldOpen && l.Of == "" }) {
			return nil
		}
		<-time.After(20 * time.Millisecond)
	}
	return errors.New("the held-open connection never answered")
}

// judgeCost holds a round's time and connections against the bounds. The old connection's own attempts come on top.
func (tr *trial) judgeCost(r *probe.Result, took time.Duration, taken int) {
	lanes, front, looks := 0, time.Duration(0), 0
	for i := range r.Lanes {
		l := &r.Lanes[i]
		switch {
		case l.Look != "":
			looks++
		case l.Lane == probe.LaneFront, l.Lane == probe.LaneVia, l.Lane == probe.LaneControl:
			lanes++
		}
		if l.Lane == probe.LaneFront && !l.Extra {
			for _, s := range l.Stages {
				front += s.Duration.Std()
			}
		}
	}
	if took > front+lookTime+slack {
		tr.wrong("the round took %v, its front lane %v: the looks took longer than %v", took, front, lookTime)
	}
	if looks > maxLooks {
		tr.wrong("%d looks", looks)
	}
	if tr.begin != nil {
		lanes += 2
	}
	if taken > lanes+maxLooks {
		tr.wrong("the proxy's host took %d connections in a round of %d lanes", taken, lanes)
	}
}

// judgeVerdict holds a verdict against the truth.
func (tr *trial) judgeVerdict(v probe.Verdict, r *probe.Result) {
	s := fmt.Sprintf("%s %s/%s %s by %s, %v", v.State, v.Layer, v.Cause, v.Confidence, v.Rule, v.Suspects)
	tr.seen = append(tr.seen, s)
	guilty := func(l probe.Layer) bool { return l == probe.LayerProxy || l == tr.also }
	served := r.Lanes[0].Stages[len(r.Lanes[0].Stages)-1].Good()
	switch {
	case served:
	case !v.State.Bad():
		tr.wrong("the front failed and the state is %s", v.State)
	case v.Confidence == probe.Confirmed && !guilty(v.Layer):
		tr.wrong("wrong and confirmed: %s", s)
	case v.Confidence == probe.Confirmed && tr.Box && tr.also == "":
		tr.wrong("a box on the way could do so too: %s", s)
	case !slices.ContainsFunc(v.Suspects, func(x probe.Suspect) bool { return guilty(x.Layer) }):
		tr.wrong("the truth is not suspected: %s", s)
	}
}

// holding is what this process holds.
type holding struct{ goroutines, files int }

func holdings() holding {
	open, _ := filepath.Glob("/proc/self/fd/*")
	return holding{runtime.NumGoroutine(), len(open)}
}

// settle waits until the process holds no more than before.
func (h holding) settle(t *testing.T) {
	t.Helper()
	var now holding
	for range 200 {
		if now = holdings(); now.goroutines <= h.goroutines && now.files <= h.files {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	b := make([]byte, 1<<16)
	b = b[:runtime.Stack(b, true)]
	t.Errorf("left behind: %d goroutines of %d, %d files of %d\n%s", now.goroutines, h.goroutines, now.files, h.files, b)
}
