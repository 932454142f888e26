package probe

import (
	"testing"
	"time"
)

func parseTime(t testing.TB, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// What an expression means on the days when clocks change; from is excluded, to included.
func TestLastDueOfExpressions(t *testing.T) {
	for _, c := range []struct {
		name, spec, from, to, due string
		n                         int
	}{
		{"five fields are read in UTC", "30 2 * * *",
			"2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z", "2026-06-01T02:30:00Z", 1},
		{"a zone of its own", "CRON_TZ=Europe/Berlin 30 2 * * *",
			"2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z", "2026-06-01T00:30:00Z", 1},
		{"spring forward: 02:30 does not exist on the 29th and is left out", "CRON_TZ=Europe/Berlin 30 2 * * *",
			"2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", "2026-03-30T00:30:00Z", 1},
		{"autumn: 02:30 comes twice on the 25th and fires twice", "CRON_TZ=Europe/Berlin 30 2 * * *",
			"2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", "2026-10-25T01:30:00Z", 2},
		{"every quarter of an hour does not care in spring", "CRON_TZ=Europe/Berlin */15 * * * *",
			"2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z", "2026-03-29T03:00:00Z", 12},
		{"every quarter of an hour does not care in autumn", "CRON_TZ=Europe/Berlin */15 * * * *",
			"2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z", "2026-10-25T03:00:00Z", 12},
		{"the first instant is excluded", "* * * * *",
			"2026-06-01T00:00:00Z", "2026-06-01T00:00:59Z", "", 0},
		{"time that runs backwards", "* * * * *",
			"2026-06-01T01:00:00Z", "2026-06-01T00:00:00Z", "", 0},
		{"six fields", "*/5 * * * * *",
			"2026-06-01T00:00:00Z", "2026-06-01T00:00:12Z", "2026-06-01T00:00:10Z", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			due, n := lastDue(mustSchedule(t, c.spec).Cron, parseTime(t, c.from), parseTime(t, c.to))
			if n != c.n {
				t.Errorf("n = %d, want %d", n, c.n)
			}
			if c.due != "" && !due.Equal(parseTime(t, c.due)) {
				t.Errorf("due %v, want %v", due.UTC(), c.due)
			}
		})
	}
}

func TestPhaseNextIsLaterAndOnItsGrid(t *testing.T) {
	for _, p := range []phase{{time.Second, 0}, {10 * time.Second, 2600 * time.Millisecond}, {1250 * time.Millisecond, 700 * time.Millisecond}} {
		for _, now := range []time.Time{time.Unix(0, 0), time.Unix(-5, 3), time.Unix(1_800_000_000, 700_000_000), p.at(42), p.at(42).Add(-1)} {
			next := p.Next(now)
			if wait := next.Sub(now); wait <= 0 || wait > p.interval {
				t.Errorf("%+v: next after %v is %v later", p, now.UTC(), wait)
			}
			if due, n := lastDue(p, now, next); n != 1 || !due.Equal(next) {
				t.Errorf("%+v: %d due in (%v, %v], the last %v", p, n, now.UTC(), next, due)
			}
		}
	}
}

// The same instants, counted by arithmetic and by walking.
func TestLastDueOfPhaseAgreesWithWalk(t *testing.T) {
	p := phase{3 * time.Second, 1100 * time.Millisecond}
	from := time.Unix(1000, 0)
	for d := time.Duration(0); d < 20*time.Second; d += 130 * time.Millisecond {
		due, n := lastDue(p, from, from.Add(d))
		walkDue, walkN := lastDue(walked{p}, from, from.Add(d))
		if n != walkN || (n > 0 && !due.Equal(walkDue)) {
			t.Fatalf("after %v: %d due, the last %v; walking gives %d, %v", d, n, due, walkN, walkDue)
		}
	}
}

// walked hides that the schedule is a phase.
type walked struct{ p phase }

func (w walked) Next(t time.Time) time.Time { return w.p.Next(t) }

func TestSlotRunCountsWhatItMissed(t *testing.T) {
	base := time.Now()
	for _, c := range []struct {
		name   string
		spec   string
		wakes  []time.Duration // after the minute that follows base
		fired  int
		missed int
	}{
		{"on time", "*/10 * * * * *", []time.Duration{10 * time.Second, 20 * time.Second}, 2, 0},
		{"a little late is not missed", "*/10 * * * * *", []time.Duration{10 * time.Second, 29 * time.Second}, 2, 0},
		{"a wake that skipped three", "*/10 * * * * *", []time.Duration{10 * time.Second, 51 * time.Second}, 2, 3},
		{"the first wake is late too", "*/10 * * * * *", []time.Duration{35 * time.Second}, 1, 2},
		{"the same instant twice", "*/10 * * * * *", []time.Duration{10 * time.Second, 10*time.Second + 1}, 1, 0},
		{"woken for nothing", "*/10 * * * * *", []time.Duration{5 * time.Second}, 0, 0},
		{"a small step back does not fire again", "*/10 * * * * *", []time.Duration{10 * time.Second, 9900 * time.Millisecond, 20 * time.Second}, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := base.Add(base.Truncate(time.Minute).Add(time.Minute).Sub(base.Round(0)))
			s := &slot{schedule: mustSchedule(t, c.spec).Cron, jobs: []Job{{Name: "a"}, {Name: "b"}}}
			s.begin(start)
			fired, missed := 0, 0
			for _, w := range c.wakes {
				missed += s.run(start.Add(w), func(_ Job, due time.Time) {
					if late := start.Add(w).Sub(due); late < 0 || late >= 10*time.Second {
						t.Errorf("woken at +%v, fired for an instant %v before", w, late)
					}
					fired++
				})
			}
			if fired != 2*c.fired || missed != 2*c.missed {
				t.Errorf("two jobs fired %d and missed %d rounds, want %d and %d", fired, missed, 2*c.fired, 2*c.missed)
			}
		})
	}
}

func TestSlotForgetsWhatAnotherClockSaid(t *testing.T) {
	start := time.Now()
	s := &slot{schedule: phase{interval: time.Second}, jobs: []Job{{}}}
	s.begin(start)
	fire := func(Job, time.Time) {}
	s.run(start.Add(10*time.Second), fire)
	back := start.Add(-time.Hour)
	if n := s.run(back.Add(time.Second), fire); n != 0 {
		t.Errorf("%d missed after a step back", n)
	}
	s.forget(back)
	fired := 0
	s.run(back.Add(time.Second), func(Job, time.Time) { fired++ })
	if fired != 1 {
		t.Error("nothing fired on the new clock")
	}
}
