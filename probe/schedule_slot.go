package probe

import (
	"hash/fnv"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// phaseStep is the grid of phases. A finer one costs: cron sorts all its entries at each distinct instant.
const phaseStep = 100 * time.Millisecond

// phase is a schedule of equal intervals that stand still in Unix time: instants are k*interval + offset. Unlike
// cron's own @every it does not depend on when the process started.
type phase struct {
	interval, offset time.Duration
}

var _ cron.Schedule = phase{}

// Spread is a name's own share of a time span, the same in every process, so that many names do not start at once.
func Spread(name string, over time.Duration) time.Duration { return phaseOf(name, over).offset }

// phaseOf spreads names over the interval. The same name has the same phase in every process.
func phaseOf(name string, interval time.Duration) phase {
	h := fnv.New64a()
	h.Write([]byte(name))
	offset := time.Duration(h.Sum64() % uint64(interval))
	return phase{interval: interval, offset: offset.Truncate(phaseStep)}
}

// index counts the interval that an instant falls into.
func (p phase) index(t time.Time) int64 {
	ns := t.UnixNano() - int64(p.offset)
	i := ns / int64(p.interval)
	if ns%int64(p.interval) < 0 {
		i--
	}
	return i
}

// at is the first instant of an interval.
func (p phase) at(index int64) time.Time {
	return time.Unix(0, index*int64(p.interval)+int64(p.offset)).UTC()
}

// Next implements cron.Schedule.
func (p phase) Next(t time.Time) time.Time { return p.at(p.index(t) + 1) }

// lastDue is the last instant of a schedule in (from, to], and how many there are.
func lastDue(s cron.Schedule, from, to time.Time) (due time.Time, n int) {
	if !to.After(from) {
		return time.Time{}, 0
	}
	if p, ok := s.(phase); ok {
		last := p.index(to)
		return p.at(last), int(last - p.index(from))
	}
	for t := s.Next(from.UTC()); !t.IsZero() && !t.After(to); t = s.Next(t) {
		due, n = t, n+1
	}
	return due, n
}

// slotKey tells which jobs share an entry: those of one phase, or of one expression.
type slotKey struct {
	phase phase
	spec  string
}

// slot is one entry of cron with all jobs of the same instants.
type slot struct {
	schedule cron.Schedule

	mu   sync.Mutex
	jobs []Job
	// ran is when it was last fired or began, with the monotonic reading.
	ran time.Time
	// due is the last instant that was fired.
	due time.Time
}

// group puts jobs of equal instants together.
func group(jobs []Job) map[slotKey]*slot {
	slots := make(map[slotKey]*slot)
	for _, j := range jobs {
		key, schedule := slotKey{spec: j.Schedule.Spec}, j.Schedule.Cron
		if j.Schedule.Every > 0 {
			p := phaseOf(j.Name, j.Schedule.Every)
			key, schedule = slotKey{phase: p}, p
		}
		if slots[key] == nil {
			slots[key] = &slot{schedule: schedule}
		}
		slots[key].jobs = append(slots[key].jobs, j)
	}
	return slots
}

// begin starts the count of what is due, unless it has begun.
func (s *slot) begin(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ran.IsZero() {
		s.ran = now
	}
}

// forget starts the count anew: the clock on which it was made is no longer right.
func (s *slot) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran, s.due = now, time.Time{}
}

// replace takes over the jobs of another slot, none for nil. What was fired is remembered, and an entry of the cron
// before that fires once more finds the new jobs.
func (s *slot) replace(by *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = nil
	if by != nil {
		s.jobs = by.jobs
	}
}

// run fires every job once for the last instant that is due and returns how many rounds the earlier ones would have
// been. It does nothing for an instant that was fired before.
func (s *slot) run(now time.Time, fire func(Job, time.Time)) (missed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// When it last ran, as the wall clock counts now: a clock that was set forward has missed nothing.
	from := now.Add(-now.Sub(s.ran))
	if s.due.After(from) {
		from = s.due
	}
	due, n := lastDue(s.schedule, from, now)
	if n == 0 {
		return 0
	}
	s.ran, s.due = now, due
	for _, j := range s.jobs {
		fire(j, due)
	}
	return (n - 1) * len(s.jobs)
}
