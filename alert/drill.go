package alert

import (
	"context"
	"encoding/json"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

const (
	keyDrill = "drill/" // + receiver
	// DrillOverdue is for how long the last drill that a receiver took vouches for it.
	DrillOverdue = 8 * 24 * time.Hour
)

// Drill is how a receiver did in drills.
type Drill struct {
	Receiver string `json:"receiver"`
	// Since is when we began to expect drills of it.
	Since time.Time `json:"since"`
	// Succeeded is when it last took one; zero if it never did.
	Succeeded time.Time `json:"succeeded,omitzero"`
	// Tried is when the last one was settled, Error why it failed.
	Tried time.Time `json:"tried,omitzero"`
	Error string    `json:"error,omitempty"`
}

// Overdue tells that it is too long ago that the receiver was known to work.
func (x *Drill) Overdue(now time.Time) bool {
	return now.Sub(later(x.Since, x.Succeeded)) > DrillOverdue
}

func (d *Dispatcher) recallDrill(name string, v []byte) {
	var x Drill
	if err := json.Unmarshal(v, &x); err != nil {
		d.log.Warn("what was kept of a drill cannot be read", "receiver", name, "error", err)
		return
	}
	d.drills[name] = x
	if !x.Succeeded.IsZero() {
		d.metrics.drill.WithLabelValues(name).Set(float64(x.Succeeded.Unix()))
	}
}

// forgetDrills forgets those of receivers that are no longer configured, or take part no more.
func (d *Dispatcher) forgetDrills() {
	known := map[string]bool{}
	for _, w := range d.workers {
		known[w.cfg.Name] = w.cfg.Drills()
	}
	for name := range d.drills {
		if !known[name] {
			delete(d.drills, name)
			d.metrics.drill.DeleteLabelValues(name)
			d.Keep(keyDrill+name, nil)
		}
	}
}

// Drills is how each receiver that takes part did, in the order of the configuration.
func (d *Dispatcher) Drills() (out []Drill) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		if w.cfg.Drills() {
			out = append(out, d.drillOf(w.cfg.Name))
		}
	}
	return out
}

// drillOf begins to expect drills of a receiver that is new.
func (d *Dispatcher) drillOf(name string) Drill {
	x, ok := d.drills[name]
	if !ok {
		x = Drill{Receiver: name, Since: d.now().UTC()}
		d.drills[name] = x
		d.keeper.Put(Batch{State: map[string][]byte{keyDrill + name: d.outbox.encode(x)}}, false)
	}
	return x
}

// drilled notes how the end of a drill was taken. The lock is held.
func (d *Dispatcher) drilled(x Delivery) Batch {
	r := d.drillOf(x.Receiver)
	r.Tried, r.Error = d.now().UTC(), x.Error
	if x.State == Sent {
		r.Succeeded = r.Tried
		d.metrics.drill.WithLabelValues(x.Receiver).Set(float64(r.Succeeded.Unix()))
	}
	d.drills[x.Receiver] = r
	return Batch{State: map[string][]byte{keyDrill + x.Receiver: d.outbox.encode(r)}}
}

// RunDrill sends a made-up incident of a target through every receiver that takes drills and waits until each has taken
// or refused it, at most until ctx ends; what has not been taken by then is still tried later.
func (d *Dispatcher) RunDrill(ctx context.Context, target string, id func(time.Time) string) []Drill {
	now := d.now().UTC()
	opened, resolved := drillEvents(target, id(now), now)
	settled := make(chan Delivery, 64)
	d.mu.Lock()
	d.watchers[opened.Incident.ID] = settled
	waiting := map[string]bool{}
	for _, name := range d.outbox.Drill(opened, resolved, now) {
		waiting[name] = true
	}
	d.flush(Batch{}, true)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.watchers, opened.Incident.ID)
		d.mu.Unlock()
	}()
	failed := map[string]string{}
	for len(waiting) > 0 && ctx.Err() == nil {
		select {
		case x := <-settled:
			failed[x.Receiver] = x.Error
			if x.State == Refused || x.State == Sent && x.Transition == config.Resolved {
				delete(waiting, x.Receiver)
			}
		case <-ctx.Done():
		}
	}
	return d.drillResults(waiting, failed, now)
}

// drillResults is how each receiver did in a drill that began at a time.
func (d *Dispatcher) drillResults(waiting map[string]bool, failed map[string]string, began time.Time) []Drill {
	out := d.Drills()
	for i := range out {
		x := &out[i]
		switch {
		case failed[x.Receiver] != "":
			x.Error = failed[x.Receiver]
		case waiting[x.Receiver]:
			x.Error = "not taken yet; it is tried further"
		}
		if x.Tried.Before(began) {
			x.Tried = began
		}
	}
	return out
}

// drillEvents make up an outage of a minute that ended now. Everything about it says that it is made up.
func drillEvents(target, id string, now time.Time) (opened, resolved Event) {
	began := now.Add(-time.Minute)
	after := began.Add(-time.Second)
	v := probe.Verdict{State: probe.Down, Layer: probe.LayerProxy, Cause: probe.CauseFrozen, Confidence: probe.Confirmed,
		Suspects: []probe.Suspect{{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}},
		Evidence: []string{"this is a drill: nothing is wrong, and nobody has to do anything"}, Cleared: nil, Rule: "drill"}
	i := &Incident{ID: id, State: Open, Target: target, Bounds: Bounds{StartsAfter: &after, StartsBefore: began}, StartsAt: began, OpenedAt: &began}
	i.change(began, v, "")
	opened = Event{Event: EventDrill, Time: now, Target: target, Verdict: &v, Incident: i}
	end := i.snapshot()
	end.setEnd(&began, &now)
	end.State, end.ResolvedAt = Resolved, &now
	resolved = Event{Event: EventDrill, Time: now, Target: target, Verdict: &v, Incident: end}
	return opened, resolved
}
