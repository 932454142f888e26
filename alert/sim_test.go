package alert

import (
	"flag"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simSeeds = flag.Uint64("sim.seeds", 1000, "how many worlds TestSim goes through")
	simSeed  = flag.Uint64("sim.seed", 0, "the only world that TestSim goes through; with -v it tells its story")
)

// TestSim drives desk, outbox and store through worlds whose truth is known; see [sim] for what happens in them and the
// functions of sim_check_test.go for what must hold.
func TestSim(t *testing.T) {
	if *simSeed > 0 {
		s := newSim(*simSeed)
		s.verbose, s.tell = testing.Verbose(), func(text string) { t.Log(text) }
		s.run()
		report(t, s)
		return
	}
	seeds := *simSeeds
	if testing.Short() || simSlowly {
		seeds = min(seeds, 100)
	}
	var next, failed atomic.Uint64
	var mu sync.Mutex
	var total simCounts
	began := time.Now()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			var own simCounts
			for n := next.Add(1); n <= seeds && failed.Load() < 5; n = next.Add(1) {
				s := newSim(n)
				if s.run(); len(s.faults) > 0 {
					failed.Add(1)
					report(t, s)
				}
				own.add(&s.counts)
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(&own)
		})
	}
	workers.Wait()
	took := time.Since(began)
	t.Logf("%d worlds in %v: %.0f a second\n%s", seeds, took.Round(time.Millisecond), float64(seeds)/took.Seconds(), &total)
	if !t.Failed() {
		total.enough(t, float64(seeds))
	}
}

func report(t *testing.T, s *sim) {
	if len(s.faults) > 0 {
		t.Errorf("seed %d: %s\nreplay it with: go test ./alert -run 'TestSim$' -sim.seed=%d -v", s.seed, strings.Join(s.faults, "\n  "), s.seed)
	}
}

// add sums two counts up, field by field.
func (c *simCounts) add(o *simCounts) {
	a, b := reflect.ValueOf(c).Elem(), reflect.ValueOf(o).Elem()
	for i := range a.NumField() {
		if f := a.Field(i); f.Kind() == reflect.Array {
			for j := range f.Len() {
				f.Index(j).SetInt(f.Index(j).Int() + b.Field(i).Index(j).Int())
			}
		} else {
			f.SetInt(f.Int() + b.Field(i).Int())
		}
	}
}

func (c *simCounts) String() string {
	v := reflect.ValueOf(c).Elem()
	var b strings.Builder
	for i := range v.NumField() {
		fmt.Fprintf(&b, "%18s %v\n", v.Type().Field(i).Name, v.Field(i))
	}
	return b.String()
}

// enough looks whether enough happened to show something.
func (c *simCounts) enough(t *testing.T, worlds float64) {
	v := reflect.ValueOf(c).Elem()
	for name, least := range map[string]float64{ // in a world, on average
		"Rounds": 50, "Incidents": 0.9, "Relapses": 0.02, "Dismissed": 0.1, "Crashes": 0.45, "CrashesInIncident": 0.15, "CommitsInFlight": 0.03,
		"Messages": 3, "Ambiguous": 0.6, "Duplicates": 0.6, "Refused": 0.05, "Whole": 0.003, "Grouped": 0.3, "Reminders": 0.15,
		"Withheld": 0.05, "Merged": 0.04, "Reloads": 0.1, "Dropped": 0.003, "Pauses": 0.1, "ClockSteps": 0.08, "FailedCommits": 0.2,
		"Certificates": 0.03, "Troubles": 0.1, "Gaps": 1, "Bounds": 0.3,
	} {
		if n := float64(v.FieldByName(name).Int()); n < least*worlds && worlds >= 1000 {
			t.Errorf("%s: %v in %v worlds: the test shows little", name, n, worlds)
		}
	}
	for point, n := range c.Points {
		if float64(n) < 0.02*worlds && worlds >= 1000 {
			t.Errorf("%d kills at point %d in %v worlds: the test shows little", n, point, worlds)
		}
	}
}
