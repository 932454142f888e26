package probe

import (
	"context"
	"sync"
	"time"
)

const (
	healthTick = 50 * time.Millisecond
	// pauseLimit is the lateness of a tick from which on we say that this process did not run. A stage timeout is
	// many times longer, so a shorter hiccup cannot make one.
	pauseLimit = 500 * time.Millisecond
	// stepLimit is the least change of the wall clock that is worth a word.
	stepLimit = 500 * time.Millisecond
	// keptGaps bounds the memory of gaps and steps.
	keptGaps = 64
	// hiccup is the lateness of a tick from which on it counts as time in which we were kept from running. A machine
	// that is merely busy is some milliseconds late.
	hiccup = 20 * time.Millisecond
	// keptLate bounds the memory of late ticks: more than come in half a minute.
	keptLate = 512
	// recently is for how long after its end a pause is told beside verdicts that know nothing of it.
	recently = time.Minute
)

// Health watches the prober itself: a tick that comes late means that this process did not run (stopped, starved,
// the machine suspended), a wall clock that moves otherwise than the monotonic one means that it was set.
type Health struct {
	// OnGap and OnStep are told of each pause and each clock step, from Run's goroutine. Set them before Run.
	OnGap  func(Gap)
	OnStep func(at time.Time, by time.Duration)

	mu    sync.Mutex
	last  reading
	gaps  []Gap
	steps []step
	late  []span
}

// span is a time in which this process was due and did not run.
type span struct{ from, to time.Time }

// within is how much of the span lies between two instants.
func (s span) within(from, to time.Time) time.Duration {
	if s.from.After(from) {
		from = s.from
	}
	if s.to.Before(to) {
		to = s.to
	}
	return max(0, to.Sub(from))
}

type step struct {
	at time.Time
	by time.Duration
}

// reading is one instant on three clocks.
type reading struct {
	now  time.Time     // wall and CLOCK_MONOTONIC
	boot time.Duration // CLOCK_BOOTTIME, which goes on while the machine is suspended
}

// NewHealth prepares a watch.
func NewHealth() *Health { return &Health{} }

// Run looks at the clocks until ctx ends.
func (h *Health) Run(ctx context.Context) error {
	t := time.NewTicker(healthTick)
	defer t.Stop()
	h.mu.Lock()
	h.last = readClocks()
	h.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			h.mu.Lock()
			h.last = reading{} // from here on nobody watches
			h.mu.Unlock()
			return nil
		case <-t.C:
			h.tick(readClocks())
		}
	}
}

// tick compares a reading with the one before.
func (h *Health) tick(r reading) {
	h.mu.Lock()
	gap, paused := pause(h.last, r)
	by := clockStep(h.last, r)
	if paused {
		h.gaps = keep(append(h.gaps, gap), keptGaps)
	}
	if s, late := lateness(h.last, r); late {
		h.late = keep(append(h.late, s), keptLate)
	}
	stepped := by.Abs() >= stepLimit
	if stepped {
		h.steps = keep(append(h.steps, step{r.now, by}), keptGaps)
	}
	h.last = r
	h.mu.Unlock()
	if paused && h.OnGap != nil {
		h.OnGap(gap.utc())
	}
	if stepped && h.OnStep != nil {
		h.OnStep(r.now, by)
	}
}

func keep[T any](s []T, n int) []T {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}

// pause tells whether the time between two readings is one in which we did not run.
func pause(a, b reading) (Gap, bool) {
	ran := b.boot - a.boot
	if a.now.IsZero() || ran < healthTick+pauseLimit {
		return Gap{}, false
	}
	reason := "the process did not run"
	if suspended := ran - b.now.Sub(a.now); suspended > pauseLimit {
		reason = "the machine was suspended"
	}
	return Gap{From: b.now.Add(-ran), To: b.now, Reason: reason}, true
}

// lateness is the time by which a reading came late, if that is worth a word and no pause.
func lateness(a, b reading) (span, bool) {
	late := b.boot - a.boot - healthTick
	if a.now.IsZero() || late < hiccup || late >= pauseLimit {
		return span{}, false
	}
	return span{b.now.Add(-late), b.now}, true
}

// clockStep is by how much the wall clock moved beyond the time that passed.
func clockStep(a, b reading) time.Duration {
	if a.now.IsZero() {
		return 0
	}
	return b.now.Round(0).Sub(a.now.Round(0)) - (b.boot - a.boot)
}

// Between returns the gaps that overlap a span, and by how much the wall clock was set within it. What has just ended
// and is not noted yet, because its tick is still to come, counts too. Give it times that time.Now returned: without
// their monotonic reading a clock that was set moves them.
func (h *Health) Between(from, to time.Time) (gaps []Gap, stepped time.Duration) {
	if h == nil {
		return nil, 0
	}
	now := readClocks()
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.gaps
	if g, paused := pause(h.last, now); paused {
		all = append(all[:len(all):len(all)], g)
	}
	for _, g := range all {
		if g.To.After(from) && g.From.Before(to) {
			gaps = append(gaps, g.utc())
		}
	}
	if by := clockStep(h.last, now); by.Abs() >= stepLimit && h.last.now.Before(to) {
		stepped = by
	}
	for _, s := range h.steps {
		if !s.at.Before(from) && !s.at.After(to) {
			stepped += s.by
		}
	}
	return gaps, stepped
}

// Recent returns the gaps that ended in the minute before an instant.
func (h *Health) Recent(at time.Time) (gaps []Gap) {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.gaps {
		if !g.To.After(at) && at.Sub(g.To) < recently {
			gaps = append(gaps, g.utc())
		}
	}
	return gaps
}

// Starved is for how long within a span this process was due and did not run, pauses not counted.
func (h *Health) Starved(from, to time.Time) (sum time.Duration) {
	if h == nil {
		return 0
	}
	now := readClocks()
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, late := lateness(h.last, now); late {
		sum = s.within(from, to)
	}
	for _, s := range h.late {
		sum += s.within(from, to)
	}
	return sum
}
