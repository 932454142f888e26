package alert

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// Desk is where all rounds of a process come together: each gets its verdict, moves its target's incident, and
// whatever follows is told.
//
//	probe.Result -> probe.Attribute -> Tracker -> events -> event stream
//	                                                     -> notify (the Dispatcher)
type Desk struct {
	events  func(Event)
	notify  func(Notification)
	log     *slog.Logger
	metrics *deskMetrics
	// attribute is probe.Attribute.
	attribute func(now *probe.Result, past []*probe.Result) probe.Verdict

	mu      sync.Mutex
	targets map[string]*seat
}

// seat is one target's place at the desk. Its lock keeps the target's events in their order.
type seat struct {
	mu      sync.Mutex
	cfg     config.Target
	tracker *Tracker
	// closed tells that the desk has another seat, or none, for the target.
	closed bool
}

// NewDesk makes a desk for the configured targets. events takes every event and notify every transition of an incident;
// either may be nil, and neither may block.
func NewDesk(cfg *config.Config, events func(Event), notify func(Notification), log *slog.Logger,
	reg prometheus.Registerer,
) (*Desk, error) {
	m, err := newDeskMetrics(reg)
	if err != nil {
		return nil, err
	}
	d := &Desk{events: events, notify: notify, log: log, metrics: m, attribute: probe.Attribute, targets: map[string]*seat{}}
	d.Reload(cfg, time.Time{}, nil)
	return d, nil
}

// Observe takes a round and says what it means, and after what time another look is wanted, 0 for no wish. Rounds of
// one target must come one after the other, those of different targets may come at once.
func (d *Desk) Observe(r *probe.Result) (v probe.Verdict, next time.Duration) {
	d.mu.Lock()
	s := d.targets[r.Target]
	d.mu.Unlock()
	if s == nil {
		s = &seat{closed: true}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // its target was removed while the round ran
		v = d.attribute(r, nil)
		d.tell(NewResult(r, v))
		return v, 0
	}
	v = d.attribute(r, s.tracker.History())
	step := s.tracker.Observe(r, v)
	d.tell(NewResult(r, v))
	for _, e := range step.Events {
		d.tell(e)
	}
	return v, step.Next
}

// Gap takes a time between two rounds of a target in which this process did not run. One that was told already, or
// that ended before one that was, is not told again.
func (d *Desk) Gap(target string, g probe.Gap) {
	d.mu.Lock()
	s := d.targets[target]
	d.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !g.To.After(s.tracker.s.GapsTo) {
		return
	}
	for _, e := range s.tracker.Gap(g) {
		d.tell(e)
	}
}

// Incidents are copies of those that are going on, ordered by ID.
func (d *Desk) Incidents() (out []*Incident) {
	d.mu.Lock()
	seats := make([]*seat, 0, len(d.targets))
	for _, s := range d.targets {
		seats = append(seats, s)
	}
	d.mu.Unlock()
	for _, s := range seats {
		s.mu.Lock()
		if i := s.tracker.Incident(); i != nil {
			out = append(out, i)
		}
		s.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b *Incident) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// Reload takes another configuration at the time now. Targets that same takes for unchanged keep their incident; a nil
// same compares names. The incidents of the others end, dismissed, with the reason.
func (d *Desk) Reload(cfg *config.Config, now time.Time, same func(a, b config.Target) bool) {
	d.mu.Lock()
	old, next := d.targets, make(map[string]*seat, len(cfg.Targets))
	for _, t := range cfg.Targets {
		if s := old[t.Name]; s != nil && (same == nil || same(s.cfg, t)) {
			next[t.Name] = s
			continue
		}
		next[t.Name] = &seat{cfg: t, tracker: NewTracker(t.Name, t.Detect, NewID(t.Name, rand.Reader))}
		d.metrics.open.WithLabelValues(t.Name).Set(0)
	}
	d.targets = next
	d.mu.Unlock()
	for name, s := range old {
		if next[name] == s {
			continue
		}
		reason := "its configuration has changed"
		if next[name] == nil {
			reason = "the target is no longer configured"
		}
		s.mu.Lock()
		s.closed = true
		for _, e := range s.tracker.Close(now, reason) {
			d.tell(e)
		}
		s.mu.Unlock()
		if next[name] == nil {
			d.metrics.forget(name)
		}
	}
}

// tell passes an event on to whoever wants it.
func (d *Desk) tell(e Event) {
	if d.events != nil {
		d.events(e)
	}
	n, ok := NewNotification(e)
	if !ok {
		return
	}
	d.metrics.saw(e)
	level := slog.LevelInfo
	if e.Event == EventOpened {
		level = slog.LevelWarn
	}
	d.log.Log(context.Background(), level, "incident "+string(e.Event), "target", e.Target, "incident", e.Incident.ID,
		"headline", n.Headline(), "starts_after", e.Incident.StartsAfter, "starts_before", e.Incident.StartsBefore, "rule", e.Verdict.Rule)
	if d.notify != nil {
		d.notify(n)
	}
}
