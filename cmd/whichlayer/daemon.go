package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// roundGrace is how long rounds that are running at the end may take to end by themselves.
const roundGrace = 5 * time.Second

// runDaemon wires the parts together, runs them until ctx ends, and drains them:
//
//	whichlayer.yaml --- config.Load ---> reloader <--- SIGHUP, POST /-/reload, the file changed
//	                                        | install
//	                                        v
//	  scheduler --- due ---> loop (one goroutine a target) <--- wake --- target (held-open, left-open)
//	                          |       ^
//	                        Round     '--- look again soon ---.
//	                          v                               |
//	                        Result ------ judge ----------> desk (verdict, incident)
//	                          |                               |
//	                 metrics, recorder                        +---> events (one queue, one writer)
//	                                                          v
//	                       drills, watchdog --------> dispatcher (outbox, a goroutine a receiver) <---> state (SQLite)
//	                                                          v
//	     web: /metrics /-/healthy /-/ready /-/drill       notifiers
//
// What looks ends first: the scheduler, then the loops with the rounds that are running. What tells ends after it, so
// that the last results are still written and delivered.
//
//nolint:funlen // the wiring is one straight line, to be read from top to bottom
func runDaemon(ctx context.Context, f *runFlags, hup <-chan os.Signal, stdout io.Writer, log *slog.Logger) (err error) {
	cfg, err := loadConfig(f.config)
	if err != nil {
		return err
	}
	if f.listen != "" {
		cfg.Listen = f.listen
	}

	// What tells.
	reg := newRegistry()
	events := newEventLog(f.events, stdout, log, reg)
	if err := events.Open(); err != nil {
		return err
	}
	recorder := newRecorder(f.record, log, reg)
	if err := recorder.Open(); err != nil {
		return err
	}
	db, saved, err := openState(ctx, cfg.State, cfg.Retention, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	dispatcher, err := alert.NewDispatcher(cfg, saved, db, notifierOf(cfg, log), log, reg)
	if err != nil {
		return err
	}
	metrics := probe.NewMetrics(reg)
	metrics.Built(thisBuild().Version)
	gaps := newGapCounter(metrics, log)
	desk, err := alert.NewDesk(cfg, func(e alert.Event) { gaps.Saw(e); events.Emit(e) }, dispatcher.Take, log, reg)
	if err != nil {
		return err
	}
	dispatcher.Watch(desk)
	drills := newDrills(cfg, dispatcher, log)

	// What looks.
	looking, lookingCtx := errgroup.WithContext(ctx)
	hard, stopRounds := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRounds()
	fleet := &fleet{
		log: log, health: probe.NewHealth(), names: probe.NewSystemNames(), metrics: metrics, scheduler: probe.NewScheduler(log, metrics), progress: newProgress(),
		judge: func(r *probe.Result) time.Duration {
			verdict, again := desk.Observe(r)
			metrics.Observe(r, verdict)
			recorder.Record(r, verdict)
			return again
		},
		blind:  desk.Gap,
		usual:  func(target string) []byte { return saved.State[keyUsual+target] },
		learnt: func(target string, data []byte) { dispatcher.Keep(keyUsual+target, data) },
		reseat: func(c *config.Config) { desk.Reload(c, time.Now(), config.Equal) },
		ctx:    lookingCtx, hard: hard, members: map[string]*member{},
	}

	// What is asked from outside.
	stalled := func() string { return fleet.progress.Stalled(time.Now()) }
	supervisor := &supervisor{log: log, stalled: stalled}
	reloader := newReloader(cfg.Path, log, reg)
	reloader.supervisor, reloader.hangup = supervisor, events.Reopen
	reloader.install = func(c *config.Config) error {
		next, err := fleet.Prepare(c)
		if err != nil {
			return err
		}
		if err := dispatcher.Reload(c); err != nil {
			return err
		}
		drills.Configure(c)
		for _, key := range needRestart(cfg, c, f.listen != "") {
			log.Warn("a changed "+key+" takes effect at the next start", "config", c.Path)
		}
		fleet.Apply(next)
		return nil
	}
	var ready atomic.Bool
	sick := func() string { return cmp.Or(stalled(), drills.Overdue(time.Now())) }
	beat, err := watchdog(cfg, sick, log, reg)
	if err != nil {
		return err
	}
	web, err := listenWeb(cfg.Listen, webParts{gatherer: reg, log: log, sick: sick, ready: ready.Load, reload: reloader.Reload, drill: drills.Hold})
	if err != nil {
		return err
	}

	// Go.
	log.Info("whichlayer runs", "version", thisBuild().Version, "config", cfg.Path, "targets", len(cfg.Targets),
		"receivers", len(cfg.Receivers), "listen", web.Address())
	sayState(cfg, log)
	desk.Restore(ctx, saved, db)
	if err := reloader.install(cfg); err != nil {
		return err
	}
	reloader.Loaded(cfg)
	var telling errgroup.Group
	tellingCtx, stopTelling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTelling()
	telling.Go(func() error { return events.Run(tellingCtx) })
	telling.Go(func() error { return recorder.Run(tellingCtx) })
	telling.Go(func() error { return dispatcher.Run(tellingCtx) })
	looking.Go(func() error { return trim(lookingCtx, db, log) })
	looking.Go(func() error { return drills.Run(lookingCtx) })
	looking.Go(func() error { return beat(lookingCtx) })
	looking.Go(func() error { return web.Run(lookingCtx) })
	looking.Go(func() error { return fleet.health.Run(lookingCtx) })
	looking.Go(func() error { return fleet.names.Run(lookingCtx) })
	looking.Go(func() error { return fleet.scheduler.Run(lookingCtx) })
	looking.Go(func() error { return fleet.Learn(lookingCtx) })
	looking.Go(func() error { return supervisor.Run(lookingCtx) })
	looking.Go(func() error { return reloader.Run(lookingCtx, hup) })
	ready.Store(true)
	supervisor.Ready(status(cfg))

	// Drain.
	<-lookingCtx.Done()
	ready.Store(false)
	supervisor.Stopping()
	log.Info("whichlayer ends: no more rounds, delivering what waits")
	defer time.AfterFunc(roundGrace, stopRounds).Stop()
	err = looking.Wait()
	fleet.Wait()
	desk.Checkpoint()
	stopTelling()
	err = errors.Join(err, telling.Wait())
	log.Info("whichlayer ended")
	return err
}

// newRegistry holds the metrics of this process alone, not those that some library registers by itself.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// needRestart lists the keys of a new configuration that a running process does not follow.
func needRestart(running, next *config.Config, fixedListen bool) (keys []string) {
	if !fixedListen && running.Listen != next.Listen {
		keys = append(keys, "listen")
	}
	if running.State != next.State || running.Retention != next.Retention {
		keys = append(keys, "state")
	}
	if !reflect.DeepEqual(running.Watchdog, next.Watchdog) {
		keys = append(keys, "watchdog")
	}
	if running.TimeZone.Std().String() != next.TimeZone.Std().String() {
		keys = append(keys, "timezone")
	}
	return keys
}
