package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

const (
	// usualWindow is how many answers make what is usual.
	usualWindow = 60
	// missSlack is added to twice the usual duration before an answer counts as missed.
	missSlack = 150 * time.Millisecond
	// reconnectPause is the time between attempts to connect anew: few, so as not to fill the queue of a frozen process.
	reconnectPause = 5 * time.Second
	// maxUnkept is how many connections the server may close after one answer before we believe that it keeps none.
	maxUnkept = 3
	// keepsLater is after what time it is tried again: a server under load may close connections for a while.
	keepsLater = 10 * time.Minute
)

// heldOpen is the long-lived connection through the front. It asks every interval and never gives a request up: a
// request that a frozen proxy holds is answered at the instant of the thaw.
type heldOpen struct {
	spec     *laneSpec
	env      *Env
	interval time.Duration
	event    func() // called at a miss, a death, and an answer after either
	tryAgain time.Duration

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
	tainted   bool // the front failed while the pending request was waiting
	fine      int  // good rounds of the front since
	address   string
	local     string
	lastInfo  *tcpinfo.Info
}

func newHeldOpen(front *laneSpec, env *Env, interval time.Duration, event func()) *heldOpen {
	s := *front
	s.kind = LaneHeldOpen
	return &heldOpen{spec: &s, env: env, interval: interval, event: event, tryAgain: keepsLater}
}

