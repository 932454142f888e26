package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/alert/notify"
	"github.com/whichlayer/whichlayer/alert/store"
	"github.com/whichlayer/whichlayer/config"
)

const (
	// openTime bounds how long opening and reading the state may take.
	openTime = time.Minute
	// trimEvery is how often what is too old or too much is deleted.
	trimEvery = time.Minute
	// keyUsual and a target's name hold what is usual for it.
	keyUsual = "usual/"
	// inMemory bounds what is kept without a state directory.
	inMemory = config.Size(64 << 20)
)

// openState opens the state directory, or makes one in memory if there is none, and reads what an earlier process left.
func openState(ctx context.Context, dir string, keep config.Retention, log *slog.Logger) (*store.DB, *alert.Saved, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	if dir == "" {
		keep.Size = inMemory
	}
	db, err := store.Open(ctx, store.Options{Dir: dir, Retention: keep, Log: log})
	if err != nil {
		return nil, nil, fmt.Errorf("state: %w", err)
	}
	saved, err := db.Load(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("state: %w", errors.Join(err, db.Close()))
	}
	return db, saved, nil
}

// trim deletes what is too old until ctx ends.
func trim(ctx context.Context, db *store.DB, log *slog.Logger) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := db.Trim(ctx, time.Now()); err != nil && ctx.Err() == nil {
				log.Warn("what is old could not be deleted from the state", "error", err)
			}
		}
	}
}

// sayState says where incidents are kept, loudly if nowhere.
func sayState(cfg *config.Config, log *slog.Logger) {
	if cfg.State == "" {
		log.Warn("NO STATE DIRECTORY IS CONFIGURED: incidents and messages that wait are lost when this process ends; set state:", "config", cfg.Path)
		return
	}
	log.Info("incidents and messages that wait are kept", "state", cfg.State)
}

// notifierOf makes the notifiers of a configuration's receivers.
func notifierOf(cfg *config.Config, log *slog.Logger) func(config.Receiver, alert.Memory) (alert.Notifier, error) {
	s := notify.Setting{Zone: cfg.TimeZone.Std(), Watchdog: cfg.Watchdog.Alertmanager, Version: thisBuild().Version, Pace: notify.NewPace(), Log: log}
	if cfg.ExternalURL != nil {
		s.ExternalURL = cfg.ExternalURL.String()
	}
	return func(r config.Receiver, m alert.Memory) (alert.Notifier, error) {
		mine := s
		mine.Memory = m
		return notify.New(r, mine)
	}
}

// watchdog makes the sign of life that others wait for, which stays away while something is wrong with this prober.
func watchdog(cfg *config.Config, sick func() string, log *slog.Logger, reg prometheus.Registerer) (run func(context.Context) error, err error) {
	if cfg.Watchdog.URL.IsZero() {
		return func(context.Context) error { return nil }, nil
	}
	w, err := notify.NewWatchdog(cfg.Watchdog, sick, log, reg)
	if err != nil {
		return nil, fmt.Errorf("watchdog: %w", err)
	}
	return w.Run, nil
}
