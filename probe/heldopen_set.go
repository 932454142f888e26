package probe

import (
	"context"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// sideWakes is the least time between two rounds that the held-open connections beside the front's ask for.
const sideWakes = 5 * time.Second

// heldOpens are a target's held-open connections: beside the front, each hop, each backend and each control port.
type heldOpens struct {
	own      []*heldOpen // the front's first
	controls []*heldControl
}

// newHeldOpens prepares the connections of a plan; none when they are off. What stands behind a forward proxy is not held
// open mutely: its kernel would answer for the target's.
func newHeldOpens(p *plan, cfg *config.Target, env *Env, wake func()) *heldOpens {
	s := &heldOpens{}
	if cfg.HeldOpen == nil || *cfg.HeldOpen <= 0 {
		return s
	}
	interval, rarely := cfg.HeldOpen.Std(), seldom(sideWakes, wake)
	add := func(l *laneSpec, event func()) {
		if l.http() || l.ep.ForwardProxy == nil {
			s.own = append(s.own, newHeldOpen(l, env, interval, event))
		}
	}
	add(p.front, wake)
	for _, l := range p.lanes {
		if l.connect {
			s.controls = append(s.controls, &heldControl{spec: l, env: env, pool: &env.held, key: heldKeyOf(l, interval)})
		} else {
			add(l, rarely)
		}
	}
	return s
}

// seldom lets a function be called once in a while at most.
func seldom(every time.Duration, f func()) func() {
	var mu sync.Mutex
	var last time.Time
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); last.IsZero() || now.Sub(last) >= every {
			last = now
			f()
		}
	}
}

// run keeps the connections until ctx ends.
func (s *heldOpens) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, h := range s.own {
		wg.Go(func() { h.run(ctx) })
	}
	for _, c := range s.controls {
		c.join()
		defer c.leave()
	}
	<-ctx.Done()
	wg.Wait()
}

// note tells each connection how the new ones of its lane fared in a round.
func (s *heldOpens) note(lanes []Lane) {
	for _, h := range s.own {
		noteLane(h, h.besides(), h.spec.hop, lanes)
	}
	for _, c := range s.controls {
		if h := c.held(); h != nil {
			noteLane(h, LaneControl, c.spec.hop, lanes)
		}
	}
}

func noteLane(h *heldOpen, kind LaneKind, hop string, lanes []Lane) {
	for i := range lanes {
		if l := &lanes[i]; l.Lane == kind && l.Hop == hop && !l.Extra {
			h.noteLane(l.fine())
			return
		}
	}
}

// besides is the kind of the lane that the connection accompanies.
func (h *heldOpen) besides() LaneKind { return or(h.of, LaneFront) }

// lanes are what the connections show now.
func (s *heldOpens) lanes() (out []Lane) {
	for _, h := range s.own {
		if l := h.lane(); l != nil {
			out = append(out, *l)
		}
	}
	for _, c := range s.controls {
		if l := c.lane(); l != nil {
			out = append(out, *l)
		}
	}
	return out
}
