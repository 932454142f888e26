package alert

import (
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/whichlayer/whichlayer/config"
)

// How a receiver that does not take its messages is tried again.
const (
	firstRetry   = time.Second
	longestRetry = 20 * time.Second
)

// queue holds what waits for one receiver. Within an incident the order is kept; an incident whose message fails again
// and again holds up no other. It is pure: time is an argument. Messages that open or end an incident are never dropped.
type queue struct {
	// people tells that those who read want few messages: what is over before it could be told is told in one.
	people bool
	items  []*Delivery
	// sending is the Seq of the delivery that is on its way, 0 if none.
	sending int64
	// pause grows with failures of the receiver, whatever the message.
	pause *backoff.ExponentialBackOff
	// until is when the receiver may be tried again, notBefore when a delivery may be.
	until     time.Time
	notBefore map[int64]time.Time
	// durable is the highest Seq that would survive a crash: what is beyond must wait.
	durable int64
}

func newQueue(people bool) *queue {
	q := &queue{people: people, pause: backoff.NewExponentialBackOff(), notBefore: map[int64]time.Time{}}
	q.pause.InitialInterval, q.pause.MaxInterval, q.pause.Multiplier = firstRetry, longestRetry, 2
	return q
}

// push appends a delivery and returns those that it makes needless.
func (q *queue) push(d *Delivery) (merged []*Delivery) {
	drop := func(o *Delivery) { merged = append(merged, o) }
	for _, o := range q.items {
		if o.Incident != d.Incident || o.Attempts > 0 || o.Seq == q.sending || o.Notification.Drill != d.Notification.Drill {
			continue
		}
		switch {
		case o.Transition == config.Updated && d.Transition != config.Suspect:
			drop(o)
		case !q.people:
		case o.Transition == config.Opened && d.Transition == config.Updated:
			drop(o) // what is told first is what is known by then
			d.Transition, d.Notification.Transition, d.Notification.Reminder = config.Opened, config.Opened, false
			d.Notification.Event.Event = EventOpened
		case o.Transition == config.Opened && d.Transition == config.Resolved && !d.Notification.Drill:
			drop(o)
			d.Notification.Whole = true
		case o.Transition == config.Resolved && d.Transition == config.Opened && o.Notification.Whole && d.Notification.covers(&o.Notification):
			drop(o) // nobody has heard of it at all
		case o.Transition == config.Suspect && d.Transition != config.Suspect:
			drop(o)
		}
	}
	q.items = slices.DeleteFunc(q.items, func(o *Delivery) bool { return slices.Contains(merged, o) })
	q.items = append(q.items, d)
	return merged
}

// covers tells that a notification is about all that another one is about. A group goes on with those that relapse alone.
func (n *Notification) covers(o *Notification) bool {
	about := n.incidents()
	return !slices.ContainsFunc(o.incidents(), func(id string) bool { return !slices.Contains(about, id) })
}

// incidents are the IDs of what a notification is about.
func (n *Notification) incidents() (ids []string) {
	for _, m := range n.Event.Incident.Members {
		ids = append(ids, m.Incident)
	}
	if len(ids) == 0 {
		ids = []string{n.Event.Incident.ID}
	}
	return ids
}

// next is the delivery to try now; if there is none, after what time to ask again, 0 for when something changes.
func (q *queue) next(now time.Time) (d *Delivery, wait time.Duration) {
	if q.sending != 0 || len(q.items) == 0 {
		return nil, 0
	}
	if w := q.until.Sub(now); w > 0 {
		return nil, w
	}
	tried := map[string]bool{}
	for _, o := range q.items {
		if tried[o.Incident] || o.Seq > q.durable {
			continue
		}
		tried[o.Incident] = true
		w := q.notBefore[o.Seq].Sub(now)
		if w <= 0 {
			q.sending = o.Seq
			o.Attempts++
			return o, 0
		}
		if wait == 0 || w < wait {
			wait = w
		}
	}
	return nil, wait
}

// settle takes what became of the delivery on its way. A failure that may pass keeps it; pause is what the receiver asked
// for, 0 for nothing.
func (q *queue) settle(d *Delivery, final bool, pause time.Duration, now time.Time) {
	q.sending = 0
	if final {
		q.pause.Reset()
		q.until = time.Time{}
		delete(q.notBefore, d.Seq)
		q.items = slices.DeleteFunc(q.items, func(o *Delivery) bool { return o.Seq == d.Seq })
		return
	}
	own := q.pause.NextBackOff()
	q.until = now.Add(max(own, pause))
	q.notBefore[d.Seq] = now.Add(max(2*own, pause)) // meanwhile another incident's message is tried
}

// unsynced tells that the last message waits only to be made durable.
func (q *queue) unsynced() bool { return len(q.items) > 0 && q.items[len(q.items)-1].Seq > q.durable }

func (q *queue) len() int { return len(q.items) }

// oldest is when the message that waits longest was made; zero if none waits.
func (q *queue) oldest() time.Time {
	if len(q.items) == 0 {
		return time.Time{}
	}
	return q.items[0].Created
}
