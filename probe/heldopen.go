package probe

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

const (
	// reconnectPause is the time between attempts to connect anew: few, so as not to fill the queue of a frozen process.
	reconnectPause = 5 * time.Second
	// maxUnkept is how many connections the server may close after one answer before we believe that it keeps none.
	maxUnkept = 3
	// keepsLater is after what time it is tried again: a server under load may close connections for a while.
	keepsLater = 10 * time.Minute
	// maxPhase bounds the time over which the first connections of a process are spread.
	maxPhase = time.Second
)

// heldOpen is the long-lived connection beside a lane. Where HTTP is spoken it asks every interval and never gives a
// request up: a request that a frozen proxy holds is answered at the instant of the thaw. Elsewhere it is mute: this
// host's kernel asks the peer's kernel, by TCP keep-alive.
type heldOpen struct {
	spec     *laneSpec
	of       LaneKind // the lane that it accompanies; empty for the front's
	env      *Env
	interval time.Duration
	mute     bool
	event    func() // called at a miss, a death, and an answer after either; nil when nobody listens
	tryAgain time.Duration
	retry    time.Duration
	phase    time.Duration // before the first connection

	mu      sync.Mutex
	facts   HeldOpenFacts
	sent    time.Time // of the last request
	took    Seconds   // until its answer
	bad     *failure  // what is wrong with the last answer, or how the connection died
	attempt *attempt  // the living connection; nil while there is none
	usual   []time.Duration
	overdue bool      // the pending request has missed its time
	failing bool      // since the last good answer something was missed, wrong, or the connection died
	late    int       // late answers in a row
	lateAt  time.Time // the last of them
	unkept  int
	gaveUp  bool      // the server keeps no connection
	idleEnd time.Time // when a connection ended between two requests, until a new one is made
	idleErr *failure  // how it ended
	// usualLife is how long the last connection lived that ended so and was followed by another.
	usualLife time.Duration
	given     bool // we closed the connection ourselves to make a new one
	tainted   bool // the lane failed while the pending request was waiting
	fine      int  // good rounds of the lane since
	address   string
	local     string
	lastInfo  *tcpinfo.Info
}

// newHeldOpen prepares the connection that accompanies a lane.
func newHeldOpen(beside *laneSpec, env *Env, interval time.Duration, event func()) *heldOpen {
	s := *beside
	s.kind = LaneHeldOpen
	h := &heldOpen{
		spec: &s, of: beside.kind, env: env, interval: interval, event: event, tryAgain: keepsLater,
		mute: beside.connect || !beside.http(), retry: max(reconnectPause, interval), phase: rand.N(min(interval, maxPhase)),
	}
	if h.of == LaneFront {
		h.of = ""
	}
	return h
}

// run keeps one connection until ctx ends.
func (h *heldOpen) run(ctx context.Context) {
	h.pause(ctx, h.phase)
	for n := uint64(0); ctx.Err() == nil; n++ {
		served := h.once(ctx, n)
		switch {
		case h.unkept >= maxUnkept:
			h.giveUp(true)
			h.pause(ctx, h.tryAgain)
		case !served:
			h.pause(ctx, h.retry)
		}
	}
	h.giveUp(true)
}

// giveUp notes whether the server keeps connections.
func (h *heldOpen) giveUp(yes bool) {
	h.mu.Lock()
	h.gaveUp = yes
	h.mu.Unlock()
}

func (h *heldOpen) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// tell passes a piece of news on.
func (h *heldOpen) tell() {
	if h.event != nil {
		h.event()
	}
}

// once makes a connection and keeps it until it ends; served tells that a new one may follow at once: it answered at
// least once, and was not closed after an answer that is none, as balancers do while there is nobody behind them.
func (h *heldOpen) once(ctx context.Context, n uint64) (served bool) {
	life, end := context.WithCancel(ctx)
	defer end()
	a := &attempt{spec: h.spec, env: h.env, lane: h.spec.newLane(), pick: n, roundDone: ctx.Done(), life: life}
	if !h.open(a, end) {
		h.renewFailed(ctx)
		return false
	}
	defer a.close()
	defer context.AfterFunc(ctx, a.close)()
	h.opened(a)
	if h.mute {
		h.answersAgain(a)
		return h.ended(ctx, h.listen(a))
	}
	err := h.serve(a)
	h.ended(ctx, err)
	return h.facts.Answered > 0 && (err != nil || h.bad == nil)
}

// opened notes that there is a connection.
func (h *heldOpen) opened(a *attempt) {
	h.mu.Lock()
	if !h.idleEnd.IsZero() && (h.mute || h.idleErr.typ == HTTPClosed) {
		h.usualLife = h.idleEnd.Sub(h.facts.Since)
	}
	h.attempt, h.address, h.local = a, a.lane.Address, a.lane.Local
	h.facts.Since, h.facts.Answered = time.Now(), 0
	h.mu.Unlock()
	h.idleEnd = time.Time{}
}

// open connects, with the same stages and deadlines as a round. A mute connection speaks its dialogue first.
func (h *heldOpen) open(a *attempt, end context.CancelFunc) bool {
	for _, step := range []struct {
		use bool
		run func() (<-chan error, bool)
	}{
		{len(a.spec.addrs) == 0, a.resolve},
		{true, a.connect},
		{h.mute, h.keepAlive(a)},
		{a.spec.tls != nil, a.handshake},
		{h.mute && !a.spec.connect && len(a.spec.ep.Dialogue) > 0, a.request},
	} {
		if !step.use {
			continue
		}
		pending, ok := step.run()
		if ok {
			continue
		}
		end()
		a.close()
		if pending != nil {
			<-pending
		}
		return false
	}
	return true
}
