package probe

import (
	"errors"
	"os"
	"slices"
	"time"
)

const (
	// usualWindow is how many answers make what is usual.
	usualWindow = 60
	// missSlack is added to twice the usual duration before an answer counts as missed.
	missSlack = 150 * time.Millisecond
)

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
		h.tell()
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
	news := h.failing != wasBad || h.late == 1
	h.mu.Unlock()
	if news {
		h.tell()
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
