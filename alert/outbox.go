package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// Keys of what the outbox keeps in the store's state.
const (
	keySeen   = "seen/"   // + incident: its last event
	keyLedger = "ledger/" // + receiver: what it was told
)

// Outbox decides what each receiver is told, and in which order. It is pure: it knows no clock and does no I/O, and
// what must survive a crash comes out of Flush, to be committed before the deliveries in it are sent:
//
//	event -> Take -> ledger (route, group, maintenance, reminders) -> queue (order, coalescing, retries) -> Next
//
// It is not safe for concurrent use.
type Outbox struct {
	lines []*line
	// seen is the last event of each incident that goes on or that a group remembers.
	seen map[string]*Event
	seq  int64
	// degraded tells that nothing can be made durable now.
	degraded    bool
	maintenance func(target string, at time.Time) time.Time

	changed Batch
}

// line is one receiver's way.
type line struct {
	cfg    config.Receiver
	ledger *ledger
	queue  *queue
}

// NewOutbox begins with nothing to tell.
func NewOutbox(cfg *config.Config) *Outbox {
	o := &Outbox{seen: map[string]*Event{}}
	o.Configure(cfg)
	return o
}

// Configure takes another configuration. Receivers are known by their names: one that is described otherwise goes on with
// what it was told and what waits for it. What waits for one that is gone is dropped and returned.
func (o *Outbox) Configure(cfg *config.Config) (dropped []Delivery) {
	o.maintenance = maintenanceOf(cfg)
	own := ownListeners(cfg.Receivers)
	old := o.lines
	o.lines = nil
	for _, r := range cfg.Receivers {
		if len(r.On) == 0 {
			r.On = []config.Transition{config.Opened, config.Resolved}
		}
		l := &line{cfg: r, ledger: &ledger{}, queue: newQueue(r.ForPeople())}
		if i := slices.IndexFunc(old, func(x *line) bool { return x.cfg.Name == r.Name }); i >= 0 {
			l.ledger, l.queue = old[i].ledger, old[i].queue
			l.queue.people = r.ForPeople()
		}
		l.ledger.cfg, l.ledger.maintenance, l.ledger.own = &l.cfg, o.maintenance, own[r.Name]
		o.lines = append(o.lines, l)
	}
	for _, l := range old {
		if o.line(l.cfg.Name) != nil {
			continue
		}
		for _, d := range l.queue.items {
			d.State = Dropped
			o.changed.Deliveries = append(o.changed.Deliveries, *d)
			dropped = append(dropped, *d)
		}
		o.keep(keyLedger+l.cfg.Name, nil)
	}
	return dropped
}

// maintenanceOf says until when a target's incidents are withheld.
func maintenanceOf(cfg *config.Config) func(string, time.Time) time.Time {
	return func(target string, at time.Time) time.Time {
		_, until, _ := cfg.MaintenanceAt(target, at)
		return until
	}
}

// ownListeners are the receivers that hear of the prober's own troubles: those that are for every target, or all if there
// are none.
func ownListeners(all []config.Receiver) map[string]bool {
	out := map[string]bool{}
	for _, r := range all {
		if len(r.Targets) == 0 && r.WantsLayer("prober") {
			out[r.Name] = true
		}
	}
	if len(out) == 0 {
		for _, r := range all {
			out[r.Name] = true
		}
	}
	return out
}

func (o *Outbox) line(receiver string) *line {
	i := slices.IndexFunc(o.lines, func(l *line) bool { return l.cfg.Name == receiver })
	if i < 0 {
		return nil
	}
	return o.lines[i]
}

// Take takes an incident's step. Other events are of no concern here.
func (o *Outbox) Take(e Event, now time.Time) {
	if _, ok := e.Event.Transition(); !ok || e.Incident == nil || e.Verdict == nil {
		return
	}
	id := e.Incident.ID
	o.seen[id] = &e
	components := componentsOf(&e)
	for _, l := range o.lines {
		if told := l.ledger.take(&e, components, o.seen, now); len(told) > 0 {
			o.queue(l, told, now)
		}
		o.keepLedger(l)
	}
	if e.Incident.Active() || o.remembered(id) {
		o.keep(keySeen+id, o.encode(&e))
		return
	}
	o.forget(id)
}

// groupOf is the ID of another incident under which a receiver is told of an incident; empty if there is none.
func (o *Outbox) groupOf(id string) string {
	for _, l := range o.lines {
		for _, g := range l.ledger.Groups {
			if g.ID != id && slices.Contains(g.Members, id) {
				return g.ID
			}
		}
	}
	return ""
}

// Tick does what time alone makes due.
func (o *Outbox) Tick(now time.Time) {
	for _, l := range o.lines {
		told, changed := l.ledger.tick(o.seen, now)
		o.queue(l, told, now)
		if changed {
			o.keepLedger(l)
		}
	}
	for id, e := range o.seen {
		if !e.Incident.Active() && !o.remembered(id) {
			o.forget(id)
		}
	}
}

// remembered tells that a receiver's group may need the incident still.
func (o *Outbox) remembered(id string) bool {
	return slices.ContainsFunc(o.lines, func(l *line) bool {
		return slices.ContainsFunc(l.ledger.Groups, func(g *group) bool { return slices.Contains(g.Members, id) })
	})
}

func (o *Outbox) forget(id string) {
	delete(o.seen, id)
	o.keep(keySeen+id, nil)
}

