package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

const (
	// drainTime is how long what can be sent is still sent when the process ends. The rest waits for the next one.
	drainTime = 10 * time.Second
	// tellTick is how often is looked what time alone makes due.
	tellTick = time.Second
	// checkTime bounds a check of a receiver, checkAgain is when one that failed is repeated.
	checkTime  = 30 * time.Second
	checkAgain = 5 * time.Minute
)

// Dispatcher tells receivers what the [Outbox] decides: one goroutine each, so that a slow or dead one delays neither
// the probing nor the others. Nothing leaves before the [Keeper] has made it durable, and what was sent is made so before
// the next.
type Dispatcher struct {
	build   func(config.Receiver, Memory) (Notifier, error)
	keeper  *Keeper
	log     *slog.Logger
	metrics *dispatchMetrics
	trouble troubles
	now     func() time.Time

	mu       sync.Mutex
	outbox   *Outbox
	workers  []*worker
	memories map[string]map[string]string
	drills   map[string]Drill
	watchers map[string]chan<- Delivery
	closed   bool
	// changed has room for one sign that there are workers to start.
	changed chan struct{}
}

// troubles hears of the prober's own; see [Desk].
type troubles interface {
	Begin(t Trouble, why string)
	End(t Trouble)
}

// NewDispatcher builds the notifiers of all receivers and goes on where an earlier process ended. It starts nothing; see
// Run.
func NewDispatcher(cfg *config.Config, saved *Saved, store Store, build func(config.Receiver, Memory) (Notifier, error), log *slog.Logger,
	reg prometheus.Registerer,
) (*Dispatcher, error) {
	m, err := newDispatchMetrics(reg)
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{build: build, log: log, metrics: m, now: time.Now, outbox: NewOutbox(&config.Config{}), memories: map[string]map[string]string{},
		drills: map[string]Drill{}, watchers: map[string]chan<- Delivery{}, changed: make(chan struct{}, 1)}
	d.keeper = NewKeeper(store, log, d.committed, d.broken)
	d.remember(saved)
	if err := d.Reload(cfg); err != nil {
		return nil, err
	}
	d.forgetDrills()
	dropped, err := d.outbox.Restore(saved)
	if err != nil {
		d.log.Error("a part of what was kept cannot be read", "error", err)
	}
	d.gone(dropped)
	d.flush(Batch{}, true)
	return d, nil
}

// Watch says who hears of the prober's own troubles. It is called before Run.
func (d *Dispatcher) Watch(t troubles) { d.trouble = t }

func (d *Dispatcher) broken(err error) {
	d.metrics.kept(err)
	t := Trouble{Cause: probe.CauseStateNotKept}
	if err != nil {
		d.tellTrouble(t, err.Error())
		return
	}
	d.endTrouble(t)
}

// Reload changes the receivers. Those whose configuration is the same keep their notifier; what waits for one that is
// gone is dropped. On an error nothing has changed.
func (d *Dispatcher) Reload(cfg *config.Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := make([]*worker, 0, len(cfg.Receivers))
	for _, r := range cfg.Receivers {
		w, err := d.workerFor(r)
		if err != nil {
			return fmt.Errorf("receiver %q: %w", r.Name, err)
		}
		next = append(next, w)
	}
	kept := map[*worker]bool{}
	names := map[string]bool{}
	for _, w := range next {
		kept[w], names[w.cfg.Name] = true, true
		d.metrics.prepare(w.cfg.Name)
	}
	for _, w := range d.workers {
		if !kept[w] {
			w.leave()
		}
		if !names[w.cfg.Name] {
			d.metrics.forget(w.cfg.Name)
		}
	}
	d.workers = next
	d.gone(d.outbox.Configure(cfg))
	d.flush(Batch{}, true)
	d.sign()
	return nil
}

// workerFor is the worker of a receiver that did not change, or a new one.
func (d *Dispatcher) workerFor(r config.Receiver) (*worker, error) {
	for _, w := range d.workers {
		if config.Equal(w.cfg, r) {
			return w, nil
		}
	}
	n, err := d.build(r, &memory{d: d, receiver: r.Name})
	if err != nil {
		return nil, err
	}
	return newWorker(d, r, n), nil
}

func (d *Dispatcher) sign() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// gone names in the log what will not be told because its receiver is no longer configured.
func (d *Dispatcher) gone(dropped []Delivery) {
	for _, x := range dropped {
		d.metrics.count(x.Receiver, x.Transition, "dropped")
		d.log.Error("a message is dropped: its receiver is no longer configured", "receiver", x.Receiver, "incident", x.Incident, "transition", x.Transition)
	}
}

// Take takes what happened: incidents' steps, and what is to be kept with them. It never blocks.
func (d *Dispatcher) Take(e Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range e.Events {
		d.outbox.Take(x, e.At)
	}
	for n, i := range e.Batch.Incidents {
		if g := d.outbox.groupOf(i.ID); g != "" {
			i = i.snapshot()
			i.Group = g
			e.Batch.Incidents[n] = i
		}
	}
	d.flush(e.Batch, e.Urgent || len(e.Events) > 0)
}

// Keep keeps a value for the next process under a key of its own; nil deletes it.
func (d *Dispatcher) Keep(key string, value []byte) {
	d.keeper.Put(Batch{State: map[string][]byte{key: value}}, false)
}

// flush hands what changed to the keeper. The lock is held, so that what belongs together is put in together, and in order.
func (d *Dispatcher) flush(more Batch, urgent bool) {
	b := d.outbox.Flush()
	if len(b.State) > 0 && len(more.State) > 0 {
		for key, v := range more.State {
			b.State[key] = v
		}
	} else if len(more.State) > 0 {
		b.State = more.State
	}
	b.Incidents, b.Events, b.Rounds, b.History = more.Incidents, more.Events, more.Rounds, more.History
	if b.empty() {
		return
	}
	d.keeper.Put(b, urgent)
	for _, w := range d.workers {
		n, since := d.outbox.Waiting(w.cfg.Name)
		d.metrics.wait(w.cfg.Name, n, since)
	}
}

