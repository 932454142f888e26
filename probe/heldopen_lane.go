package probe

import (
	"fmt"
	"time"
)

// lane is what the connection shows now; nil when there never was one, when the server keeps none, and while a new one is
// made because the server ended the old one in good order.
func (h *heldOpen) lane() *Lane {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mute && h.attempt != nil {
		h.hear(h.attempt.tcpInfo(), time.Now())
	}
	if h.facts.LastGoodAnswered.IsZero() || h.notKept() || h.attempt == nil && h.bad == nil {
		return nil
	}
	l := h.spec.newLane()
	l.Of, l.Address, l.Local = h.of, h.address, h.local
	facts := h.facts.utc()
	facts.Mute = h.mute
	l.HeldOpen = &facts
	l.Stages = []Stage{h.stage(&facts)}
	return l
}

// notKept tells that the server keeps no connection. A mute one shows that it does by living.
func (h *heldOpen) notKept() bool {
	return h.gaveUp && (!h.mute || h.attempt == nil || time.Since(h.facts.Since) < briefLife)
}

// stage is the last question: ours, or that of our kernel.
func (h *heldOpen) stage(facts *HeldOpenFacts) Stage {
	s := Stage{Stage: StageRequest, Outcome: OK, Started: h.sent.UTC(), Duration: h.took, TCPInfo: h.lastInfo}
	if h.attempt != nil && !h.mute {
		s.TCPInfo = h.attempt.tcpInfo()
	}
	if !facts.Pending.IsZero() && facts.Died.IsZero() {
		s.Duration = Seconds(time.Since(h.sent))
	}
	switch {
	case !facts.Died.IsZero() || h.bad != nil:
		s.setFailed(h.bad.typ, h.bad.err)
		s.Errno = h.bad.errno
	case h.overdue && h.mute:
		s.setFailed(TCPTimedOut, fmt.Errorf("the peer's kernel has acknowledged nothing since %s", stamp(facts.LastGoodAnswered)))
	case h.overdue && !facts.Pending.IsZero():
		s.setFailed(HTTPTimedOut, errStageTimeout)
	case !facts.Missed.IsZero():
		s.Outcome = Slow
	}
	return s
}