// run keeps one connection until ctx ends.
func (h *heldOpen) run(ctx context.Context) {
	for n := uint64(0); ctx.Err() == nil; n++ {
		served := h.once(ctx, n)
		switch {
		case h.unkept >= maxUnkept:
			h.giveUp(true)
			h.pause(ctx, h.tryAgain)
		case !served:
			h.pause(ctx, max(reconnectPause, h.interval))
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

// once makes a connection and asks on it until it ends; served tells that it answered at least once, and that the
// connection was not closed after an answer that is none, as balancers do while there is nobody behind them.
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
	h.mu.Lock()
	if !h.idleEnd.IsZero() && h.idleErr.typ == HTTPClosed {
		h.usualLife = h.idleEnd.Sub(h.facts.Since)
	}
	h.attempt, h.address, h.local = a, a.lane.Address, a.lane.Local
	h.facts.Since, h.facts.Answered = time.Now(), 0
	h.mu.Unlock()
	h.idleEnd = time.Time{}
	err := h.serve(a)
	h.ended(ctx, err)
	return h.facts.Answered > 0 && (err != nil || h.bad == nil)
}

// open connects, with the same stages and deadlines as a round.
func (h *heldOpen) open(a *attempt, end context.CancelFunc) bool {
	steps := []func() (<-chan error, bool){a.connect}
	if len(a.spec.addrs) == 0 {
		steps = append([]func() (<-chan error, bool){a.resolve}, steps...)
	}
	if a.spec.tls != nil {
		steps = append(steps, a.handshake)
	}
	for _, step := range steps {
		pending, ok := step()
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

// serve asks every interval until an exchange fails; nil when the server ended the connection between two requests,
// as it may.
func (h *heldOpen) serve(a *attempt) error {
	r := newResponseReader(a.stream)
	for next := time.Now(); ; next = later(next, h.interval) {
		if h.endedIdle(a, r, next) {
			return nil
		}
		again, err := h.ask(a, r)
		if err != nil {
			return err
		}
		if !again {
			if h.bad == nil {
				h.unkept++
			}
			return nil
		}
		if h.unkept > 0 {
			h.unkept = 0
			h.giveUp(false)
		}
	}
}

// endedIdle waits until the next request is due and notes the connection's end if it comes before.
func (h *heldOpen) endedIdle(a *attempt, r *responseReader, next time.Time) bool {
	how := idle(a, r, next)
	if how != nil {
		h.idleEnd, h.idleErr = time.Now(), how
	}
	return how != nil
}

// later is the next instant of a beat; beats that were missed are left out.
func later(t time.Time, d time.Duration) time.Time {
	if next := t.Add(d); next.After(time.Now()) {
		return next
	}
	return time.Now().Add(d)
}

// idle waits until the next request is due and reads meanwhile, to know the instant at which the peer ends the
// connection, and how: the error then, nil while it lives.
func idle(a *attempt, r *responseReader, until time.Time) *failure {
	if !until.After(time.Now()) {
		return nil
	}
	r.limit.N = headLimit
	a.conn.SetReadDeadline(until)
	_, err := r.buf.Peek(1)
	a.conn.SetReadDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		a.conn.err.Store(nil)
		return nil
	}
	if f, ok := streamFailure(a.conn.last(), httpEnds); ok && f.typ == HTTPReset {
		return f
	}
	return fail(HTTPClosed, "the peer closed the connection")
}

// endedAsUsual tells that the connection which ended while it was idle was about as old as the one before when the server
// ended that: it has a rule for it.
func (h *heldOpen) endedAsUsual() bool {
	off := h.idleEnd.Sub(h.facts.Since) - h.usualLife
	return h.idleErr.typ == HTTPClosed && h.usualLife > 0 && off.Abs() <= h.usualLife/4+2*h.interval
}

// renewFailed says that the connection which ended while it was idle did not just end its time: no new one can be had.
func (h *heldOpen) renewFailed(ctx context.Context) {
	if h.idleEnd.IsZero() || ctx.Err() != nil {
		return
	}
	if h.endedAsUsual() {
		h.idleEnd = time.Time{}
		h.event()
		return
	}
	h.mu.Lock()
	h.bad = &failure{typ: h.idleErr.typ, errno: h.idleErr.errno, err: fmt.Errorf("%w and takes no new one", h.idleErr.err)}
	h.facts.Died, h.failing = h.idleEnd, true
	h.mu.Unlock()
	h.idleEnd = time.Time{}
	h.event()
}

// ask sends one request and waits for its answer without a deadline; a timer notes when it is overdue.
func (h *heldOpen) ask(a *attempt, r *responseReader) (again bool, err error) {
	id := newTraceID()
	sent, missAfter := h.begin()
	overdue := time.AfterFunc(missAfter, func() { h.miss(sent) })
	defer overdue.Stop()
	r.limit.N = headLimit
	if err := askHTTP(a.stream, a.conn, a.spec.requestBytes(id, "keep-alive"), r); err != nil {
		return false, err
	}
	_, body, resp, err := r.read(a.spec.ep.Request.Method, a.conn)
	if err != nil {
		return false, err
	}
	if len(body) == bodyLimit {
		return false, nil // a body that was not read to its end leaves the connection useless
	}
	h.answered(checkResponse(&a.spec.expect, resp, body))
	return !resp.Close, nil
}

// begin notes that a request goes out and returns after which time its answer is overdue: the request stage's timeout as
// long as we do not know what is usual.
func (h *heldOpen) begin() (sent time.Time, missAfter time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = time.Now()
	h.facts.Pending = h.sent
	h.tainted, h.facts.Tainted, h.overdue = false, false, false
	h.facts.Usual = 0
	missAfter = h.spec.timeouts.Request.Std()
	if len(h.usual) > 0 {
		h.facts.Usual = Seconds(slices.Max(h.usual))
		missAfter = min(2*h.facts.Usual.Std()+missSlack, missAfter)
	}
	return h.sent, missAfter
}

// learn takes the last answer's duration into what is usual. A late answer counts up to what was waited for it, doubled,
// so that a service that became slower for good is not late for ever; the answer that ends a freeze does not count.
func (h *heldOpen) learn() {
	took := h.took.Std()
	if took >= h.spec.timeouts.Request.Std() {
		return
	}
	if len(h.usual) > 0 {
		took = min(took, 2*(2*h.facts.Usual.Std()+missSlack))
	}
	h.usual = keep(append(h.usual, took), usualWindow)
}

// miss notes that the answer to a request is overdue. The timer may fire beside the answer.
func (h *heldOpen) miss(sent time.Time) {
	h.mu.Lock()
	pending := h.facts.Pending.Equal(sent)
	first := pending && !h.failing
	if pending {
		h.overdue, h.failing = true, true
		h.missedAt(time.Now())
	}
	h.mu.Unlock()
	if first {
		h.event()
	}
}

// answered notes an answer: good, late, or not what was expected.
func (h *heldOpen) answered(err error) {
	h.mu.Lock()
	now := time.Now()
	h.took = Seconds(now.Sub(h.sent))
	h.facts.Answered++
	h.facts.Pending, h.facts.Died = time.Time{}, time.Time{}
	h.tainted, h.facts.Tainted = false, false
	limit := h.spec.expect.MaxDuration.Std()
	wasBad := h.failing
	switch {
	case err != nil:
		errors.As(err, &h.bad)
		h.missedAt(now)
		h.late = 0
	case h.overdue || limit > 0 && h.took.Std() > limit:
		h.bad = nil
		h.missedAt(now)
		h.learn()
		h.late++
		h.lateAt = now
	default:
		h.good(now)
	}
	h.failing = !h.facts.Missed.IsZero()
	tell := h.failing != wasBad || h.late == 1
	h.mu.Unlock()
	if tell {
		h.event()
	}
}

func (h *heldOpen) missedAt(t time.Time) {
	if h.facts.Missed.IsZero() {
		h.facts.Missed = t
	}
}

// good notes an answer in time. A single late answer before it was that of a process which had been stopped: all was
// good from then on. After several late ones, slowness is over only now.
func (h *heldOpen) good(now time.Time) {
	if h.failing {
		h.facts.GoodSince = now
		if h.late == 1 {
			h.facts.GoodSince = h.lateAt
		}
	} else {
		h.learn()
	}
	h.bad, h.late = nil, 0
	h.facts.LastGoodSent, h.facts.LastGoodAnswered, h.facts.Missed = h.sent, now, time.Time{}
}

// ended notes that the connection is gone. It counts as dead until a new one serves.
func (h *heldOpen) ended(ctx context.Context, err error) {
	h.mu.Lock()
	if h.attempt != nil {
		h.lastInfo = h.attempt.tcpInfo()
		h.attempt = nil
	}
	h.facts.Pending = time.Time{}
	given := h.given
	h.given, h.tainted, h.facts.Tainted = false, false, false
	if given {
		h.facts.Missed, h.bad, h.failing = time.Time{}, nil, false
	}
	if ctx.Err() != nil || err == nil || given {
		h.mu.Unlock()
		return
	}
	if !errors.As(err, &h.bad) {
		h.bad = fail(HTTPClosed, "%w", err)
	}
	first := h.facts.Died.IsZero()
	if first {
		h.facts.Died = time.Now()
	}
	h.failing = true
	h.mu.Unlock()
	if first {
		h.event()
	}
}

// renewAfter is how many good rounds of the front it takes to give up a request that was sent during a failure.
const renewAfter = 2

// noteFront tells how the front's new connection of a round fared. A request that waits since before a failure says
// nothing about the time after it: the kernel's retransmissions may be minutes apart by then. Once new connections are
// fine again it is given up, and a new connection takes the place of the old one.
func (h *heldOpen) noteFront(fine bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.facts.Pending.IsZero() || h.attempt == nil {
		return
	}
	if !fine {
		h.tainted, h.facts.Tainted, h.fine = true, true, 0
		return
	}
	if h.fine++; h.tainted && h.fine >= renewAfter {
		h.given = true
		h.attempt.close()
	}
}

// lane is what the connection shows now; nil when there never was one, when the server keeps none, and while a new one is
// made because the server ended the old one in good order.
func (h *heldOpen) lane() *Lane {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.facts.LastGoodAnswered.IsZero() || h.gaveUp || h.attempt == nil && h.bad == nil {
		return nil
	}
	l := h.spec.newLane()
	l.Address, l.Local = h.address, h.local
	facts := h.facts.utc()
	l.HeldOpen = &facts
	s := Stage{Stage: StageRequest, Outcome: OK, Started: h.sent.UTC(), Duration: h.took, TCPInfo: h.lastInfo}
	if h.attempt != nil {
		s.TCPInfo = h.attempt.tcpInfo()
	}
	if !facts.Pending.IsZero() && facts.Died.IsZero() {
		s.Duration = Seconds(time.Since(h.sent))
	}
	switch {
	case !facts.Died.IsZero() || h.bad != nil:
		s.setFailed(h.bad.typ, h.bad.err)
		s.Errno = h.bad.errno
	case h.overdue && !facts.Pending.IsZero():
		s.setFailed(HTTPTimedOut, errStageTimeout)
	case !facts.Missed.IsZero():
		s.Outcome = Slow
	}
	l.Stages = []Stage{s}
	return l
}
