package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
)

// Limits of a receiver that does not take its messages.
const (
	queueLimit   = 256
	firstRetry   = time.Second
	longestRetry = time.Minute
	giveUpAfter  = time.Hour
	drainTime    = 10 * time.Second
)

// Dispatcher hands notifications to receivers: one bounded queue and one goroutine each, so that a slow or dead one
// delays neither the probing nor the others. Within a receiver the order is kept, and so within an incident.
type Dispatcher struct {
	build   func(config.Receiver) (Notifier, error)
	log     *slog.Logger
	metrics *dispatchMetrics

	mu        sync.Mutex
	receivers []*receiver
	closed    bool
	// changed has room for one sign that receivers were added.
	changed chan struct{}
}

// receiver is one destination and what waits for it.
type receiver struct {
	cfg      config.Receiver
	notifier Notifier
	queue    *queue
	started  bool
	// kept ends, by drop, when the configuration no longer has the receiver.
	kept context.Context
	drop context.CancelFunc
}

func newReceiver(cfg config.Receiver, n Notifier) *receiver {
	r := &receiver{cfg: cfg, notifier: n, queue: newQueue(queueLimit)}
	r.kept, r.drop = context.WithCancel(context.Background())
	return r
}

// wants tells whether a notification is for this receiver.
func (r *receiver) wants(n Notification) bool {
	on := r.cfg.On
	if len(on) == 0 {
		on = []config.Transition{config.Opened, config.Resolved}
	}
	return slices.Contains(on, n.Transition) && (len(r.cfg.Targets) == 0 || slices.Contains(r.cfg.Targets, n.Event.Target))
}

// NewDispatcher builds the notifiers of all receivers. It starts nothing; see Run.
func NewDispatcher(receivers []config.Receiver, build func(config.Receiver) (Notifier, error), log *slog.Logger,
	reg prometheus.Registerer,
) (*Dispatcher, error) {
	d := &Dispatcher{build: build, log: log, changed: make(chan struct{}, 1)}
	m, err := newDispatchMetrics(reg)
	if err != nil {
		return nil, err
	}
	d.metrics = m
	return d, d.Reload(receivers)
}

// Reload changes the receivers. Those whose configuration is the same keep their notifier and what waits for them;
// removed ones deliver the rest of theirs. On an error nothing has changed.
func (d *Dispatcher) Reload(receivers []config.Receiver) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var next, kept []*receiver
	for _, cfg := range receivers {
		i := slices.IndexFunc(d.receivers, func(r *receiver) bool { return reflect.DeepEqual(r.cfg, cfg) })
		if i >= 0 {
			next, kept = append(next, d.receivers[i]), append(kept, d.receivers[i])
			continue
		}
		n, err := d.build(cfg)
		if err != nil {
			return fmt.Errorf("receiver %q: %w", cfg.Name, err)
		}
		next = append(next, newReceiver(cfg, n))
	}
	for _, r := range d.receivers {
		if !slices.Contains(kept, r) {
			r.drop()
			if !slices.ContainsFunc(next, func(x *receiver) bool { return x.cfg.Name == r.cfg.Name }) {
				d.metrics.forget(r.cfg.Name)
			}
		}
	}
	d.receivers = next
	for _, r := range next {
		d.metrics.prepare(r.cfg.Name)
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
	return nil
}

// Send queues a notification for every receiver that wants it. It never blocks.
func (d *Dispatcher) Send(n Notification) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.receivers {
		if !r.wants(n) {
			continue
		}
		if d.closed {
			d.lost(r, n, "this process is ending")
			continue
		}
		for _, l := range r.queue.push(n) {
			d.lost(r, l, "too many messages wait")
		}
		d.metrics.waiting.WithLabelValues(r.cfg.Name).Set(float64(r.queue.len()))
	}
}

// Run delivers until ctx ends, then for some seconds what is still queued, and returns when all goroutines have ended.
// Whatever has not been delivered by then is named in the log.
func (d *Dispatcher) Run(ctx context.Context) error {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	draining := make(chan struct{})
	var wg sync.WaitGroup
	start := func() {
		for _, r := range d.fresh() {
			wg.Go(func() { d.serve(sending, draining, r) })
		}
	}
	for ctx.Err() == nil {
		start()
		select {
		case <-ctx.Done():
		case <-d.changed:
		}
	}
	d.mu.Lock()
	d.closed = true // from here on nothing is queued
	d.mu.Unlock()
	start()
	close(draining)
	timer := time.AfterFunc(drainTime, stop)
	defer timer.Stop()
	wg.Wait()
	return nil
}

// fresh are the receivers that nobody serves yet.
func (d *Dispatcher) fresh() (out []*receiver) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.receivers {
		if !r.started {
			r.started = true
			out = append(out, r)
		}
	}
	return out
}

// serve delivers one receiver's queue until the dispatcher drains or the receiver is dropped, then what is left of it.
func (d *Dispatcher) serve(sending context.Context, draining <-chan struct{}, r *receiver) {
	sending, stop := context.WithCancel(sending)
	defer stop()
	defer context.AfterFunc(r.kept, func() { time.AfterFunc(drainTime, stop) })()
	for {
		n, ok := r.queue.pop()
		if ok {
			d.deliver(sending, r, n)
			continue
		}
		select {
		case <-r.queue.ready:
			continue
		default:
		}
		select {
		case <-r.queue.ready:
		case <-draining:
			return
		case <-r.kept.Done():
			return
		}
	}
}

// deliver tries until the message is taken, refused for good, or too old.
func (d *Dispatcher) deliver(ctx context.Context, r *receiver, n Notification) {
	d.metrics.waiting.WithLabelValues(r.cfg.Name).Set(float64(r.queue.len()))
	if ctx.Err() != nil {
		d.lost(r, n, "this process is ending")
		return
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.Multiplier = firstRetry, longestRetry, 2
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, classify(r.notifier.Notify(ctx, n)) },
		backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(giveUpAfter),
		backoff.WithNotify(func(err error, next time.Duration) {
			d.metrics.retries.WithLabelValues(r.cfg.Name).Inc()
			d.log.Warn("notification failed, will be tried again", "receiver", r.cfg.Name, "incident", n.Event.Incident.ID,
				"transition", n.Transition, "in", next.Round(time.Millisecond), "error", err)
		}))
	if err != nil {
		d.metrics.count(r.cfg.Name, n.Transition, "failed")
		d.log.Error("notification was not delivered", "receiver", r.cfg.Name, "incident", n.Event.Incident.ID,
			"transition", n.Transition, "error", err)
		return
	}
	d.metrics.count(r.cfg.Name, n.Transition, "sent")
	d.metrics.success.WithLabelValues(r.cfg.Name).SetToCurrentTime()
}

// classify tells the retrying library in its own types what to do with an error.
func classify(err error) error {
	var permanent *PermanentError
	var wait *RetryAfterError
	switch {
	case errors.As(err, &permanent):
		return backoff.Permanent(err)
	case errors.As(err, &wait):
		return errors.Join(err, &backoff.RetryAfterError{Duration: wait.After})
	}
	return err
}

func (d *Dispatcher) lost(r *receiver, n Notification, why string) {
	d.metrics.count(r.cfg.Name, n.Transition, "dropped")
	d.log.Error("notification is lost", "receiver", r.cfg.Name, "incident", n.Event.Incident.ID,
		"transition", n.Transition, "headline", n.Headline(), "reason", why)
}
