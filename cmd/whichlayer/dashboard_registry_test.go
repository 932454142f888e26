package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// dashboardRegistry is a registry as `run` fills it, and a function that adds one more round of two targets to it:
// one that is well, and one with trouble of every kind that a panel shows.
func dashboardRegistry(t *testing.T) (reg *prometheus.Registry, round func()) {
	t.Helper()
	reg = newRegistry()
	log := slog.New(slog.DiscardHandler)
	newReloader("", log, reg).successful.Set(1)
	addReceivers(t, reg, log)
	addWatchdog(t, reg, log)
	m := probe.NewMetrics(reg)
	m.Built("1.2.3")
	return reg, func() {
		now := time.Now()
		m.Beat(now)
		m.Missed(1)
		m.ClockStepped()
		m.Gap(probe.Gap{From: now.Add(-time.Second), To: now, Reason: "the process did not run"})
		m.Skipped("orders")
		m.Observe(dashboardRound("orders", now, true),
			probe.Verdict{State: probe.Degraded, Layer: probe.LayerProxy, Cause: probe.CauseFrozen, Confidence: probe.Likely})
		m.Observe(dashboardRound("shop", now, false),
			probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone, Confidence: probe.Confirmed})
	}
}

// deliver is a notifier in one function.
type deliver func(context.Context) error

func (d deliver) Notify(ctx context.Context, _ alert.Notification) error { return d(ctx) }

// addReceivers runs a desk and a dispatcher with the receivers ops, which takes everything, a drill too, and stuck, which
// takes nothing and no drills. An incident of the prober's own is open, of which stuck has not heard.
func addReceivers(t *testing.T, reg *prometheus.Registry, log *slog.Logger) {
	t.Helper()
	db, saved, err := openState(t.Context(), "", config.Retention{}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	no := false
	cfg := &config.Config{Targets: []config.Target{{Name: "orders"}, {Name: "shop"}},
		Receivers: []config.Receiver{{Name: "ops"}, {Name: "stuck", Drill: &no}}}
	build := func(r config.Receiver, _ alert.Memory) (alert.Notifier, error) {
		if r.Name == "ops" {
			return deliver(func(context.Context) error { return nil }), nil
		}
		return deliver(func(context.Context) error { return errors.New("503 Service Unavailable") }), nil
	}
	dispatcher, err := alert.NewDispatcher(cfg, saved, db, build, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	desk, err := alert.NewDesk(cfg, nil, dispatcher.Take, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	dispatcher.Watch(desk)
	desk.Begin(alert.Trouble{Cause: probe.CauseBlind}, "none of 2 targets could be looked at")
	background(t, dispatcher.Run)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, d := range dispatcher.RunDrill(ctx, "orders", drillID) {
		if d.Receiver != "ops" || d.Error != "" {
			t.Fatalf("the drill of %s: %q", d.Receiver, d.Error)
		}
	}
}

// addWatchdog gives signs of life to a service that takes them, and returns after the first.
func addWatchdog(t *testing.T, reg *prometheus.Registry, log *slog.Logger) {
	t.Helper()
	signs := make(chan struct{}, 1)
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case signs <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(service.Close)
	cfg := &config.Config{Watchdog: config.Watchdog{URL: config.NewSecret(service.URL)}}
	run, err := watchdog(cfg, func() string { return "" }, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	background(t, run)
	select {
	case <-signs:
	case <-time.After(10 * time.Second):
		t.Fatal("no sign of life came")
	}
}

// background runs something until the test ends, and waits for it then.
func background(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// dashboardRound is a round with a good front; with trouble, one of the two proxies behind it is frozen.
func dashboardRound(target string, now time.Time, trouble bool) *probe.Result {
	stages := func() (out []probe.Stage) {
		for _, name := range probe.StageNames {
			out = append(out, probe.Stage{Stage: name, Outcome: probe.OK, Started: now, Duration: probe.Seconds(time.Millisecond)})
		}
		return out
	}
	front := probe.Lane{Lane: probe.LaneFront, Address: "10.0.0.10:443", Stages: stages(),
		TLS: &probe.TLSFacts{NotAfter: now.Add(90 * 24 * time.Hour)}, HTTP: &probe.HTTPFacts{Status: 200, ContentLength: 5}}
	held := probe.Lane{Lane: probe.LaneHeldOpen, Stages: stages()[3:],
		HeldOpen: &probe.HeldOpenFacts{Since: now.Add(-time.Hour), Answered: 3600, LastGoodAnswered: now}}
	via := probe.Lane{Lane: probe.LaneVia, Hop: "stunnel-1", Role: probe.RoleProxy, Address: "10.0.1.11:443", Stages: stages()}
	if trouble {
		via.Stages = via.Stages[:3]
		via.Stages[2].Outcome, via.Stages[2].Type = probe.Failed, probe.TLSTimedOut
		via.Stages[2].TCPInfo = &tcpinfo.Info{TotalRetrans: 2, TotalRTO: 1, HasTotalRTO: true}
	}
	return &probe.Result{Target: target, Trigger: probe.BySchedule, Due: now.Add(-time.Millisecond), Started: now, Ended: now,
		Lanes: []probe.Lane{front, via, held}}
}