// Drill queues a made-up incident for every receiver that takes drills, and returns their names.
func (o *Outbox) Drill(opened, resolved Event, now time.Time) (receivers []string) {
	for _, l := range o.lines {
		if !l.cfg.Drills() {
			continue
		}
		receivers = append(receivers, l.cfg.Name)
		o.queue(l, []Notification{
			{Transition: config.Opened, Event: opened, Drill: true},
			{Transition: config.Resolved, Event: resolved, Drill: true},
		}, now)
	}
	return receivers
}

func (o *Outbox) queue(l *line, told []Notification, now time.Time) {
	for _, n := range told {
		o.seq++
		d := &Delivery{Seq: o.seq, Receiver: l.cfg.Name, Incident: n.Event.Incident.ID, Transition: n.Transition,
			Created: now.UTC(), Notification: n, State: Waiting}
		for _, m := range l.queue.push(d) {
			m.State, m.Settled = Merged, now.UTC()
			o.changed.Deliveries = append(o.changed.Deliveries, *m)
		}
		o.changed.Deliveries = append(o.changed.Deliveries, *d)
	}
}

// Next is the delivery that a receiver should be sent now, after which nothing more comes for it until Settle; if there is
// none, after what time to ask again, 0 for when something changes.
func (o *Outbox) Next(receiver string, now time.Time) (d Delivery, wait time.Duration, ok bool) {
	l := o.line(receiver)
	if l == nil {
		return Delivery{}, 0, false
	}
	p, wait := l.queue.next(now)
	if p == nil {
		return Delivery{}, wait, false
	}
	d = *p
	d.Notification.Degraded = o.degraded
	return d, 0, true
}

// Settle says what became of a delivery. An error that is not permanent keeps it; it returns the delivery as it is now.
func (o *Outbox) Settle(receiver string, seq int64, err error, now time.Time) (Delivery, bool) {
	l := o.line(receiver)
	if l == nil {
		return Delivery{}, false
	}
	i := slices.IndexFunc(l.queue.items, func(d *Delivery) bool { return d.Seq == seq })
	if i < 0 {
		l.queue.sending = 0
		return Delivery{}, false
	}
	d := l.queue.items[i]
	var permanent *PermanentError
	var wait *RetryAfterError
	var pause time.Duration
	d.State, d.Error = Sent, ""
	if err != nil {
		d.State, d.Error = Waiting, err.Error()
		if errors.As(err, &wait) {
			pause = wait.After
		} else if errors.As(err, &permanent) {
			d.State = Refused
		}
	}
	if d.State != Waiting {
		d.Settled = now.UTC()
	}
	l.queue.settle(d, d.State != Waiting, pause, now)
	o.changed.Deliveries = append(o.changed.Deliveries, *d)
	return *d, true
}

// Committed tells that every delivery up to seq would survive a crash, or, with degraded, that none can be made to.
func (o *Outbox) Committed(seq int64, degraded bool) {
	o.degraded = degraded
	for _, l := range o.lines {
		l.queue.durable = max(l.queue.durable, seq)
	}
}

// Seq is the last delivery's.
func (o *Outbox) Seq() int64 { return o.seq }

// Waiting counts what waits for a receiver, and says since when.
func (o *Outbox) Waiting(receiver string) (n int, since time.Time) {
	if l := o.line(receiver); l != nil {
		return l.queue.len(), l.queue.oldest()
	}
	return 0, time.Time{}
}

// Flush is what changed since the last time, to be committed as a whole.
func (o *Outbox) Flush() Batch {
	b := o.changed
	o.changed = Batch{}
	return b
}

func (o *Outbox) keep(key string, value []byte) {
	if o.changed.State == nil {
		o.changed.State = map[string][]byte{}
	}
	o.changed.State[key] = value
}

func (o *Outbox) keepLedger(l *line) { o.keep(keyLedger+l.cfg.Name, o.encode(l.ledger.Groups)) }

// encode makes JSON of plain data. Should that ever fail, what was kept before is forgotten.
func (o *Outbox) encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return data
}

// Restore goes on where an earlier process ended. What waits for a receiver that is no longer configured is dropped and
// returned. An error says what of the state could not be read; the rest is taken.
func (o *Outbox) Restore(s *Saved) (dropped []Delivery, err error) {
	var errs []error
	o.seq = s.Seq
	for _, key := range slices.Sorted(maps.Keys(s.State)) {
		if id, ok := strings.CutPrefix(key, keySeen); ok {
			var e Event
			if err := json.Unmarshal(s.State[key], &e); err != nil || e.Incident == nil || e.Verdict == nil {
				errs = append(errs, fmt.Errorf("state %q: not an incident's event: %w", key, err))
				o.keep(key, nil)
				continue
			}
			o.seen[id] = &e
		}
		if name, ok := strings.CutPrefix(key, keyLedger); ok {
			l := o.line(name)
			if l == nil {
				o.keep(key, nil)
			} else if err := json.Unmarshal(s.State[key], &l.ledger.Groups); err != nil {
				errs = append(errs, fmt.Errorf("state %q: %w", key, err))
			}
		}
	}
	for _, d := range s.Deliveries {
		l := o.line(d.Receiver)
		if l == nil || d.Notification.Event.Incident == nil || d.Notification.Event.Verdict == nil {
			d.State = Dropped
			o.changed.Deliveries = append(o.changed.Deliveries, d)
			dropped = append(dropped, d)
			continue
		}
		l.queue.items = append(l.queue.items, &d)
	}
	o.Committed(o.seq, false)
	return dropped, errors.Join(errs...)
}
