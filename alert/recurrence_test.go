package alert

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func times(t *testing.T, texts ...string) (out []time.Time) {
	t.Helper()
	for _, s := range texts {
		x, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

func TestRecurrences(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		loc  *time.Location
		at   []time.Time
		want []string
	}{
		{"none", time.UTC, nil, []string{}},
		{"three prove nothing", time.UTC, times(t, "2026-11-02 09:00", "2026-11-03 09:00", "2026-11-04 09:00"), []string{}},
		{"each morning but one", time.UTC, times(t, "2026-11-02 09:03", "2026-11-07 09:17", "2026-11-12 17:40", "2026-11-13 09:11"), []string{"3 of 4 began 09:00-09:20 UTC"}},
		{"around midnight", time.UTC, times(t, "2026-11-02 23:55", "2026-11-07 00:05", "2026-11-12 23:51", "2026-11-23 00:01"), []string{"4 of 4 began 23:50-00:10 UTC"}},
		{"daily", berlin, times(t, "2026-11-02 09:00", "2026-11-03 09:10", "2026-11-04 09:02", "2026-11-05 08:55"),
			[]string{"4 of 4 began 09:50-10:20 CET", "every 24 h, give or take 24 min"}},
		{"Mondays", time.UTC, times(t, "2026-11-02 03:00", "2026-11-09 21:00", "2026-11-16 10:00", "2026-11-30 15:00"), []string{"all 4 on a Monday"}},
		{"anywhere", time.UTC, times(t, "2026-11-02 03:00", "2026-11-03 21:00", "2026-11-13 10:00", "2026-11-30 15:00", "2026-12-06 12:00"), []string{}},
	} {
		if diff := cmp.Diff(c.want, Recurrences(c.at, c.loc).Said); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	r := Recurrences(times(t, "2026-11-03 10:30", "2026-11-02 09:00", "2026-11-05 10:00"), time.UTC)
	if r.Count != 3 || r.GapMin != 91800 || r.GapMax != 171000 || r.GapMedian != 131400 || r.Hours[10] != 2 || r.Weekdays[0] != 1 || r.Weekdays[3] != 1 {
		t.Errorf("%+v", r)
	}
}

// TestChanceIsNotARule: series of outages at random are rarely said to have a rule.
func TestChanceIsNotARule(t *testing.T) {
	t.Parallel()
	rnd, said := rand.New(rand.NewPCG(1, 2)), map[string]int{}
	const series = 4000
	for range series {
		var at []time.Time
		when := epoch
		for range 4 + rnd.IntN(12) {
			when = when.Add(time.Duration(rnd.ExpFloat64() * float64(9*24*time.Hour)))
			at = append(at, when)
		}
		for _, s := range Recurrences(at, time.UTC).Said {
			said[fmt.Sprintf("%.5s", s)]++
		}
	}
	total := 0
	for _, n := range said {
		total += n
	}
	if total > series*3/100 {
		t.Errorf("of %d random series: %v", series, said)
	}
}
