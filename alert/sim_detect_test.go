package alert

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

var simYears = flag.Int("sim.years", 2, "for how many target-years TestDetection counts false openings; it simulates 50 times as many outages")

// detectionRow is a line of the table that TestDetection prints.
type detectionRow struct {
	what string
	// openings in years, of which at most a number a year may be; or
	openings, years int
	most            float64
	// outages of which some were missed, the others opened after these times, of which 99 % must be at most slowest.
	outages int
	after   []time.Duration
	slowest time.Duration
}

// outcome is one outage that a tracker looked at.
type outcome struct {
	opened bool
	after  time.Duration
}

// TestDetection measures what detection promises: next to no alarm on a path that is well, and no outage missed. All
// chance comes from fixed seeds, so that it says the same each time.
func TestDetection(t *testing.T) {
	t.Parallel()
	years, outages := *simYears, *simYears*50
	if testing.Short() || simSlowly {
		years, outages = 1, 50
	}
	steady := func(rnd *rand.Rand, share float64, addresses int) func(int) (bool, string) {
		return func(n int) (bool, string) {
			if addresses == 1 {
				return rnd.Float64() < share, addressNumber(0)
			}
			a := rnd.IntN(addresses)
			return a == 0, addressNumber(a)
		}
	}
	rows := []detectionRow{
		falseOpenings("quiet path: 0.01 % fail, a micro-outage of 1-2 rounds a day", years, quiet{chance: 1e-4, blips: 1, addresses: 1}, 0.1),
		falseOpenings("noisy path: 0.8 % fail", years, quiet{chance: 0.008, addresses: 1}, 2),
		missedOutages("hard outage of 5 min", outages, 5*time.Minute, 30*time.Second, func(rnd *rand.Rand) func(int) (bool, string) { return steady(rnd, 1, 1) }),
		missedOutages("half of the rounds fail for 5 min", outages, 5*time.Minute, 5*time.Minute, func(rnd *rand.Rand) func(int) (bool, string) { return steady(rnd, 0.5, 1) }),
		missedOutages("one address of 10 is dead for 1 h", outages/2, time.Hour, time.Hour, func(rnd *rand.Rand) func(int) (bool, string) { return steady(rnd, 0, 10) }),
		missedOutages("5 % fail for 6 h", outages/4, 6*time.Hour, 6*time.Hour, func(rnd *rand.Rand) func(int) (bool, string) { return steady(rnd, 0.05, 1) }),
	}
	var table strings.Builder
	for i := range rows {
		fmt.Fprintf(&table, "%s\n", &rows[i])
		rows[i].hold(t)
	}
	t.Logf("detection, a round every %v\n%s", quietEvery, &table)
}

// hold looks whether a row keeps what is promised. Of few years, chance makes many openings seem: the bound is what one
// in a million series with the promised rate exceeds.
func (r *detectionRow) hold(t *testing.T) {
	if r.years > 0 {
		if n := poissonBound(r.most*float64(r.years), 1e-6); r.openings > n {
			t.Errorf("%s: %d openings in %d years are too many for %.1f a year", r.what, r.openings, r.years, r.most)
		}
		return
	}
	if missed := r.outages - len(r.after); missed > 0 {
		t.Errorf("%s: %d of %d missed", r.what, missed, r.outages)
	}
	if p99 := quantile(r.after, 0.99); p99 > r.slowest {
		t.Errorf("%s: opened after %v (p99), want %v at most", r.what, p99, r.slowest)
	}
}

func (r *detectionRow) String() string {
	if r.years > 0 {
		return fmt.Sprintf("%-62s %6d target-years, %4d false openings: %.3f a year", r.what, r.years, r.openings, float64(r.openings)/float64(r.years))
	}
	round := func(p float64) time.Duration { return quantile(r.after, p).Round(100 * time.Millisecond) }
	return fmt.Sprintf("%-62s %6d outages, %d missed, opened after %v (p50), %v (p99)", r.what, r.outages, r.outages-len(r.after), round(0.5), round(0.99))
}

func quantile(s []time.Duration, p float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, int(math.Ceil(p*float64(len(s))))-1)]
}

// poissonBound is the least number that a Poisson variable exceeds with a probability under p.
func poissonBound(mean, p float64) (n int) {
	term := math.Exp(-mean)
	for left := 1 - term; left > p; left -= term {
		n++
		term *= mean / float64(n)
	}
	return n
}

// onAllCores does something for each of n numbers.
func onAllCores(n int, do func(i int)) {
	var all sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	for c := range cores {
		all.Go(func() {
			for i := c; i < n; i += cores {
				do(i)
			}
		})
	}
	all.Wait()
}

// falseOpenings looks for years at a path on which nothing is wrong for long.
func falseOpenings(what string, years int, like quiet, most float64) detectionRow {
	opened := make([]int, years)
	onAllCores(years, func(i int) {
		q := like
		q.rand = rand.New(rand.NewPCG(uint64(i), 71))
		q.blip = func() (int, time.Duration) { return 1 + q.rand.IntN(2), 0 }
		q.run(365 * 24 * time.Hour)
		opened[i] = q.opened
	})
	r := detectionRow{what: what, years: years, most: most}
	for _, n := range opened {
		r.openings += n
	}
	return r
}

// missedOutages begins outages at any instant between two rounds.
func missedOutages(what string, n int, length, slowest time.Duration, fails func(*rand.Rand) func(int) (bool, string)) detectionRow {
	all := make([]outcome, n)
	onAllCores(n, func(i int) {
		rnd := rand.New(rand.NewPCG(uint64(i), 72))
		all[i] = outage1(rnd, length, fails(rnd))
	})
	r := detectionRow{what: what, outages: n, slowest: slowest}
	for _, o := range all {
		if o.opened {
			r.after = append(r.after, o.after)
		}
	}
	slices.Sort(r.after)
	return r
}

// outage1 looks at one outage, as the daemon does, until it opens.
func outage1(rnd *rand.Rand, length time.Duration, fails func(int) (bool, string)) outcome {
	tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
	begin := epoch.Add(5*time.Minute + time.Duration(rnd.Int64N(int64(quietEvery))))
	n := 0
	for now := epoch; now.Before(begin.Add(length)); n++ {
		bad, address := fails(n)
		v := probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone}
		if bad = bad && !now.Before(begin); bad {
			v = down(probe.LayerProxy, probe.CauseProcessDead, probe.Likely)
		}
		r := round("orders", now, bad)
		r.Lanes[0].Address = address
		step := tr.Observe(r, v)
		for _, e := range step.Events {
			if e.Event == EventOpened {
				return outcome{true, e.Time.Sub(begin)}
			}
		}
		next := now.Add(quietEvery)
		if again := r.Ended.Add(step.Next); step.Next > 0 && again.Before(next) {
			next = again
		}
		now = next
	}
	return outcome{}
}
