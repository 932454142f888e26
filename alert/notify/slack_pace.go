package notify

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pace spaces messages to the same place. Slack takes about one a second in a channel, whoever sends them, and may
// disable an app that keeps on sending more; so all receivers of a process that post to the same channel share one.
type Pace struct {
	every time.Duration

	mu     sync.Mutex
	places map[place]*rate.Limiter
}

// place is a channel as one token or webhook sees it.
type place struct{ credential, channel string }

// NewPace spaces messages by at least a second.
func NewPace() *Pace { return newPace(time.Second) }

func newPace(every time.Duration) *Pace {
	return &Pace{every: every, places: map[place]*rate.Limiter{}}
}

// wait returns when the next message may go, or with an error when ctx ends before that.
func (p *Pace) wait(ctx context.Context, at place) error {
	p.mu.Lock()
	l := p.places[at]
	if l == nil {
		l = rate.NewLimiter(rate.Every(p.every), 1)
		p.places[at] = l
	}
	p.mu.Unlock()
	return l.Wait(ctx)
}
