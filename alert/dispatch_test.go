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
	block bool
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
	if f.reply != nil {
		if err := f.reply(try); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, string(n.Transition)+" "+n.Event.Incident.ID)
	return nil
}

func (f *fake) told() []string { f.mu.Lock(); defer f.mu.Unlock(); return append([]string{}, f.got...) }

func note(t config.Transition, id string) Notification {
	v := down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
	return Notification{Transition: t, Event: Event{Event: Kind(t), Time: epoch, Target: "orders", Verdict: &v, Incident: &Incident{ID: id, Target: "orders"}}}
}

// bench is a dispatcher with fakes by the receiver's name.
type bench struct {
	*Dispatcher
	reg   *prometheus.Registry
	fakes map[string]*fake
}

func newBench(t *testing.T, receivers []config.Receiver, fakes map[string]*fake) *bench {
	t.Helper()
	b := &bench{reg: prometheus.NewPedanticRegistry(), fakes: fakes}
	d, err := NewDispatcher(receivers, func(r config.Receiver) (Notifier, error) {
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
		b := newBench(t, []config.Receiver{{Name: "default"}, {Name: "hook", On: []config.Transition{config.Suspect, config.Resolved}},
			{Name: "other", Targets: []string{"mail"}}}, fakes)
		stop := b.run()
		for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved, config.Dismissed} {
			b.Send(note(tr, "1"))
		}
		synctest.Wait()
		stop()
		for name, want := range map[string][]string{"default": {"opened 1", "resolved 1"}, "hook": {"suspect 1", "resolved 1"}, "other": {}} {
			if diff := cmp.Diff(want, fakes[name].told()); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

func TestADeadReceiverDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fakes := map[string]*fake{"dead": {block: true}, "alive": {}}
		b := newBench(t, []config.Receiver{{Name: "dead"}, {Name: "alive"}}, fakes)
		stop := b.run()
		for n := range 2000 {
			b.Send(note(config.Opened, fmt.Sprint(n)))
			if n%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if n := len(fakes["alive"].told()); n != 2000 {
			t.Errorf("the receiver that lives got %d of 2000", n)
		}
		dropped := testutil.ToFloat64(b.metrics.sent.WithLabelValues("dead", "opened", "dropped"))
		if dropped != 2000-queueLimit-1 {
			t.Errorf("%v were dropped for the dead one", dropped)
		}
		begin := time.Now()
		stop()
		if took := time.Since(begin); took != drainTime {
			t.Errorf("the end took %v", took)
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
		b := newBench(t, rs, fakes)
		stop := b.run()
		b.Send(note(config.Opened, "1"))
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
		if last := f.at[len(f.at)-1].Sub(f.at[0]); last > giveUpAfter || last < giveUpAfter/2 || len(f.at) > 200 {
			t.Errorf("tried %d times over %v", len(f.at), last)
		}
		for name, outcome := range map[string]string{"flaky": "sent", "asks": "sent", "refuses": "failed", "never": "failed"} {
			if got := testutil.ToFloat64(b.metrics.sent.WithLabelValues(name, "opened", outcome)); got != 1 {
				t.Errorf("%s: %s = %v, want 1", name, outcome, got)
			}
		}
	})
}

func TestOrderIsKeptAcrossRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{reply: func(try int) error {
			if try%3 != 2 {
				return errors.New("later")
			}
			return nil
		}}
		b := newBench(t, []config.Receiver{{Name: "a"}}, map[string]*fake{"a": f})
		stop := b.run()
		var want []string
		for n := range 20 {
			id := fmt.Sprint(n)
			b.Send(note(config.Opened, id))
			b.Send(note(config.Resolved, id))
			want = append(want, "opened "+id, "resolved "+id)
		}
		time.Sleep(time.Hour)
		stop()
		if diff := cmp.Diff(want, f.told()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFullQueueKeepsWhatMatters(t *testing.T) {
	q := newQueue(4)
	var lost []string
	for _, n := range []Notification{note(config.Opened, "1"), note(config.Updated, "1"), note(config.Suspect, "2"), note(config.Opened, "2"),
		note(config.Resolved, "1"), note(config.Resolved, "2"), note(config.Updated, "3"), note(config.Opened, "4")} {
		for _, l := range q.push(n) {
			lost = append(lost, string(l.Transition)+" "+l.Event.Incident.ID)
		}
	}
	if diff := cmp.Diff([]string{"updated 1", "suspect 2", "updated 3", "opened 1"}, lost); diff != "" {
		t.Error(diff)
	}
	if q.len() != 4 {
		t.Errorf("%d wait", q.len())
	}
}

func TestEndDeliversWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{reply: func(try int) error {
			if try == 0 {
				return errors.New("later")
			}
			return nil
		}}
		b := newBench(t, []config.Receiver{{Name: "a"}}, map[string]*fake{"a": f})
		stop := b.run()
		for n := range 5 {
			b.Send(note(config.Opened, fmt.Sprint(n)))
		}
		stop()
		if n := len(f.told()); n != 5 {
			t.Errorf("%d of 5 were delivered", n)
		}
		b.Send(note(config.Opened, "late"))
		if got := testutil.ToFloat64(b.metrics.sent.WithLabelValues("a", "opened", "dropped")); got != 1 {
			t.Errorf("after the end %v were counted as dropped", got)
		}
	})
}

func TestReloadKeepsUnchangedReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b2 := &fake{}, &fake{}
		b := newBench(t, []config.Receiver{{Name: "a"}, {Name: "b"}}, map[string]*fake{"a": a, "b": b2})
		stop := b.run()
		b.Send(note(config.Opened, "1"))
		synctest.Wait()
		b.fakes["a"], b.fakes["b"] = &fake{}, &fake{} // what is built anew from here on
		if err := b.Reload([]config.Receiver{{Name: "a"}, {Name: "b", Targets: []string{"orders"}}}); err != nil {
			t.Fatal(err)
		}
		if err := b.Reload([]config.Receiver{{Name: "unknown"}}); err == nil || !strings.Contains(err.Error(), `receiver "unknown"`) {
			t.Errorf("a receiver that cannot be built: %v", err)
		}
		b.Send(note(config.Resolved, "1"))
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
		if err := b.Reload(nil); err != nil {
			t.Fatal(err)
		}
		if n, _ := testutil.GatherAndCount(b.reg); n != 0 {
			t.Errorf("%d series are left of receivers that are gone", n)
		}
		stop()
	})
}

func TestMetricsAreClean(t *testing.T) {
	b := newBench(t, []config.Receiver{{Name: "a"}}, map[string]*fake{"a": {}})
	if _, err := NewDesk(&config.Config{Targets: []config.Target{{Name: "orders"}}}, nil, nil, discard(), b.reg); err != nil {
		t.Fatal(err)
	}
	b.metrics.success.WithLabelValues("a").SetToCurrentTime()
	problems, err := testutil.GatherAndLint(b.reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", err, problems)
	}
}
