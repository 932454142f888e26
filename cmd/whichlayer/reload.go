package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
)

// reloader reads the configuration again when asked to (SIGHUP, POST /-/reload) and when its file changes. It is one
// goroutine, so that no two reloads overlap. A bad file is refused as a whole and the old configuration goes on.
type reloader struct {
	path       string
	log        *slog.Logger
	supervisor *supervisor
	watcher    *config.Watcher
	// install makes a checked configuration the one that runs, or changes nothing and says why.
	install func(*config.Config) error
	// hangup is told of SIGHUP before anything else; log rotation sends it too.
	hangup func()

	requests   chan chan error
	successful prometheus.Gauge
	when       prometheus.Gauge
	targets    prometheus.Gauge
}

func newReloader(path string, log *slog.Logger, reg prometheus.Registerer) *reloader {
	r := &reloader{
		path: path, log: log,
		watcher:  config.NewWatcher(path, 2*time.Second),
		requests: make(chan chan error),
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "whichlayer_config_last_reload_successful", Help: "Whether the last attempt to load the configuration succeeded.",
		}),
		when: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "whichlayer_config_last_reload_success_timestamp_seconds", Help: "When the configuration that runs was loaded.",
		}),
		targets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "whichlayer_config_targets", Help: "Targets in the configuration that runs.",
		}),
	}
	reg.MustRegister(r.successful, r.when, r.targets)
	return r
}

// Run reloads until ctx ends.
func (r *reloader) Run(ctx context.Context, hup <-chan os.Signal) error {
	changed := make(chan chan struct{})
	watched := make(chan error, 1)
	go func() { watched <- r.watcher.Run(ctx, func() { handOver(ctx, changed) }) }()
	for {
		select {
		case <-hup:
			r.hangup()
			_ = r.reload("SIGHUP")
		case done := <-changed:
			_ = r.reload("the file changed")
			close(done)
		case reply := <-r.requests:
			reply <- r.reload("POST /-/reload")
		case <-ctx.Done():
			return <-watched
		}
	}
}

// handOver passes a change on and waits until it was dealt with.
func handOver(ctx context.Context, changed chan<- chan struct{}) {
	done := make(chan struct{})
	select {
	case changed <- done:
		<-done
	case <-ctx.Done():
	}
}

// Reload asks Run for a reload and waits for its outcome.
func (r *reloader) Reload(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case r.requests <- reply:
		return <-reply
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reload logs what happened: the caller may have nobody to tell.
func (r *reloader) reload(why string) error {
	r.supervisor.Reloading()
	cfg, err := readConfig(r.path)
	if err == nil {
		err = r.install(cfg)
	}
	if err != nil {
		r.refuse(why, err)
		r.supervisor.Ready("the old configuration goes on: " + firstLine(err))
		return err
	}
	r.Loaded(cfg)
	r.log.Info("the new configuration runs", "reason", why, "config", r.path, "targets", len(cfg.Targets), "receivers", len(cfg.Receivers))
	r.supervisor.Ready(status(cfg))
	return nil
}

// Loaded notes that a configuration runs.
func (r *reloader) Loaded(cfg *config.Config) {
	r.watcher.Loaded(cfg)
	r.successful.Set(1)
	r.when.SetToCurrentTime()
	r.targets.Set(float64(len(cfg.Targets)))
	for _, w := range cfg.Warnings() {
		r.log.Warn(w, "config", cfg.Path)
	}
	if len(cfg.Receivers) == 0 {
		r.log.Warn("NO RECEIVERS ARE CONFIGURED: incidents stand in this log and in --events, nobody is told", "config", cfg.Path)
	}
}

// refuse logs each mistake by itself.
func (r *reloader) refuse(why string, err error) {
	r.successful.Set(0)
	var all config.Errors
	if !errors.As(err, &all) {
		r.log.Error("the new configuration was refused, the old one goes on", "reason", why, "err", err)
		return
	}
	r.log.Error("the new configuration was refused, the old one goes on", "reason", why, "errors", len(all))
	for _, e := range all[:min(len(all), 20)] {
		r.log.Error("configuration error", "err", e)
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// status is what systemctl status shows.
func status(cfg *config.Config) string {
	return fmt.Sprintf("watching %s of %s", plural(len(cfg.Targets), "target"), cfg.Path)
}
