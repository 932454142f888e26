package alert

import (
	"context"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// worker serves one receiver.
type worker struct {
	d        *Dispatcher
	cfg      config.Receiver
	notifier Notifier
	started  bool
	// wake has room for one sign that there may be something to send.
	wake chan struct{}
	// leaving ends when the worker should end as soon as nothing can be sent at once.
	leaving context.Context
	leave   context.CancelFunc
}

func newWorker(d *Dispatcher, cfg config.Receiver, n Notifier) *worker {
	w := &worker{d: d, cfg: cfg, notifier: n, wake: make(chan struct{}, 1)}
	w.leaving, w.leave = context.WithCancel(context.Background())
	return w
}

func (w *worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run sends until the worker should leave, at the latest until ctx ends. It returns when all its goroutines have.
func (w *worker) run(ctx context.Context) {
	var beside sync.WaitGroup
	life, end := context.WithCancel(ctx)
	stop := context.AfterFunc(w.leaving, end)
	defer func() { stop(); end(); beside.Wait() }()
	if c, ok := w.notifier.(Checker); ok {
		beside.Go(func() { w.check(life, c) })
	}
	if r, ok := w.notifier.(Runner); ok {
		beside.Go(func() {
			if err := r.Run(life); err != nil && life.Err() == nil {
				w.d.log.Error("a receiver's long-lived part ended", "receiver", w.cfg.Name, "error", err)
			}
		})
	}
	w.serve(ctx)
}

func (w *worker) serve(ctx context.Context) {
	idle := time.NewTimer(time.Hour)
	defer idle.Stop()
	for ctx.Err() == nil {
		if w.leaving.Err() != nil && !w.d.draining() {
			return // another worker goes on
		}
		x, wait, ok := w.d.next(w.cfg.Name)
		if ok {
			w.d.settle(ctx, x, w.notifier.Notify(ctx, x.Notification))
			continue
		}
		if w.leaving.Err() != nil && (!w.d.unsynced(w.cfg.Name) || wait > 0) {
			return
		}
		if wait <= 0 {
			wait = time.Hour
		}
		idle.Reset(wait)
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-idle.C:
		case <-w.left():
		}
	}
}

// left is closed when the worker should leave, and nil once it knows.
func (w *worker) left() <-chan struct{} {
	if w.leaving.Err() != nil {
		return nil
	}
	return w.leaving.Done()
}

// check asks the destination whether it knows us, until it does.
func (w *worker) check(ctx context.Context, c Checker) {
	for {
		one, cancel := context.WithTimeout(ctx, checkTime)
		err := c.Check(one)
		cancel()
		if ctx.Err() != nil || !w.d.checked(w.cfg.Name, err) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(checkAgain):
		}
	}
}
