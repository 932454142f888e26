package config

import "time"

// MaintenanceAt tells whether incidents of a target are not told at a time, and until when. Of several that go on it is
// the one that ends last.
func (c *Config) MaintenanceAt(target string, t time.Time) (name string, until time.Time, in bool) {
	for i := range c.Maintenance {
		m := &c.Maintenance[i]
		if !anyTarget(m.Targets, target) {
			continue
		}
		if end, ok := m.endAt(t); ok && end.After(until) {
			name, until, in = m.Name, end, true
		}
	}
	return name, until, in
}

// endAt is when the maintenance that goes on at a time ends, and false when none does. The times from begin (included)
// to end (excluded) belong to it.
func (m *Maintenance) endAt(t time.Time) (time.Time, bool) {
	if m.Schedule.Cron == nil {
		return time.Time{}, false
	}
	begin, ok := m.lastBegin(t)
	return begin.Add(m.Duration.Std()), ok
}

// lastBegin is the last begin at or before t that is not older than the duration. A schedule can only say what comes
// next, and may fire every second for a week, so the last one is searched by halves: Next of all times before it is not
// after t, Next of itself is.
func (m *Maintenance) lastBegin(t time.Time) (begin time.Time, ok bool) {
	next := func(at time.Time) (time.Time, bool) {
		n := m.Schedule.Cron.Next(at)
		return n, !n.IsZero() && !n.After(t)
	}
	before, after := t.Add(-m.Duration.Std()), t
	begin, ok = next(before)
	for ok && after.Sub(before) > time.Second {
		middle := before.Add(after.Sub(before) / 2)
		if n, yes := next(middle); yes {
			begin, before = n, middle
		} else {
			after = middle
		}
	}
	return begin, ok
}

// overlaps tells whether, as a rule, it begins again before it ends. Once in autumn it may: there is an hour twice.
func (m *Maintenance) overlaps(now time.Time) bool {
	if m.Schedule.Cron == nil {
		return false
	}
	const looks, rule = 100, 10
	early := 0
	begin := m.Schedule.Cron.Next(now)
	for range looks {
		next := m.Schedule.Cron.Next(begin)
		if next.IsZero() {
			return false
		}
		if next.Sub(begin) < m.Duration.Std() {
			early++
		}
		begin = next
	}
	return early > rule
}
