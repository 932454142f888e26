package probe

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
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
	// Names watches the name servers that this host's other programs ask; nil skips it.
	Names *SystemNames
	// Version goes into the User-Agent.
	Version string
	Log     *slog.Logger
	// resolvConf is where the system's name servers are written down, if not at the usual place.
	resolvConf string
	// held are the connections that targets share.
	held heldPool
}

// systemServers are the name servers that this host's other programs ask.
func (e *Env) systemServers() []string { return systemServers(or(e.resolvConf, resolvConf)) }

// maxExtraAddresses bounds the further addresses of a name that are looked at when the front fails.
const maxExtraAddresses = 3

// Target probes one configured target. Create it with NewTarget; it starts nothing by itself.
type Target struct {
	cfg   config.Target
	env   *Env
	plan  *plan
	left  *leftOpen
	held  *heldOpens
	wake  chan Trigger
	round uint64
	// patient is used by rounds only, of which one runs at a time; late is set when an attempt that was left open was
	// answered within full patience.
	patient patience
	usual   *baseline
	looks   looks
	paths   paths
	served  map[string]time.Time // by lane: when it last went well from end to end; used by rounds only
	late    atomic.Bool
}

// NewTarget prepares a target. It reads the certificate files that the configuration names.
func NewTarget(cfg config.Target, env *Env) (*Target, error) {
	p, err := newPlan(&cfg, env)
	if err != nil {
		return nil, err
	}
	t := &Target{cfg: cfg, env: env, plan: p, wake: make(chan Trigger, 1), usual: newBaseline(), served: map[string]time.Time{}}
	t.left = newLeftOpen(t.answeredLate)
	t.held = newHeldOpens(p, &t.cfg, env, func() { t.rouse(ByHeldOpen) })
	return t, nil
}

// answeredLate hears of an answer to an attempt that was left open. One that full patience would have waited for shows
// that the shortened one is too short.
func (t *Target) answeredLate(l LateAnswer) {
	if l.Ended.Sub(l.Started) <= stageTimeout(t.cfg.Timeouts, l.Stage) {
		t.late.Store(true)
	}
	t.rouse(ByLate)
}

// Config is the configuration that the target was made from.
func (t *Target) Config() config.Target { return t.cfg }

// Run keeps the held-open connections and watches the attempts that were left open, until ctx ends and all of its
// goroutines have returned. A round does not need it; without it those lanes are absent.
func (t *Target) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	t.left.open()
	wg.Go(func() { t.held.run(ctx) })
	<-ctx.Done()
	t.left.close()
	wg.Wait()
	return nil
}

// Wake signals that a round would be worth while at once: a held-open connection missed an answer, or an attempt that
// was left open has ended. The channel has room for one trigger.
func (t *Target) Wake() <-chan Trigger { return t.wake }

func (t *Target) rouse(by Trigger) {
	select {
	case t.wake <- by:
	default:
	}
}

// Round looks once through every lane at the same time and returns when all have ended or ctx is done. At most one
// round of a target runs at a time; the caller sees to that.
func (t *Target) Round(ctx context.Context, due time.Time, by Trigger) Result {
	t.round++
	if t.late.Swap(false) {
		t.patient.restore()
	}
	r := &round{t: t, ctx: ctx, number: t.round}
	start := time.Now()
	res := Result{Target: t.cfg.Name, Round: t.round, Due: due.UTC(), Started: start.UTC(), Trigger: by}
	r.run()
	t.noteServed(r.lanes)
	res.Lanes = r.lanes
	t.usual.mark(r.lanes)
	t.usual.learn(r.lanes, r.frontFine())
	t.patient.note(r.lanes, r.frontFine())
	t.looks.ended(r.frontFine())
	t.paths.note(r.lanes)
	res.Paths = t.paths.facts(time.Now())
	t.held.note(r.lanes)
	res.Lanes = append(res.Lanes, t.held.lanes()...)
	res.Ended = res.Started.Add(time.Since(start))
	res.Late = t.left.takeLate()
	res.Self = t.self(&res, start)
	return res
}

// noteServed tells each lane when it last went well, so that one which never did is not taken for news.
func (t *Target) noteServed(lanes []Lane) {
	for i := range lanes {
		l := &lanes[i]
		if l.Extra || l.Lane == LaneVantage {
			continue
		}
		key := l.key()
		if l.Served = t.served[key]; l.fine() {
			t.served[key] = l.Stages[0].Started
		}
	}
}
