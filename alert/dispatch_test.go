package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// fake is a notifier that does what it is told.
type fake struct {
	mu    sync.Mutex
	got   []string
	at    []time.Time
	reply func(try int) error
	saw   func(Notification)
	// poison is an incident whose messages always fail.
	poison string
	block  bool
}

func (f *fake) Notify(ctx context.Context, n Notification) error {
	f.mu.Lock()
	try := len(f.at)
	f.at = append(f.at, time.Now())
	f.mu.Unlock()
	if f.block {
		<-ctx.Done()
		return ctx.Err()
	}
	if n.Event.Incident.ID == f.poison {
		return errors.New("500 Internal Server Error")
	}
	if f.reply != nil {
		if err := f.reply(try); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.saw != nil {
		f.saw(n)
	}
	f.got = append(f.got, string(n.Transition)+" "+n.Event.Incident.ID)
	return nil
}

func (f *fake) told() []string { f.mu.Lock(); defer f.mu.Unlock(); return append([]string{}, f.got...) }

func note(t config.Transition, id string) Event {
	v := down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
	state := map[config.Transition]State{config.Suspect: Suspected, config.Opened: Open, config.Updated: Open, config.Resolved: Resolved, config.Dismissed: Dismissed}[t]
	return Event{Event: Kind(t), Time: epoch, Target: "orders", Verdict: &v, Incident: &Incident{ID: id, State: state, Target: "orders"}}
}

// bench is a dispatcher with fakes by the receiver's name.
type bench struct {
	*Dispatcher
	reg   *prometheus.Registry
	fakes map[string]*fake
	store *ram
}

func newBench(t *testing.T, store *ram, receivers []config.Receiver, fakes map[string]*fake) *bench {
	t.Helper()
	b := &bench{reg: prometheus.NewPedanticRegistry(), fakes: fakes, store: store}
	d, err := NewDispatcher(&config.Config{Receivers: receivers}, store.saved(), store, func(r config.Receiver, _ Memory) (Notifier, error) {
		if f := b.fakes[r.Name]; f != nil {
			return f, nil
		}
		return nil, errors.New("no such fake")
	}, discard(), b.reg)
	if err != nil {
		t.Fatal(err)
	}
	b.Dispatcher = d
	return b
}

func (b *bench) send(events ...Event) {
	b.Take(Entry{At: time.Now(), Events: events, Batch: Batch{Events: events}})
}

// run runs the dispatcher until the returned function is called.
func (b *bench) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	return func() { cancel(); <-done }
}

func TestDispatcherRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fakes := map[string]*fake{"default": {}, "hook": {}, "other": {}}
		b := newBench(t, newRAM(), []config.Receiver{{Name: "default"}, {Name: "hook", On: []config.Transition{config.Suspect, config.Resolved}},
			{Name: "other", Targets: []string{"mail"}}}, fakes)
		stop := b.run()
		for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved} {
			b.send(note(tr, "1"))
			synctest.Wait()
		}
		b.send(note(config.Suspect, "2"))
		synctest.Wait()
		b.send(note(config.Dismissed, "2"))
		synctest.Wait()
		stop()
		for name, want := range map[string][]string{"default": {"opened 1", "resolved 1"}, "hook": {"suspect 1", "resolved 1", "suspect 2"}, "other": {}} {
			if diff := cmp.Diff(want, fakes[name].told()); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

// TestADeadReceiverDelaysNobody: and what it does not take waits, in the store too, for the next process.
func TestADeadReceiverDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fakes := map[string]*fake{"dead": {block: true}, "alive": {}}
		store := newRAM()
		receivers := []config.Receiver{{Name: "dead"}, {Name: "alive"}}
		b := newBench(t, store, receivers, fakes)
		stop := b.run()
		for n := range 400 {
			b.send(note(config.Opened, fmt.Sprint(n)))
			if n%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if n := len(fakes["alive"].told()); n != 400 {
			t.Errorf("the receiver that lives got %d of 400", n)
		}
		if got := testutil.ToFloat64(b.metrics.waiting.WithLabelValues("dead")); got != 400 {
			t.Errorf("%v wait for the dead one", got)
		}
		begin := time.Now()
		stop()
		if took := time.Since(begin); took != drainTime {
			t.Errorf("the end took %v", took)
		}
		fakes["dead"] = &fake{}
		b = newBench(t, store, receivers, fakes)
		stop = b.run()
		time.Sleep(time.Minute)
		stop()
		if n := len(fakes["dead"].told()); n != 400 {
			t.Errorf("after the restart it got %d of 400", n)
		}
		if n := len(fakes["alive"].told()); n != 400 {
			t.Errorf("the other one was told again: %d", n)
		}
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passing := errors.New("try later")
		fakes := map[string]*fake{
			"flaky": {reply: func(try int) error {
				if try < 3 {
					return passing
				}
				return nil
			}},
			"asks": {reply: func(try int) error {
				if try == 0 {
					return &RetryAfterError{90 * time.Second, passing}
				}
				return nil
			}},
			"refuses": {reply: func(int) error { return &PermanentError{passing} }},
			"never":   {reply: func(int) error { return passing }},
		}
		var rs []config.Receiver
		for name := range fakes {
			rs = append(rs, config.Receiver{Name: name})
		}
		b := newBench(t, newRAM(), rs, fakes)
		stop := b.run()
		b.send(note(config.Opened, "1"))
		time.Sleep(2 * time.Hour) // made-up time
		stop()
		if diff := cmp.Diff([]string{"opened 1"}, fakes["flaky"].told()); diff != "" {
			t.Error(diff)
		}
		if f := fakes["asks"]; len(f.at) != 2 || f.at[1].Sub(f.at[0]) != 90*time.Second {
			t.Errorf("asked to wait 90 s, tried at %v", f.at)
		}
		if n := len(fakes["refuses"].at); n != 1 {
			t.Errorf("a permanent error was tried %d times", n)
		}
		f := fakes["never"]
		if last := f.at[len(f.at)-1].Sub(f.at[0]); last < 119*time.Minute || len(f.at) > 1000 {
			t.Errorf("tried %d times over %v", len(f.at), last)
		}
		for name, outcome := range map[string]string{"flaky": "sent", "asks": "sent", "refuses": "failed"} {
			if got := testutil.ToFloat64(b.metrics.sent.WithLabelValues(name, "opened", outcome)); got != 1 {
				t.Errorf("%s: %s = %v, want 1", name, outcome, got)
			}
		}
	})
}

