package main

import (
	"log/slog"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// gapCounter counts and logs the times in which this process did not look. All targets tell of the same pause; it counts
// once.
type gapCounter struct {
	metrics *probe.Metrics
	log     *slog.Logger

	mu      sync.Mutex
	counted time.Time // until when gaps have been counted
}

func newGapCounter(m *probe.Metrics, log *slog.Logger) *gapCounter {
	return &gapCounter{metrics: m, log: log}
}

// Saw takes every event; only gaps matter.
func (c *gapCounter) Saw(e alert.Event) {
	if e.Event != alert.EventGap || e.Gap == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !e.Gap.To.After(c.counted) {
		return
	}
	c.counted = e.Gap.To
	c.metrics.Gap(*e.Gap)
	c.log.Warn("did not look", "from", e.Gap.From, "to", e.Gap.To, "reason", e.Gap.Reason)
}
