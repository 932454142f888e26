package alert

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// keySelf holds the troubles of the prober itself.
const keySelf = "self"

// Desk is where all rounds of a process come together: each gets its verdict, moves its target's incident, and
// whatever follows is told and kept.
//
//	probe.Result -> probe.Attribute -> Tracker, CertificateWatch -> events -> event stream
//	                                                                       -> take (the Dispatcher: outbox, store)
type Desk struct {
	events  func(Event)
	take    func(Entry)
	log     *slog.Logger
	metrics *deskMetrics
	// attribute is probe.Attribute.
	attribute func(now *probe.Result, past []*probe.Result) probe.Verdict
	now       func() time.Time

	mu      sync.Mutex
	targets map[string]*seat
	vantage vantage
	// receivers are the names of those that are configured.
	receivers []string

	// troubles keeps the order of events of the prober's own.
	troubles sync.Mutex
	self     *Self
}

// NewDesk makes a desk for the configured targets. events takes every event and take what is to be told and kept; either
// may be nil, and neither may block.
func NewDesk(cfg *config.Config, events func(Event), take func(Entry), log *slog.Logger, reg prometheus.Registerer) (*Desk, error) {
	m, err := newDeskMetrics(reg)
	if err != nil {
		return nil, err
	}
	d := &Desk{events: events, take: take, log: log, metrics: m, attribute: probe.Attribute, now: time.Now, targets: map[string]*seat{},
		self: NewSelf(NewID(SelfTarget, rand.Reader))}
	d.Reload(cfg, time.Time{}, nil)
	return d, nil
}

// Observe takes a round and says what it means, and after what time another look is wanted, 0 for no wish. Rounds of
// one target must come one after the other, those of different targets may come at once.
func (d *Desk) Observe(r *probe.Result) (v probe.Verdict, next time.Duration) {
	s := d.seat(r.Target)
	if s == nil {
		s = &seat{closed: true}
	}
	s.mu.Lock()
	if s.closed { // its target was removed while the round ran
		v = d.attribute(r, nil)
		d.tell(NewResult(r, v))
		s.mu.Unlock()
		return v, 0
	}
	v = d.attribute(r, s.tracker.History())
	entry, events, next := s.observe(r, v)
	d.tell(NewResult(r, v))
	d.pass(entry, events)
	s.mu.Unlock()
	d.watchVantage(r, v)
	return v, next
}

func (d *Desk) seat(target string) *seat {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.targets[target]
}

// watchVantage notes whether this prober can look at anything at all.
func (d *Desk) watchVantage(r *probe.Result, v probe.Verdict) {
	d.mu.Lock()
	begins, ends, why := d.vantage.observe(r.Target, v, r.Started, r.Ended, len(d.targets))
	d.mu.Unlock()
	switch {
	case begins:
		d.Begin(Trouble{Cause: probe.CauseBlind}, why)
	case ends:
		d.End(Trouble{Cause: probe.CauseBlind})
	}
}

// Gap takes a time between two rounds of a target in which this process did not run. One that was told already, or
// that ended before one that was, is not told again.
func (d *Desk) Gap(target string, g probe.Gap) {
	s := d.seat(target)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !g.To.After(s.tracker.s.GapsTo) {
		return
	}
	events := s.tracker.Gap(g)
	d.pass(s.entry(g.To, events), events)
}

// Begin tells of a trouble of the prober's own, and why; see [SelfTarget].
func (d *Desk) Begin(t Trouble, why string) {
	d.troubles.Lock()
	defer d.troubles.Unlock()
	d.passSelf(d.self.Begin(t, why, d.now()))
}

// End tells that a trouble of the prober's own is over.
func (d *Desk) End(t Trouble) {
	d.troubles.Lock()
	defer d.troubles.Unlock()
	d.passSelf(d.self.End(t, d.now()))
}

func (d *Desk) passSelf(events []Event) {
	if len(events) == 0 {
		return
	}
	e := Entry{At: d.now(), Events: events, Batch: Batch{Events: events, State: map[string][]byte{}}}
	for _, x := range events {
		e.Batch.Incidents = append(e.Batch.Incidents, x.Incident)
	}
	if data, err := d.self.Checkpoint(); err == nil {
		e.Batch.State[keySelf] = data
	}
	d.pass(e, events)
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
		for _, i := range []*Incident{s.tracker.Incident(), s.certs.Incident()} {
			if i != nil {
				out = append(out, i)
			}
		}
		s.mu.Unlock()
	}
	d.troubles.Lock()
	out = append(out, d.self.Incidents()...)
	d.troubles.Unlock()
	slices.SortFunc(out, func(a, b *Incident) int { return strings.Compare(a.ID, b.ID) })
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
		next[t.Name] = newSeat(t)
		d.metrics.open.WithLabelValues(t.Name).Set(0)
	}
	d.targets, d.receivers = next, nil
	for _, r := range cfg.Receivers {
		d.receivers = append(d.receivers, r.Name)
	}
	for name := range old {
		if next[name] == nil {
			d.vantage.forget(name)
		}
	}
	d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(old)) {
		s := old[name]
		if next[name] == s {
			continue
		}
		reason := "its configuration has changed"
		if next[name] == nil {
			reason = "the target is no longer configured"
		}
		d.close(s, now, reason)
		if next[name] == nil {
			d.metrics.forget(name)
		}
	}
	d.endForgotten()
}