// TestOrderIsKeptAcrossRetries: within an incident, whatever fails.
func TestOrderIsKeptAcrossRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{reply: func(try int) error {
			if try%3 != 2 {
				return errors.New("later")
			}
			return nil
		}}
		b := newBench(t, newRAM(), []config.Receiver{{Name: "a"}}, map[string]*fake{"a": f})
		stop := b.run()
		for n := range 20 {
			b.send(note(config.Opened, fmt.Sprint(n)), note(config.Resolved, fmt.Sprint(n)))
		}
		time.Sleep(time.Hour)
		stop()
		seen := map[string]int{}
		for _, s := range f.told() {
			kind, id, _ := strings.Cut(s, " ")
			if want := []string{"opened", "resolved"}[seen[id]]; kind != want {
				t.Errorf("%s came where %s was due", s, want)
			}
			seen[id]++
		}
		if len(seen) != 20 || len(f.told()) != 40 {
			t.Errorf("%d messages of %d incidents", len(f.told()), len(seen))
		}
	})
}

// TestAPoisonedMessageHoldsUpNoOther: one message that a receiver cannot stomach is tried again beside the others.
func TestAPoisonedMessageHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{poison: "0"}
		b := newBench(t, newRAM(), []config.Receiver{{Name: "a"}}, map[string]*fake{"a": f})
		stop := b.run()
		for n := range 10 {
			b.send(note(config.Opened, fmt.Sprint(n)))
		}
		time.Sleep(time.Minute)
		stop()
		if n := len(f.told()); n != 9 {
			t.Errorf("%d of 9 others were delivered within a minute", n)
		}
	})
}

func TestEndDeliversWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		store := newRAM()
		b := newBench(t, store, []config.Receiver{{Name: "a"}}, map[string]*fake{"a": f})
		stop := b.run()
		for n := range 5 {
			b.send(note(config.Opened, fmt.Sprint(n)))
		}
		stop()
		if n := len(f.told()); n != 5 {
			t.Errorf("%d of 5 were delivered", n)
		}
		for _, d := range store.deliveries {
			if d.State != Sent || d.Attempts != 1 {
				t.Errorf("%+v", d)
			}
		}
	})
}

