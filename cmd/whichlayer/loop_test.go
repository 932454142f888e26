package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/probe"
)

// fakeLooker takes a fixed time for a round and remembers why each ran.
type fakeLooker struct {
	takes  time.Duration
	wake   chan probe.Trigger
	rounds []probe.Trigger
}

func (f *fakeLooker) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (f *fakeLooker) Wake() <-chan probe.Trigger { return f.wake }

func (f *fakeLooker) Round(ctx context.Context, due time.Time, by probe.Trigger) probe.Result {
	f.rounds = append(f.rounds, by)
	started := time.Now()
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
	}
	return probe.Result{Due: due, Started: started, Ended: time.Now(), Trigger: by}
}

// loopBench is a loop under synctest's clock.
type loopBench struct {
	looker  *fakeLooker
	loop    *loop
	skipped int
	judged  []probe.Result
	again   []time.Duration // what the judge wants after each round, 0 after the last
}

func newLoopBench(takes time.Duration, again ...time.Duration) *loopBench {
	b := &loopBench{looker: &fakeLooker{takes: takes, wake: make(chan probe.Trigger, 1)}, again: again}
	b.loop = newLoop(b.looker, func(r *probe.Result) time.Duration {
		b.judged = append(b.judged, *r)
		if len(b.judged) <= len(b.again) {
			return b.again[len(b.judged)-1]
		}
		return 0
	}, func() { b.skipped++ })
	return b
}

// start runs the loop; stop ends it, letting a round end until hard ends too, and waits for it.
func (b *loopBench) start() (stop, stopHard func()) {
	ctx, cancel := context.WithCancel(context.Background())
	hard, cancelHard := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.loop.run(ctx, hard) }()
	return func() { cancel(); <-done }, cancelHard
}

func TestLoopRunsForEveryReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoopBench(time.Second, 2*time.Second)
		stop, stopHard := b.start()
		defer stopHard()
		due := time.Now()
		b.loop.Fire(due)
		time.Sleep(10 * time.Second) // the round, and the one that its judge asked for
		b.looker.wake <- probe.ByHeldOpen
		synctest.Wait()
		stop()
		if diff := cmp.Diff([]probe.Trigger{probe.BySchedule, probe.ByReprobe, probe.ByHeldOpen}, b.looker.rounds); diff != "" {
			t.Error(diff)
		}
		if got := b.judged[1].Started.Sub(b.judged[0].Ended); got != 2*time.Second {
			t.Errorf("the second look came %v after the first, want 2s", got)
		}
		if b.skipped != 0 {
			t.Errorf("%d skipped", b.skipped)
		}
	})
}

func TestLoopSkipsWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoopBench(5 * time.Second)
		stop, stopHard := b.start()
		defer stopHard()
		b.loop.Fire(time.Now())
		synctest.Wait()
		b.loop.Fire(time.Now()) // while the round runs
		b.loop.Fire(time.Now())
		time.Sleep(20 * time.Second)
		stop()
		if len(b.judged) != 1 || b.skipped != 2 {
			t.Errorf("%d rounds, %d skipped; want 1 and 2", len(b.judged), b.skipped)
		}
	})
}

// TestLoopDrains: a round that is running when the loop is told to end is still judged.
func TestLoopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoopBench(5 * time.Second)
		stop, stopHard := b.start()
		defer stopHard()
		b.loop.Fire(time.Now())
		synctest.Wait()
		stop()
		if len(b.judged) != 1 {
			t.Errorf("%d rounds judged, want 1", len(b.judged))
		}
	})
}

// TestLoopDropsCutOffRounds: what we cut off ourselves must not look like an outage.
func TestLoopDropsCutOffRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoopBench(time.Hour)
		stop, stopHard := b.start()
		b.loop.Fire(time.Now())
		synctest.Wait()
		stopHard()
		stop()
		if len(b.looker.rounds) != 1 || len(b.judged) != 0 {
			t.Errorf("%d rounds, %d judged; want 1 and 0", len(b.looker.rounds), len(b.judged))
		}
	})
}

// TestLoopForgetsOldWish: a good round that wants no second look takes back the wish of the one before.
func TestLoopForgetsOldWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoopBench(time.Second, 10*time.Second, 0)
		stop, stopHard := b.start()
		defer stopHard()
		b.loop.Fire(time.Now())
		time.Sleep(2 * time.Second)
		b.loop.Fire(time.Now())
		time.Sleep(time.Minute)
		stop()
		if len(b.judged) != 2 {
			t.Errorf("%d rounds, want 2", len(b.judged))
		}
	})
}
