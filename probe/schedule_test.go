package probe

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/whichlayer/whichlayer/config"
)

func mustSchedule(t testing.TB, spec string) config.Schedule {
	t.Helper()
	var s config.Schedule
	if err := s.UnmarshalText([]byte(spec)); err != nil {
		t.Fatal(err)
	}
	return s
}

// firings notes who was fired, for which instant and when.
type firings struct {
	mu  sync.Mutex
	all []firing
}

type firing struct {
	name    string
	due, at time.Time
}

func (f *firings) job(t testing.TB, name, spec string) Job {
	return Job{Name: name, Schedule: mustSchedule(t, spec), Fire: func(due time.Time) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all = append(f.all, firing{name, due, time.Now()})
	}}
}

func (f *firings) take() []firing {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.all
	f.all = nil
	return all
}

func firedNames(all []firing) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].name
	}
	return out
}

func newTestScheduler() *Scheduler {
	return NewScheduler(slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
}

// running runs the scheduler in a bubble until the returned function is called.
func running(t *testing.T, s *Scheduler) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestSchedulerFiresOncePerIntervalWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f firings
		s := newTestScheduler()
		s.Set([]Job{f.job(t, "orders", "@every 10s"), f.job(t, "cron", "*/20 * * * * *")})
		start := time.Now()
		defer running(t, s)()
		time.Sleep(60*time.Second + time.Millisecond)
		count := map[string]int{}
		for _, x := range f.take() {
			count[x.name]++
			if !x.due.Equal(x.at) {
				t.Errorf("%s was due at %v and fired at %v", x.name, x.due, x.at)
			}
			if first := x.due.Sub(start); count[x.name] == 1 && x.name == "orders" && first > 10*time.Second {
				t.Errorf("the first round came after %v, later than one interval", first)
			}
		}
		if diff := cmp.Diff(map[string]int{"orders": 6, "cron": 3}, count); diff != "" {
			t.Errorf("firings in 60 s (-want +got):\n%s", diff)
		}
	})
}

func TestPhaseIsTheSameInEveryProcess(t *testing.T) {
	// Pinned: a changed hash would move every target's phase with an upgrade.
	if got, want := phaseOf("orders", 10*time.Second).offset, 2500*time.Millisecond; got != want {
		t.Errorf("phase of orders = %v, want %v", got, want)
	}
	var first time.Duration
	for _, wait := range []time.Duration{0, 3333 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(wait)
			var f firings
			s := newTestScheduler()
			s.Set([]Job{f.job(t, "orders", "@every 7s")})
			stop := running(t, s)
			time.Sleep(8 * time.Second)
			stop()
			phase := time.Duration(f.take()[0].due.UnixNano() % int64(7*time.Second))
			if first != 0 && phase != first {
				t.Errorf("phase %v after a start %v later, before %v", phase, wait, first)
			}
			first = phase
		})
	}
}

func TestPhasesSpreadEvenly(t *testing.T) {
	jobs := make([]Job, 10_000)
	for i := range jobs {
		jobs[i] = Job{Name: fmt.Sprintf("target-%d", i), Schedule: mustSchedule(t, "@every 10s")}
	}
	slots := group(jobs)
	if len(slots) != 100 {
		t.Errorf("%d slots of 100 ms in 10 s, want 100", len(slots))
	}
	for key, s := range slots {
		if n := len(s.jobs); n < 50 || n > 150 {
			t.Errorf("%d of 10,000 targets start at %v, want about 100", n, key.phase.offset)
		}
		if key.phase.offset%phaseStep != 0 {
			t.Errorf("phase %v is off the grid", key.phase.offset)
		}
	}
}

func TestSetReplacesJobsOfARunningSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f firings
		s := newTestScheduler()
		s.Set([]Job{f.job(t, "stays", "@every 2s"), f.job(t, "goes", "@every 2s")})
		defer running(t, s)()
		time.Sleep(20*time.Second + 50*time.Millisecond) // no instant falls on the edge
		if n := len(f.take()); n != 20 {
			t.Errorf("%d firings of two jobs in 20 s, want 20", n)
		}
		s.Set([]Job{f.job(t, "stays", "@every 2s"), f.job(t, "comes", "* * * * * *")})
		time.Sleep(20 * time.Second)
		count := map[string]int{}
		for _, n := range firedNames(f.take()) {
			count[n]++
		}
		if diff := cmp.Diff(map[string]int{"stays": 10, "comes": 20}, count); diff != "" {
			t.Errorf("firings in 20 s after Set (-want +got):\n%s", diff)
		}
		if n := testutil.ToFloat64(s.metrics.missed); n != 0 {
			t.Errorf("%v rounds missed", n)
		}
	})
}