// endForgotten ends the troubles that are about a receiver that is no longer configured.
func (d *Desk) endForgotten() {
	d.mu.Lock()
	receivers := d.receivers
	d.mu.Unlock()
	d.troubles.Lock()
	all := d.self.Troubles()
	d.troubles.Unlock()
	for _, t := range all {
		if t.Cause == probe.CauseReceiverRefuses && !slices.Contains(receivers, t.About) {
			d.End(t)
		}
	}
}

// close ends a seat with its incidents.
func (d *Desk) close(s *seat, now time.Time, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	events := append(s.tracker.Close(now, reason), s.certs.Close(now, reason)...)
	e := s.entry(now, events)
	e.Batch.State = map[string][]byte{keySeat + s.cfg.Name: nil}
	d.pass(e, events)
}

// pass tells events and hands them on with what is kept.
func (d *Desk) pass(e Entry, events []Event) {
	for _, x := range events {
		d.tell(x)
	}
	if d.take != nil {
		d.take(e)
	}
}

// tell passes an event on to whoever reads the stream.
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
}

// Restore goes on where an earlier process ended: incidents keep their IDs and starts, and the time between is a gap. It
// is called once, before the first round.
func (d *Desk) Restore(ctx context.Context, saved *Saved, store Store) {
	now := d.now()
	d.mu.Lock()
	seats := d.targets
	d.mu.Unlock()
	watched := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(saved.State)) {
		name, ok := strings.CutPrefix(key, keySeat)
		switch {
		case !ok:
		case seats[name] == nil:
			d.pass(Entry{At: now, Batch: Batch{State: map[string][]byte{key: nil}}}, nil)
		default:
			for _, id := range d.restoreSeat(ctx, seats[name], saved.State[key], store, now) {
				watched[id] = true
			}
		}
	}
	d.closeForgotten(saved, watched, now)
	if data, ok := saved.State[keySelf]; ok {
		if err := d.self.Restore(data); err != nil {
			d.log.Warn("the prober's own troubles begin anew", "error", err)
		}
		// What can be looked at and what can be written shows again.
		d.End(Trouble{Cause: probe.CauseBlind})
		d.End(Trouble{Cause: probe.CauseStateNotKept})
		d.endForgotten()
	}
	for _, i := range d.Incidents() {
		if i.State == Open || i.State == Recovering {
			d.metrics.opened(i)
		}
	}
	if saved.Trouble != "" {
		t := Trouble{Cause: probe.CauseStateLost}
		d.Begin(t, saved.Trouble)
		d.End(t) // from now on it is kept again
	}
}

// Checkpoint keeps where every target's detection stands, before the process ends.
func (d *Desk) Checkpoint() {
	d.mu.Lock()
	seats := maps.Clone(d.targets)
	d.mu.Unlock()
	for _, s := range seats {
		s.mu.Lock()
		d.pass(Entry{At: s.ended, Batch: Batch{State: s.state()}}, nil)
		s.mu.Unlock()
	}
}

// restoreSeat lets a target go on, and returns the incidents that it goes on with. The time between may be too long for
// one of them, which then ends here.
func (d *Desk) restoreSeat(ctx context.Context, s *seat, data []byte, store Store, now time.Time) (watched []string) {
	name := s.cfg.Name
	until, err := s.restore(ctx, data, store, now)
	if err != nil {
		d.log.Warn("the target begins without its past", "target", name, "error", err)
		fresh := newSeat(s.cfg)
		s.tracker, s.certs = fresh.tracker, fresh.certs
		return nil
	}
	for _, i := range []*Incident{s.tracker.Incident(), s.certs.Incident()} {
		if i != nil {
			watched = append(watched, i.ID)
		}
	}
	d.Gap(name, probe.Gap{From: until, To: now, Reason: "this prober did not run"})
	return watched
}

// closeForgotten ends the incidents that receivers were told of and that nobody watches any more.
func (d *Desk) closeForgotten(saved *Saved, watched map[string]bool, now time.Time) {
	for _, key := range slices.Sorted(maps.Keys(saved.State)) {
		var e Event
		if !strings.HasPrefix(key, keySeen) || json.Unmarshal(saved.State[key], &e) != nil || e.Incident == nil || e.Verdict == nil {
			continue
		}
		if i := e.Incident; i.Active() && !watched[i.ID] && i.Target != SelfTarget {
			i.State, i.Reason = Dismissed, "this prober was started again and no longer watches it"
			e.Event, e.Time, e.Lanes = EventDismissed, now.UTC(), nil
			d.pass(Entry{At: now, Events: []Event{e}, Batch: Batch{Events: []Event{e}, Incidents: []*Incident{i}}}, []Event{e})
		}
	}
}
