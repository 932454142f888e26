package probe

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/whichlayer/whichlayer/config"
)

const (
	// guardTick is how often the wall clock is compared with the monotonic one.
	guardTick = time.Second
	// maxStep is the difference between them from which on the clock was set, not slewed.
	maxStep = 500 * time.Millisecond
)

// Job is one target's place in the schedule.
type Job struct {
	// Name decides the phase of an @every schedule.
	Name     string
	Schedule config.Schedule
	// Fire is told when the round was due. It must not block and must not call the Scheduler: every job of the same
	// instant waits for it. A panic in it is logged and counted, and harms no other job.
	Fire func(due time.Time)
}

// Scheduler fires jobs when their time has come. The running of expressions is robfig/cron's; what is added is a
// stable phase, so that 10,000 targets do not start in one instant, the count of what was missed, and a guard against
// a wall clock that is set.
//
// Cron's cost grows with the number of entries times the number of distinct instants, so jobs with an equal instant
// share one entry (a slot), and a change swaps the whole cron, which is quicker than one edit of a running one.
// Expressions without CRON_TZ are read in UTC.
type Scheduler struct {
	log     *slog.Logger
	metrics *Metrics
	// clock is one instant on the wall clock and on the monotonic one.
	clock func() (wall time.Time, mono time.Duration)
	beat  atomic.Int64 // Unix nanoseconds

	mu    sync.Mutex
	slots map[slotKey]*slot
	cron  *cron.Cron // nil while Run does not
}

// NewScheduler prepares an empty schedule; it starts nothing.
func NewScheduler(log *slog.Logger, m *Metrics) *Scheduler {
	return &Scheduler{log: log, metrics: m, clock: newClock()}
}

// newClock reads both clocks in one go, so that a pause between two readings cannot look like a step.
func newClock() func() (time.Time, time.Duration) {
	start := time.Now()
	return func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0), now.Sub(start)
	}
}

// Set replaces all jobs, also while Run runs; slots that go on keep their memory of what was due. After it returned,
// no job fires that is not in the list.
func (s *Scheduler) Set(jobs []Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	grouped := group(jobs)
	for key, old := range s.slots {
		old.replace(grouped[key])
		if grouped[key] != nil {
			grouped[key] = old
		}
	}
	s.slots = grouped
	s.swap()
}

// Run fires jobs until ctx ends and every one that began has returned.
func (s *Scheduler) Run(ctx context.Context) error {
	s.start()
	defer s.stop()
	tick := time.NewTicker(guardTick)
	defer tick.Stop()
	wall, mono := s.clock()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w, m := s.clock()
			if step := w.Sub(wall) - (m - mono); step.Abs() > maxStep {
				s.stepped(step)
			}
			wall, mono = w, m
		}
	}
}

// Beat is when the loop that fires the jobs last did so; it beats every second even when no job is due. It is the
// progress that a watchdog wants to see. Zero before Run.
func (s *Scheduler) Beat() time.Time {
	ns := s.beat.Load()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func (s *Scheduler) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beats()
	s.cron = s.build()
	s.cron.Start()
}

func (s *Scheduler) stop() {
	s.mu.Lock()
	c := s.cron
	s.cron = nil
	s.mu.Unlock()
	<-c.Stop().Done()
}

// swap puts a new cron in the place of the running one. An instant that falls between the two is fired here; one that
// both fired counts once, since the slot knows. The caller holds the lock.
func (s *Scheduler) swap() {
	if s.cron == nil {
		return
	}
	<-s.cron.Stop().Done()
	s.cron = s.build()
	s.cron.Start()
	s.cron.Entries() // answered by the loop: from here on it knows what comes next
	for _, sl := range s.slots {
		s.fire(sl)
	}
}

func (s *Scheduler) build() *cron.Cron {
	c := cron.New(cron.WithLocation(time.UTC), cron.WithLogger(cron.DiscardLogger))
	now := time.Now()
	for _, sl := range s.slots {
		sl.begin(now)
		c.Schedule(sl.schedule, cron.FuncJob(func() { s.fire(sl) }))
	}
	c.Schedule(phase{interval: time.Second}, cron.FuncJob(s.beats))
	return c
}

func (s *Scheduler) beats() {
	now := time.Now()
	s.beat.Store(now.UnixNano())
	s.metrics.Beat(now)
}

func (s *Scheduler) fire(sl *slot) {
	if missed := sl.run(time.Now(), s.contain); missed > 0 {
		s.metrics.Missed(missed)
		s.log.Warn("rounds were missed: the scheduler woke up late", "rounds", missed)
	}
}

// contain keeps a panic of one job from ending the process.
func (s *Scheduler) contain(j Job, due time.Time) {
	defer func() {
		if p := recover(); p != nil {
			s.metrics.Panicked()
			s.log.Error("a panic in starting a round", "target", j.Name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	j.Fire(due)
}

// stepped starts the schedule afresh. Cron computes with the wall clock alone: after a step back it would wait for
// the old time to come again.
func (s *Scheduler) stepped(by time.Duration) {
	s.metrics.ClockStepped()
	s.log.Warn("the wall clock was set or the machine was suspended; the schedule starts afresh", "by", by)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, sl := range s.slots {
		sl.forget(now)
	}
	s.swap()
}
