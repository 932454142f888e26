package probe

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// endedAsUsual tells that the connection which ended while it was idle was about as old as the one before when the server
// ended that: it has a rule for it.
func (h *heldOpen) endedAsUsual() bool {
	off := h.idleEnd.Sub(h.facts.Since) - h.usualLife
	return (h.mute || h.idleErr.typ == HTTPClosed) && h.usualLife > 0 && off.Abs() <= h.usualLife/4+2*h.interval
}

// renewFailed says that the connection which ended while it was idle did not just end its time: no new one can be had.
func (h *heldOpen) renewFailed(ctx context.Context) {
	if h.idleEnd.IsZero() || ctx.Err() != nil {
		return
	}
	if h.endedAsUsual() {
		h.idleEnd = time.Time{}
		h.tell()
		return
	}
	h.mu.Lock()
	h.bad = &failure{typ: h.idleErr.typ, errno: h.idleErr.errno, err: fmt.Errorf("%w and takes no new one", h.idleErr.err)}
	h.facts.Died, h.failing = h.idleEnd, true
	h.mu.Unlock()
	h.idleEnd = time.Time{}
	h.tell()
}

// ended notes that the connection is gone. It counts as dead until a new one serves. It returns whether we gave it up
// ourselves.
func (h *heldOpen) ended(ctx context.Context, err error) (given bool) {
	h.mu.Lock()
	if h.attempt != nil {
		h.lastInfo = h.attempt.tcpInfo()
		h.attempt = nil
	}
	h.facts.Pending = time.Time{}
	given = h.given
	h.given, h.tainted, h.facts.Tainted = false, false, false
	if given {
		h.facts.Missed, h.bad, h.failing = time.Time{}, nil, false
	}
	if ctx.Err() != nil || err == nil || given {
		h.mu.Unlock()
		return given
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
		h.tell()
	}
	return false
}

// renewAfter is how many good rounds of the lane it takes to give up a request that was sent during a failure.
const renewAfter = 2

// noteLane tells how the new connection of the lane that this one accompanies fared in a round. A request that waits since
// before a failure says nothing about the time after it: the kernel's retransmissions may be minutes apart by then. Once
// new connections are fine again it is given up, and a new connection takes the place of the old one.
func (h *heldOpen) noteLane(fine bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.attempt != nil && h.mute {
		h.hear(h.attempt.tcpInfo(), time.Now())
	}
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
