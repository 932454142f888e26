package alert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/probe"
)

// began makes incidents of a target that began at times, and lasted ten minutes each.
func began(target string, times ...time.Time) (out []*Incident) {
	for _, t := range times {
		end := t.Add(10 * time.Minute)
		out = append(out, &Incident{Target: target, State: Resolved, Bounds: Bounds{StartsBefore: t, EndsAfter: &end, EndsBefore: &end}})
	}
	return out
}

// at parses times such as "2026-11-02 09:03", in UTC.
func at(t *testing.T, texts ...string) (out []time.Time) {
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

func TestPatterns(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		starts string
		zone   *time.Location
		want   string
	}{
		"none":    {"", time.UTC, ""},
		"three":   {"2026-11-02 09:03, 2026-11-03 09:03, 2026-11-04 09:03", time.UTC, ""},
		"3 of 4":  {"2026-11-02 09:03, 2026-11-05 09:11, 2026-11-17 21:40, 2026-12-23 09:17", time.UTC, "3 of 4 began 09:00-09:20 UTC"},
		"4 of 4":  {"2026-11-02 09:03, 2026-11-05 09:41, 2026-11-17 10:12, 2026-12-23 09:17", time.UTC, "all 4 began 09:00-10:15 UTC"},
		"scatter": {"2026-11-02 09:03, 2026-11-05 13:41, 2026-11-17 10:12, 2026-12-23 19:17", time.UTC, ""},
		"around midnight": {"2026-11-02 23:52, 2026-11-05 00:07, 2026-11-17 23:58, 2026-12-24 00:01", time.UTC,
			"all 4 began 23:50-00:10 UTC"},
		"summer and winter": {"2026-03-20 08:05, 2026-04-21 07:05, 2026-10-20 07:06, 2026-11-24 08:07", berlin,
			"all 4 began 09:05-09:10 Europe/Berlin"},
		"summer and winter, UTC": {"2026-03-20 08:05, 2026-04-21 07:05, 2026-10-20 07:06, 2026-11-24 08:07", time.UTC,
			"all 4 began 07:05-08:10 UTC"},
		"one bad day":      {"2026-11-02 09:03, 2026-11-02 09:33, 2026-11-02 10:03, 2026-11-02 11:05, 2026-11-02 11:15", time.UTC, ""},
		"one bad day more": {"2026-11-02 09:00, 2026-11-02 10:01, 2026-11-02 11:02, 2026-11-02 12:03, 2026-11-02 13:04", time.UTC, "every 1 h, give or take 2 min"},
		"daily": {"2026-11-02 09:03, 2026-11-03 09:01, 2026-11-04 09:12, 2026-11-05 08:59, 2026-11-06 09:07", time.UTC,
			"all 5 began 08:55-09:15 UTC; every 24 h, give or take 13 min"},
		"a relapse": {"2026-11-02 09:03, 2026-11-05 09:11, 2026-11-05 09:31, 2026-11-17 21:40, 2026-12-23 09:17", time.UTC,
			"3 of 4 began 09:00-09:20 UTC; what began within an hour of the one before is not counted"},
		"mondays": {"2026-11-02 03:03, 2026-11-09 17:01, 2026-11-16 09:12, 2026-12-07 22:59", time.UTC, "all on Mondays (UTC)"},
		"most mondays": {"2026-11-02 03:03, 2026-11-09 17:01, 2026-11-16 09:12, 2026-12-07 22:59, 2026-12-14 12:00, 2026-12-23 04:00", time.UTC,
			"5 of 6 days with one on Mondays (UTC)"},
		"two weekends": {"2026-11-07 03:03, 2026-11-08 17:01, 2026-11-14 09:12, 2026-11-15 22:59", time.UTC, ""},
		"weekends": {"2026-11-07 03:03, 2026-11-08 17:01, 2026-11-14 09:12, 2026-11-22 22:59, 2026-12-05 15:00", time.UTC,
			"all on weekends (UTC)"},
		"twelve days": {"2026-11-02 03:00, 2026-11-19 17:00, 2026-12-08 09:00, 2027-01-01 22:00", time.UTC, ""},
		"every twelve days": {"2026-11-02 03:00, 2026-11-14 05:00, 2026-11-26 09:00, 2026-12-08 04:00, 2027-01-15 12:00, 2027-01-27 15:00", time.UTC,
			"every 12 days, give or take 5 h, 4 of 5 times"},
	}
	for name, test := range tests {
		var times []time.Time
		if test.starts != "" {
			times = at(t, strings.Split(test.starts, ", ")...)
		}
		var texts []string
		for _, r := range Recur(began("orders", times...), test.zone) {
			for _, p := range r.Patterns {
				texts = append(texts, p.Text)
				if p.Chance <= 0 || p.Chance > maxChance {
					t.Errorf("%s: the chance of %q is %g", name, p.Text, p.Chance)
				}
			}
		}
		if got := strings.Join(texts, "; "); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestNoPatternInNoise: of outages at random times hardly any show a pattern, whatever their number.
func TestNoPatternInNoise(t *testing.T) {
	const worlds = 6000
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{4, 5, 7, 12, 30} {
		for _, days := range []int{10, 200} {
			found := map[string]int{}
			for range worlds {
				times := make([]time.Time, n)
				for i := range times {
					times[i] = day0.Add(time.Duration(rng.Int64N(int64(days) * int64(day24))))
				}
				for _, p := range Recur(began("orders", times...), time.UTC)[0].Patterns {
					kind := "clock"
					if strings.HasPrefix(p.Text, "every") {
						kind = "period"
					} else if strings.Contains(p.Text, " on ") {
						kind = "weekday"
					}
					found[kind]++
				}
			}
			for kind, k := range found {
				if share := float64(k) / worlds; share > 1.35*maxChance {
					t.Errorf("%d outages in %d days: %.3f have a pattern of %s", n, days, share, kind)
				}
			}
		}
	}
}

var day0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestRecur: what counts, for whom.
func TestRecur(t *testing.T) {
	times := at(t, "2026-11-02 09:03", "2026-11-03 09:05", "2026-11-06 21:30")
	all := began("orders", times[2], times[0], times[1])
	all = append(all, began("shop", times[0].Add(time.Minute), times[1].Add(9*time.Minute), times[1].Add(time.Hour))...)
	dismissed, self, certificate := began("orders", times[0])[0], began(SelfTarget, times[0])[0], began("orders", times[0])[0]
	dismissed.State, certificate.Verdict.Cause = Dismissed, probe.CauseCertExpires
	all = append(all, dismissed, self, certificate)
	before := slices.Clone(all)
	got := Recur(all, time.UTC)
	h := func(hour float64) probe.Seconds { return probe.Seconds(hour * float64(time.Hour)) }
	want := []Recurrence{
		{Target: "orders", Count: 3, First: times[0], Last: times[2], Zone: "UTC", Patterns: []Pattern{},
			Apart: &Spread{between(times[0], times[1]), (between(times[0], times[1]) + between(times[1], times[2])) / 2, between(times[1], times[2])}},
		{Target: "shop", Count: 3, First: times[0].Add(time.Minute), Last: times[1].Add(time.Hour), Zone: "UTC", Patterns: []Pattern{},
			Apart: &Spread{h(51. / 60), 0, between(times[0].Add(time.Minute), times[1].Add(9*time.Minute))}},
		{Count: 4, First: times[0], Last: times[2], Zone: "UTC", Patterns: []Pattern{},
			Apart: &Spread{h(1), between(times[0], times[1]), between(times[1].Add(time.Hour), times[2])}},
	}
	want[1].Apart.Median = (want[1].Apart.Min + want[1].Apart.Max) / 2
	want[0].Hours[9], want[0].Hours[21], want[0].Weekdays = 2, 1, [7]int{1, 1, 0, 0, 1}
	want[1].Hours[9], want[1].Hours[10], want[1].Weekdays = 2, 1, [7]int{1, 2}
	want[2].Hours[9], want[2].Hours[10], want[2].Hours[21], want[2].Weekdays = 2, 1, 1, [7]int{1, 2, 0, 0, 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(before, all) {
		t.Error("it changed what it was given")
	}
	one := Recur(began("orders", times[0]), time.UTC)
	if len(one) != 1 || one[0].Apart != nil || one[0].Count != 1 {
		t.Errorf("of one: %+v", one)
	}
}

func between(a, b time.Time) probe.Seconds { return probe.Seconds(b.Sub(a)) }

func TestAbout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 min", 29 * time.Second: "0 min", 12 * time.Minute: "12 min", day24: "24 h", day24 - time.Minute: "23 h 59 min",
		2 * day24: "2 days", 50*time.Hour + 31*time.Minute: "2 days 3 h", 90 * time.Minute: "1 h 30 min",
	} {
		if got := About(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestTail compares with sums that were worked out by hand.
func TestTail(t *testing.T) {
	for _, test := range []struct {
		n, k int
		p    float64
		want string
	}{{3, 2, 0.5, "0.500000"}, {4, 4, 1. / 7, "0.000416"}, {10, 0, 0.3, "1.000000"}, {5, 5, 1, "1.000000"}, {5, 1, 0, "0.000000"}, {2, 3, 0.9, "0.000000"}} {
		if got := fmt.Sprintf("%f", tail(test.n, test.k, test.p)); got != test.want {
			t.Errorf("tail(%d, %d, %g) = %s, want %s", test.n, test.k, test.p, got, test.want)
		}
	}
}
