package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// looker is what a loop needs of a probe.Target.
type looker interface {
	Run(ctx context.Context) error
	Round(ctx context.Context, due time.Time, by probe.Trigger) probe.Result
	Wake() <-chan probe.Trigger
}

// loop is the one goroutine that runs a target's rounds, so that at most one runs at a time and their results are
// judged in order. Whatever asks for a round only leaves a note: the schedule, the target itself (a held-open
// connection missed its answer), the timer that the judge of the last round wanted.
type loop struct {
	target looker
	// judge concludes from a round; the answer is after what time to look again, whatever the schedule says, 0 for
	// no wish.
	judge func(*probe.Result) time.Duration
	// skipped counts a turn that came while a round was running.
	skipped func()

	due  chan time.Time
	busy atomic.Bool
}

func newLoop(target looker, judge func(*probe.Result) time.Duration, skipped func()) *loop {
	return &loop{target: target, judge: judge, skipped: skipped, due: make(chan time.Time, 1)}
}

// Fire tells that the schedule's turn has come; it never blocks.
func (l *loop) Fire(due time.Time) {
	if l.busy.Load() {
		l.skipped()
		return
	}
	select {
	case l.due <- due:
	default:
		l.skipped()
	}
}

// run runs rounds until ctx ends. A round that is running then may end by itself until hard ends too.
func (l *loop) run(ctx, hard context.Context) {
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	again.Stop()
	for ctx.Err() == nil {
		var due time.Time
		var by probe.Trigger
		select {
		case <-ctx.Done():
			return
		case due = <-l.due:
			by = probe.BySchedule
		case by = <-l.target.Wake():
			due = time.Now()
		case due = <-again.C:
			by = probe.ByReprobe
		}
		if wish := l.round(hard, due, by); wish > 0 {
			again.Reset(wish)
		} else {
			again.Stop()
		}
	}
}

// round runs one round and has it judged.
func (l *loop) round(ctx context.Context, due time.Time, by probe.Trigger) time.Duration {
	l.busy.Store(true)
	defer l.busy.Store(false)
	result := l.target.Round(ctx, due, by)
	if ctx.Err() != nil {
		return 0 // what we cut off ourselves is no observation
	}
	return l.judge(&result)
}
