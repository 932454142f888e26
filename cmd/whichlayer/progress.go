package main

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// progress knows by when each target must have finished another round. It is what /-/healthy and the watchdog ask:
// a process that still answers but no longer looks is not healthy.
type progress struct {
	mu       sync.Mutex
	deadline map[string]time.Time
}

func newProgress() *progress { return &progress{deadline: map[string]time.Time{}} }

// Beat notes that a target finished a round (or was added) and sets its next deadline: its third next turn, and two
// rounds in which every stage times out.
func (p *progress) Beat(target config.Target, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline[target.Name] = now.Add(thirdTurn(target.Schedule, now) + 2*longestRound(target.Timeouts))
}

// Forget drops a target.
func (p *progress) Forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.deadline, name)
}

// Stalled names the targets that are overdue; empty when all make progress.
func (p *progress) Stalled(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var late []string
	for name, deadline := range p.deadline {
		if now.After(deadline) {
			late = append(late, name)
		}
	}
	if len(late) == 0 {
		return ""
	}
	sort.Strings(late)
	names := strings.Join(late[:min(len(late), 5)], ", ")
	if len(late) > 5 {
		names += ", …"
	}
	return fmt.Sprintf("%d of %d targets finished no round in time: %s", len(late), len(p.deadline), names)
}

// thirdTurn is how long it takes until the schedule has fired three times.
func thirdTurn(s config.Schedule, now time.Time) time.Duration {
	if s.Every > 0 {
		return 3 * s.Every
	}
	at := now
	for range 3 {
		at = s.Cron.Next(at)
	}
	return at.Sub(now)
}

// longestRound is the time of a lane in which every stage takes all that it may.
func longestRound(t config.Timeouts) time.Duration {
	return t.Resolve.Std() + t.Connect.Std() + t.TLS.Std() + t.Request.Std() + t.Response.Std()
}