// committed wakes the workers: what they wait for may be durable now.
func (d *Dispatcher) committed(seq int64, degraded bool) {
	d.mu.Lock()
	d.outbox.Committed(seq, degraded)
	workers := d.workers
	d.mu.Unlock()
	for _, w := range workers {
		w.signal()
	}
}

// Run delivers until ctx ends, then for some seconds what can be sent at once, and returns when all goroutines have ended.
// What was not delivered by then waits in the store.
func (d *Dispatcher) Run(ctx context.Context) error {
	var keeping, working sync.WaitGroup
	keepCtx, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	keeping.Go(func() { _ = d.keeper.Run(keepCtx) })
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	tick := time.NewTicker(tellTick)
	defer tick.Stop()
	d.sign()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-d.changed:
		case <-tick.C:
			d.tick()
		}
		for _, w := range d.fresh() {
			working.Go(func() { w.run(sending) })
		}
	}
	d.drain()
	for _, w := range d.fresh() {
		working.Go(func() { w.run(sending) })
	}
	timer := time.AfterFunc(drainTime, stop)
	defer timer.Stop()
	working.Wait()
	stopKeeping()
	keeping.Wait()
	d.leftOver()
	return nil
}

// drain lets every worker end once nothing can be sent at once.
func (d *Dispatcher) drain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, w := range d.workers {
		w.leave()
	}
}

// leftOver names in the log what waits for the next process, or is lost if there is nothing that it could be read from.
func (d *Dispatcher) leftOver() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		if n, since := d.outbox.Waiting(w.cfg.Name); n > 0 {
			d.log.Warn("messages are not delivered yet; with a state directory the next start goes on with them", "receiver", w.cfg.Name, "messages", n, "since", since)
		}
	}
}

// tick does what time alone makes due.
func (d *Dispatcher) tick() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outbox.Tick(d.now())
	d.flush(Batch{}, true)
}

// fresh are the workers that do not run yet.
func (d *Dispatcher) fresh() (out []*worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		if !w.started {
			w.started = true
			out = append(out, w)
		}
	}
	return out
}

// next is what a worker should send now; see [Outbox.Next].
func (d *Dispatcher) next(receiver string) (Delivery, time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outbox.Next(receiver, d.now())
}

// draining tells that this process ends.
func (d *Dispatcher) draining() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// unsynced tells that something waits for a receiver that only has to be made durable.
func (d *Dispatcher) unsynced(receiver string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.outbox.line(receiver)
	return l != nil && l.queue.unsynced()
}

// settle takes what became of a delivery and returns when that is durable.
func (d *Dispatcher) settle(ctx context.Context, x Delivery, err error) {
	if d.settled(x, err) {
		d.keeper.Sync(ctx)
	}
}

// settled takes what became of a delivery. It returns false for one that nobody waits for any more.
func (d *Dispatcher) settled(x Delivery, err error) bool {
	d.mu.Lock()
	x, known := d.outbox.Settle(x.Receiver, x.Seq, err, d.now())
	more := Batch{}
	if known && x.Notification.Drill && x.Transition == config.Resolved {
		more = d.drilled(x)
	}
	d.flush(more, true)
	watcher := d.watchers[x.Incident]
	d.mu.Unlock()
	if !known {
		return false
	}
	if watcher != nil {
		select {
		case watcher <- x:
		default:
		}
	}
	d.say(x, err)
	return true
}

// say counts and logs what became of a delivery.
func (d *Dispatcher) say(x Delivery, err error) {
	log := d.log.With("receiver", x.Receiver, "incident", x.Incident, "transition", x.Transition, "attempt", x.Attempts)
	about := Trouble{Cause: probe.CauseReceiverRefuses, About: x.Receiver}
	switch x.State {
	case Sent:
		d.metrics.count(x.Receiver, x.Transition, "sent")
		d.metrics.success.WithLabelValues(x.Receiver).SetToCurrentTime()
		d.endTrouble(about)
	case Refused:
		d.metrics.count(x.Receiver, x.Transition, "failed")
		log.Error("the receiver refuses a message for good", "error", err)
		d.tellTrouble(about, fmt.Sprintf("%s, %s of %s: %v", x.Receiver, x.Transition, x.Incident, err))
	default:
		d.metrics.retries.WithLabelValues(x.Receiver).Inc()
		log.Warn("a message was not delivered and will be tried again", "error", err)
	}
}

func (d *Dispatcher) tellTrouble(t Trouble, why string) {
	if d.trouble != nil {
		d.trouble.Begin(t, why)
	}
}

func (d *Dispatcher) endTrouble(t Trouble) {
	if d.trouble != nil {
		d.trouble.End(t)
	}
}

// checked hears how the check of a receiver went.
func (d *Dispatcher) checked(receiver string, err error) (again bool) {
	about := Trouble{Cause: probe.CauseReceiverRefuses, About: receiver}
	var permanent *PermanentError
	switch {
	case err == nil:
		d.log.Info("the receiver knows us", "receiver", receiver)
		d.endTrouble(about)
		return false
	case errors.As(err, &permanent):
		d.log.Error("the receiver will not take our messages", "receiver", receiver, "error", err)
		d.tellTrouble(about, receiver+": "+err.Error())
	default:
		d.log.Warn("the receiver could not be checked", "receiver", receiver, "error", err)
	}
	return true
}