// A reload a moment before or after an instant must neither lose nor double it.
func TestSetAtTheInstantItselfFiresOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f firings
		s := newTestScheduler()
		jobs := []Job{f.job(t, "orders", "@every 1s")}
		s.Set(jobs)
		defer running(t, s)()
		next := phaseOf("orders", time.Second).Next(time.Now())
		for range 50 {
			time.Sleep(time.Until(next))
			s.Set(jobs) // races with the old cron's wake
			synctest.Wait()
			next = next.Add(time.Second)
		}
		time.Sleep(500 * time.Millisecond)
		seen := map[time.Time]int{}
		for _, x := range f.take() {
			seen[x.due]++
		}
		for due, n := range seen {
			if n != 1 {
				t.Errorf("the round of %v was fired %d times", due, n)
			}
		}
		if len(seen) != 50 {
			t.Errorf("%d rounds fired in 50 intervals", len(seen))
		}
		if n := testutil.ToFloat64(s.metrics.missed); n != 0 {
			t.Errorf("%v rounds missed", n)
		}
	})
}

// The old cron is stopped a moment before the instant, the new one starts a moment after it.
func TestSwapFiresTheInstantThatFallsBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f firings
		s := newTestScheduler()
		jobs := []Job{f.job(t, "orders", "@every 10s")}
		s.Set(jobs)
		defer running(t, s)()
		due := phaseOf("orders", 10*time.Second).Next(time.Now())
		time.Sleep(time.Until(due.Add(-time.Millisecond)))
		f.take()
		<-s.cron.Stop().Done()
		time.Sleep(2 * time.Millisecond)
		s.Set(jobs)
		got := f.take()
		if len(got) != 1 || !got[0].due.Equal(due) {
			t.Errorf("fired %v, want the round of %v", got, due)
		}
	})
}

func TestSetAfterRunEndedIsHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f firings
		s := newTestScheduler()
		running(t, s)()
		s.Set([]Job{f.job(t, "orders", "@every 1s")})
		time.Sleep(10 * time.Second)
		if n := len(f.take()); n != 0 {
			t.Errorf("%d firings without Run", n)
		}
	})
}

func TestPanicInFireHarmsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f firings
		s := newTestScheduler()
		bad := Job{Name: "bad", Schedule: mustSchedule(t, "* * * * * *"), Fire: func(time.Time) { panic("boom") }}
		s.Set([]Job{bad, f.job(t, "good", "* * * * * *")})
		defer running(t, s)()
		time.Sleep(5*time.Second + time.Millisecond)
		if n := len(f.take()); n != 5 {
			t.Errorf("the good job fired %d times beside the bad one, want 5", n)
		}
		if n := testutil.ToFloat64(s.metrics.panics); n != 5 {
			t.Errorf("%v panics counted, want 5", n)
		}
	})
}

func TestClockGuardStartsAfresh(t *testing.T) {
	for _, c := range []struct {
		name  string
		step  time.Duration
		count float64
	}{
		{"back an hour", -time.Hour, 1},
		{"forward a minute", time.Minute, 1},
		{"too little to matter", 400 * time.Millisecond, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f firings
				var mu sync.Mutex
				var by time.Duration
				s := newTestScheduler()
				real := s.clock
				s.clock = func() (time.Time, time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					wall, mono := real()
					return wall.Add(by), mono
				}
				s.Set([]Job{f.job(t, "orders", "@every 1s")})
				defer running(t, s)()
				time.Sleep(5 * time.Second)
				before := s.cronNow()
				mu.Lock()
				by = c.step
				mu.Unlock()
				time.Sleep(5 * time.Second)
				if n := testutil.ToFloat64(s.metrics.clockSteps); n != c.count {
					t.Errorf("%v steps counted, want %v", n, c.count)
				}
				if swapped := s.cronNow() != before; swapped != (c.count > 0) {
					t.Errorf("cron was swapped: %v", swapped)
				}
				if n := len(f.take()); n != 10 {
					t.Errorf("%d firings in 10 s, want 10", n)
				}
			})
		})
	}
}

func (s *Scheduler) cronNow() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cron
}

func TestBeatNeedsNoJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestScheduler()
		if !s.Beat().IsZero() {
			t.Error("a beat before Run")
		}
		stop := running(t, s)
		time.Sleep(90*time.Second + 300*time.Millisecond)
		if age := time.Since(s.Beat()); age > time.Second {
			t.Errorf("the last beat is %v old while the schedule runs", age)
		}
		stop()
		time.Sleep(time.Minute)
		if age := time.Since(s.Beat()); age < time.Minute {
			t.Errorf("a beat %v ago although Run ended", age)
		}
	})
}
