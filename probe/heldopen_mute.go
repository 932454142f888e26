package probe

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

const (
	// muteLimit bounds what a peer may say on a connection on which it is not asked: banners are short.
	muteLimit = 64 << 10
	// briefLife is what a mute connection lives at least with a server that keeps connections.
	briefLife = 15 * time.Second
	// maxKeepIdle is what the kernel takes as TCP_KEEPIDLE and TCP_KEEPINTVL, in seconds (MAX_TCP_KEEPIDLE).
	maxKeepIdle = 32767 * time.Second
)

var muteEnds = streamTypes{timedOut: TCPTimedOut, closed: AppClosed, reset: TCPReset}

// period is how often the kernel asks: the interval in whole seconds.
func (h *heldOpen) period() time.Duration {
	return min(max((h.interval+time.Second-1).Truncate(time.Second), time.Second), maxKeepIdle)
}

// mutePatience is for how long the peer's kernel may stay silent: two questions in a row are unanswered then.
func (h *heldOpen) mutePatience() time.Duration { return h.period() * 5 / 2 }

// keepAlive is the step that lets the kernel ask. Without it the connection would be no witness.
func (h *heldOpen) keepAlive(a *attempt) func() (<-chan error, bool) {
	return func() (<-chan error, bool) {
		c, ok := a.conn.Conn.(*net.TCPConn)
		return nil, ok && setKeepAlive(c, h.period()) == nil
	}
}

// answersAgain notes that a new mute connection is there, which is an answer already.
func (h *heldOpen) answersAgain(a *attempt) {
	h.mu.Lock()
	now, wasBad := time.Now(), h.failing
	if wasBad {
		h.facts.GoodSince = now
	}
	h.bad, h.failing, h.overdue = nil, false, false
	f := &h.facts
	f.Pending, f.Missed, f.Died = time.Time{}, time.Time{}, time.Time{}
	f.LastGoodSent, f.LastGoodAnswered = a.lane.Stages[len(a.lane.Stages)-1].Started, now
	h.mu.Unlock()
	if wasBad {
		h.tell()
	}
}

// listen reads and drops what the peer says until the connection ends, and looks every period, if anybody wants to hear,
// whether its kernel still answers. It returns nil for an end that means nothing: servers close connections on which
// they hear nothing.
func (h *heldOpen) listen(a *attempt) error {
	words := make([]byte, 512)
	for heard := 0; heard <= muteLimit; {
		if h.event != nil {
			a.conn.SetReadDeadline(time.Now().Add(h.period()))
		}
		n, err := a.stream.Read(words)
		heard += n
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			a.conn.err.Store(nil)
			h.look()
		case err != nil:
			return h.muteEnded(err, a.conn.last())
		}
	}
	h.unkept = maxUnkept // it speaks all the time: this is no connection to keep
	return nil
}

// muteEnded judges how a mute connection ended.
func (h *heldOpen) muteEnded(err, raw error) error {
	f, ok := streamFailure(raw, muteEnds)
	if !ok {
		if f, ok = streamFailure(err, muteEnds); !ok {
			f = &failure{typ: AppClosed, err: err}
		}
	}
	h.idleEnd, h.idleErr = time.Now(), f
	life := h.idleEnd.Sub(h.facts.Since)
	switch {
	case life >= briefLife:
		h.unkept = 0
		h.giveUp(false)
	case f.typ == AppClosed:
		h.unkept++
	}
	if f.typ == AppClosed || f.typ == TCPReset && h.endedAsUsual() {
		return nil
	}
	h.idleEnd = time.Time{}
	if f.typ == TCPReset {
		h.usualLife = life
	}
	return f
}

// look asks our kernel, and tells what is new.
func (h *heldOpen) look() {
	h.mu.Lock()
	news := h.attempt != nil && h.hear(h.attempt.tcpInfo(), time.Now())
	h.mu.Unlock()
	if news {
		h.tell()
	}
}

// hear notes when the peer's kernel last answered; news tells that it fell silent or answers again. The caller holds
// the lock. An age alone does not accuse: after a suspension it is large before a question has gone out.
func (h *heldOpen) hear(info *tcpinfo.Info, now time.Time) (news bool) {
	h.lastInfo = info
	was, heard := h.failing, now.Add(-silentFor(info))
	f := &h.facts
	if now.Sub(heard) > h.mutePatience() && (info.Probes > 0 || h.overdue) {
		h.overdue, h.failing = true, true
		if f.Pending.IsZero() {
			f.Pending = heard.Add(h.period())
		}
		h.sent = f.Pending
		h.missedAt(heard.Add(h.mutePatience()))
		return !was
	}
	if was {
		f.GoodSince = heard
	}
	h.overdue, h.failing, h.tainted, f.Tainted = false, false, false, false
	f.Pending, f.Missed = time.Time{}, time.Time{}
	f.LastGoodSent, f.LastGoodAnswered = heard.Add(-h.period()), heard
	h.sent, h.took = heard, 0
	return was
}

// silentFor is how long ago the peer's kernel was last heard; 0 where our kernel does not tell.
func silentFor(i *tcpinfo.Info) time.Duration {
	if i == nil {
		return 0
	}
	age := i.LastAckRecv
	if i.BytesReceived > 0 {
		age = min(age, i.LastDataRecv)
	}
	return time.Duration(age) * time.Millisecond
}