// TestNothingLeavesBeforeItIsDurable: a commit that hangs is waited for, but not for long; one that fails is tried again.
func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store := &fake{}, newRAM()
		var told []Notification
		full := false
		store.fail = func() error {
			if full {
				return errors.New("disk full")
			}
			return nil
		}
		b := newBench(t, store, []config.Receiver{{Name: "a"}}, map[string]*fake{"a": f})
		f.saw = func(n Notification) { told = append(told, n) }
		stop := b.run()
		synctest.Wait()
		hang := make(chan struct{})
		store.mu.Lock()
		store.hang = hang
		store.mu.Unlock()
		b.send(note(config.Opened, "1"))
		time.Sleep(slowCommit - time.Millisecond)
		synctest.Wait()
		if n := len(f.told()); n != 0 {
			t.Errorf("%d left before they were durable", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(told) != 1 || !told[0].Degraded {
			t.Errorf("while the disk hangs: %v", told)
		}
		b.send(note(config.Resolved, "1"))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(told) != 2 || !told[1].Degraded {
			t.Errorf("the next one: %v", told)
		}
		store.mu.Lock()
		store.hang, full = nil, true
		store.mu.Unlock()
		close(hang)
		b.send(note(config.Opened, "2"))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(told) != 3 || !told[2].Degraded || testutil.ToFloat64(b.metrics.durable) != 0 {
			t.Errorf("while the disk is full: %v", told)
		}
		store.mu.Lock()
		full = false
		store.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		b.send(note(config.Opened, "3"))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(told) != 4 || told[3].Degraded || testutil.ToFloat64(b.metrics.durable) != 1 {
			t.Errorf("afterwards: %v", told)
		}
		stop()
		if len(store.deliveries) != 4 || len(store.events) != 4 {
			t.Errorf("kept are %d deliveries and %d events, want 4", len(store.deliveries), len(store.events))
		}
	})
}

func TestReloadKeepsUnchangedReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b2 := &fake{}, &fake{}
		b := newBench(t, newRAM(), []config.Receiver{{Name: "a"}, {Name: "b"}}, map[string]*fake{"a": a, "b": b2})
		stop := b.run()
		b.send(note(config.Opened, "1"))
		synctest.Wait()
		b.fakes["a"], b.fakes["b"] = &fake{}, &fake{} // what is built anew from here on
		if err := b.Reload(&config.Config{Receivers: []config.Receiver{{Name: "a"}, {Name: "b", Targets: []string{"orders"}}}}); err != nil {
			t.Fatal(err)
		}
		if err := b.Reload(&config.Config{Receivers: []config.Receiver{{Name: "unknown"}}}); err == nil || !strings.Contains(err.Error(), `receiver "unknown"`) {
			t.Errorf("a receiver that cannot be built: %v", err)
		}
		b.send(note(config.Resolved, "1"))
		synctest.Wait()
		if diff := cmp.Diff([]string{"opened 1", "resolved 1"}, a.told()); diff != "" {
			t.Errorf("the unchanged receiver lost its notifier: %s", diff)
		}
		if diff := cmp.Diff([]string{"opened 1"}, b2.told()); diff != "" {
			t.Errorf("the old one of the changed receiver: %s", diff)
		}
		if diff := cmp.Diff([]string{"resolved 1"}, b.fakes["b"].told()); diff != "" {
			t.Errorf("the new one: %s", diff)
		}
		if err := b.Reload(&config.Config{}); err != nil {
			t.Fatal(err)
		}
		if n, _ := testutil.GatherAndCount(b.reg); n != 1 { // whether the state is durable
			t.Errorf("%d series are left of receivers that are gone", n)
		}
		stop()
	})
}

func TestMetricsAreClean(t *testing.T) {
	b := newBench(t, newRAM(), []config.Receiver{{Name: "a"}}, map[string]*fake{"a": {}})
	if _, err := NewDesk(&config.Config{Targets: []config.Target{{Name: "orders"}}}, nil, nil, discard(), b.reg); err != nil {
		t.Fatal(err)
	}
	b.metrics.success.WithLabelValues("a").SetToCurrentTime()
	problems, err := testutil.GatherAndLint(b.reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", err, problems)
	}
}

// TestGroupIsKept: what is kept of an incident that people were told of with another names that one.
func TestGroupIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRAM()
		b := newBench(t, store, []config.Receiver{people("ops")}, map[string]*fake{"ops": {}})
		stop := b.run()
		o := newOffice()
		for n, target := range []string{"orders", "shop"} {
			o.happens(time.Second, EventOpened, fmt.Sprint(n), target, front1)
			e := *o.seen[fmt.Sprint(n)]
			b.Take(Entry{At: o.now, Events: []Event{e}, Batch: Batch{Incidents: []*Incident{e.Incident}}})
		}
		stop()
		if a, z := store.incidents["0"].Group, store.incidents["1"].Group; a != "" || z != "0" {
			t.Errorf("groups %q and %q", a, z)
		}
	})
}
