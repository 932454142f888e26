package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// firstDrill is how long after the start a drill that is overdue is held.
const firstDrill = time.Minute

// drillID makes the ID of a made-up incident.
func drillID(t time.Time) string { return alert.NewID("drill", rand.Reader)(t) }

// drills holds a drill whenever the schedule says, or somebody asks, and knows whose last one is too long ago.
type drills struct {
	log  *slog.Logger
	run  func(context.Context, string, func(time.Time) string) []alert.Drill
	past func() []alert.Drill

	one sync.Mutex // at most one drill at a time

	mu  sync.Mutex
	cfg *config.Config
	// changed has room for one sign that there is another configuration.
	changed chan struct{}
}

func newDrills(cfg *config.Config, d *alert.Dispatcher, log *slog.Logger) *drills {
	return &drills{log: log, run: d.RunDrill, past: d.Drills, cfg: cfg, changed: make(chan struct{}, 1)}
}

// Configure takes another configuration.
func (d *drills) Configure(cfg *config.Config) {
	d.mu.Lock()
	d.cfg = cfg
	d.mu.Unlock()
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func (d *drills) config() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg
}

// Run holds drills until ctx ends. One that is overdue, as after a long time off, is held soon after the start; without a
// state directory nobody knows, and only the schedule counts.
func (d *drills) Run(ctx context.Context) error {
	started := time.Now()
	for ctx.Err() == nil {
		next := d.next(time.Now(), started)
		timer := time.NewTimer(min(time.Until(next), 24*time.Hour))
		select {
		case <-ctx.Done():
		case <-d.changed:
		case <-timer.C:
			if !time.Now().Before(next) {
				d.Hold(ctx)
			}
		}
		timer.Stop()
	}
	return nil
}

// next is when the next drill is due; far away when there is none.
func (d *drills) next(now, started time.Time) time.Time {
	cfg := d.config()
	far := now.Add(24 * time.Hour)
	if cfg.Drill.Off() || len(cfg.Receivers) == 0 {
		return far
	}
	if cfg.State != "" && now.Before(started.Add(firstDrill+time.Second)) && d.Overdue(now) != "" {
		return started.Add(firstDrill)
	}
	if next := cfg.Drill.Cron.Next(now); !next.IsZero() {
		return next
	}
	return far
}

// Hold holds a drill now and returns how each receiver did.
func (d *drills) Hold(ctx context.Context) []alert.Drill {
	d.one.Lock()
	defer d.one.Unlock()
	limited, cancel := context.WithTimeout(ctx, drillTime)
	defer cancel()
	results := d.run(limited, drillTarget(d.config()), drillID)
	for _, r := range results {
		if r.Error != "" {
			d.log.Error("a receiver did not take the drill", "receiver", r.Receiver, "error", r.Error)
			continue
		}
		d.log.Info("a receiver took the drill", "receiver", r.Receiver)
	}
	return results
}

// Overdue names the receivers that took no drill for too long; empty if there are none.
func (d *drills) Overdue(now time.Time) string {
	if d.config().Drill.Off() {
		return ""
	}
	var names []string
	for _, r := range d.past() {
		if r.Overdue(now) {
			names = append(names, r.Receiver)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("no drill was taken for %d days by %s; try: whichlayer drill", int(alert.DrillOverdue.Hours()/24), strings.Join(names, ", "))
}
