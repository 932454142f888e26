package probe

import (
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// The decisive looks as witnesses. They are made in the first rounds of a failure and then now and then, so that what an
// earlier round of the same failure saw counts until it is looked at again.

// look is the latest look of a kind at the front; nil if there is none.
func (f *facts) look(k Look) *Lane { return f.lookAt(k, LaneFront, "") }

// lookAt is the latest look of a kind at a lane. Rounds whose front failed in another way say nothing about this one.
func (f *facts) lookAt(k Look, kind LaneKind, hop string) *Lane {
	is := func(l *Lane) bool {
		return l.Look == k && (kind == LaneFront && k == LookExchange || l.Lane == kind && (kind == LaneFront || l.Hop == hop))
	}
	for _, l := range f.looks {
		if is(l) {
			return l
		}
	}
	if f.failed == nil {
		return nil
	}
	for _, l := range f.pastLooks() {
		if is(l) {
			return l
		}
	}
	return nil
}

// failedSoBefore tells that the front failed in the last round as it does now.
func (f *facts) failedSoBefore() bool { return len(f.past) > 0 && f.sameFailure(f.past[len(f.past)-1]) }

// reaction is what the process at the front did about a fresh connection whose other side was closed at once; empty if
// it was not asked.
func (f *facts) reaction() Reaction { return reactionOf(f.look(LookHalfClose)) }

func reactionOf(l *Lane) Reaction {
	if l == nil {
		return ""
	}
	return l.Reaction
}

// lives tells that the process at the front reacts: its accept loop runs, and what it sends back arrives. A reset may be
// its kernel's, whose queue is full (tcp_abort_on_overflow).
func (f *facts) lives() bool {
	r := f.reaction()
	return r == ReactionClosed || r == ReactionData
}

// heedsAlert tells that a stalled handshake with the front was ended when we sent an alert.
func (f *facts) heedsAlert() bool {
	r := reactionOf(f.look(LookSmallHello))
	return r == ReactionClosed || r == ReactionReset
}

// smallWorks tells that the front was served when no packet was large.
func (f *facts) smallWorks() bool {
	return works(f.look(LookSmallSegments)) || works(f.look(LookSmallHello))
}

func works(l *Lane) bool { return l != nil && l.fine() }

// largeLost tells that the control port of the front's host got or gave a few bytes, and not a packet of full size. One
// that has closed its side may take nothing more.
func (f *facts) largeLost() bool {
	l := f.look(LookExchange)
	if l == nil {
		return false
	}
	small, large := l.stage(StageRequest), l.stage(StageResponse)
	return small != nil && small.Good() && large != nil && large.Type == AppTimedOut && large.TCPInfo.Open() // one that hangs up got it
}

// largeTaken tells that the kernel of the front's host acknowledged a full packet on another port.
func (f *facts) largeTaken() bool {
	l := f.look(LookExchange)
	if l == nil {
		return false
	}
	large := l.stage(StageResponse)
	return large != nil && large.Good()
}

// hostMute tells that the control port of the front's host took what we said and said nothing at all: all processes of
// the host may be stuck, not just one.
func (f *facts) hostMute() bool {
	i, l := f.exchanged(), f.look(LookExchange)
	return i != nil && i.BytesReceived == 0 && l.Reaction == "" // who hangs up is not stuck
}

// hostTalks tells that a process on the control port of the front's host said something.
func (f *facts) hostTalks() bool {
	i := f.exchanged()
	return i != nil && i.BytesReceived > 0
}

// exchanged is what the kernel counted after the control port of the front's host took a few bytes; nil if it did not.
func (f *facts) exchanged() *tcpinfo.Info {
	l := f.look(LookExchange)
	if l == nil {
		return nil
	}
	if s := l.stage(StageRequest); s != nil && s.Good() {
		return s.TCPInfo
	}
	return nil
}

// resetBy tells who refuses: nearer, a box between us and the host; itself, the host or a box as far away; neither if
// it is not known, or if the refusal came with a lower TTL than the host's packets.
func (f *facts) resetBy() (nearer, itself bool) {
	l := f.look(LookFarReset)
	if l == nil || f.lossy() { // a lost packet looks like one that was not accepted
		return false, false
	}
	above, exactly := failedStage(l), &l.Stages[len(l.Stages)-1]
	if above == nil {
		return false, false
	}
	heard := above.TCPInfo != nil && above.TCPInfo.BytesAcked > 0 // by which the connection was not deaf to the host
	silent := above.Type == TCPTimedOut && f.failed.Stage == StageConnect || above.Type == TLSTimedOut
	return above.resets() && (above.Type == TCPRefused || !heard), silent && exactly.resets()
}

// firstHop is what came back for a SYN that goes no further than the first router.
func (f *facts) firstHop(k Look) hopAnswer {
	l := f.look(k)
	if l == nil || len(l.Stages) == 0 {
		return hopUnknown
	}
	s := &l.Stages[0]
	switch {
	case s.ICMP.timeExceeded():
		return hopExpired
	case s.Good():
		return hopConnected
	case s.Type == TCPRefused:
		return hopRefused
	case s.Type == TCPTimedOut:
		return hopSilent
	}
	return hopUnknown
}

// hopAnswer is what comes back for a SYN with a TTL of one.
type hopAnswer int

const (
	hopUnknown   hopAnswer = iota
	hopExpired             // the first router said that it goes no further
	hopConnected           // there is no router between
	hopRefused             // a reset: from this host, the first router, or a neighbour
	hopSilent
)

// timeExceeded tells that a router gave the packet up (RFC 792, RFC 4443).
func (i *ICMP) timeExceeded() bool {
	return i != nil && (!i.V6 && i.Type == 11 || i.V6 && i.Type == 3)
}

// prohibited tells that somebody's policy forbids it: administratively prohibited, and its kin.
func (i *ICMP) prohibited() bool {
	if i == nil {
		return false
	}
	if i.V6 {
		return i.Type == 1 && (i.Code == 1 || i.Code == 5 || i.Code == 6)
	}
	return i.Type == 3 && (i.Code == 9 || i.Code == 10 || i.Code == 13)
}

// ourselves tells that the sender is this host, by the address that the lane went out from.
func (i *ICMP) ourselves(l *Lane) bool {
	return i != nil && (i.Local || i.From != "" && i.From == hostOf(l.Local))
}

// heldOf is the held-open connection that accompanies a lane; nil if there is none.
func (f *facts) heldOf(kind LaneKind, hop string) *Lane {
	for _, l := range f.heldOpens {
		if l.Of == kind && l.Hop == hop {
			return l
		}
	}
	return nil
}

// kernelAnswers tells that a held-open connection to a host was acknowledged after an instant: its kernel and the way in
// both directions are alive, whatever becomes of new connections.
func (f *facts) kernelAnswers(host string, since time.Time) bool {
	return anyOf(f.heldOpens, func(l *Lane) bool {
		if hostOf(l.Address) != host || len(l.Stages) == 0 || l.HeldOpen == nil || !l.HeldOpen.Died.IsZero() {
			return false
		}
		i := l.Stages[0].TCPInfo
		if i == nil {
			return l.HeldOpen.LastGoodAnswered.After(since)
		}
		acked := f.now.Ended.Add(-time.Duration(i.LastAckRecv) * time.Millisecond)
		return i.State == tcpinfo.Established && i.Unacked == 0 && i.Probes == 0 && acked.After(since)
	})
}

// silentOn tells that a held-open connection waits for an answer to what the peer's kernel has acknowledged.
func silentOn(l *Lane) bool {
	return l != nil && l.failedWith(HTTPTimedOut) && l.Stages[0].TCPInfo.AckedAll()
}
