package probe

import (
	"fmt"
	"slices"
)

// stalled tells that the connection of the front stood when a stage of it timed out.
func (f *facts) stalled() bool {
	return f.at(StageTLS, TLSTimedOut) || f.at(StageRequest, HTTPTimedOut, AppTimedOut) || f.at(StageResponse, HTTPBodyStalled)
}

// judgeHeldBack: our own data waits in our own kernel because the peer opened no window for it. Whoever answered the SYN
// does not want data yet: a packet filter that answers for hosts before it asks them (RFC 4987, 3.6), or a process that
// does not read.
func judgeHeldBack(f *facts) *conclusion {
	if !f.stalled() || !f.failed.TCPInfo.Waiting() || f.failed.TCPInfo.BytesAcked > 0 {
		return nil
	}
	return down(fmt.Sprintf("front/%s: connected, but the peer takes no data: %d bytes wait for its window", f.failed.Stage, f.failed.TCPInfo.NotSent),
		suspect(LayerNetwork, CauseDataDropped), suspect(LayerHost, CauseHostDown), suspect(f.frontLayer(), CauseFrozen))
}

// judgeStranger: the SYN was answered and our data acknowledged, while what we sent on the old connection to the same
// address is not: two different kernels speak in the name of one host. A packet filter that answers for hosts does so.
func judgeStranger(f *facts) *conclusion {
	if !f.at(StageTLS, TLSTimedOut) || !silent(f.failed.TCPInfo) || !f.heldUnheard() || f.held.HeldOpen.Tainted || f.lives() {
		return nil
	}
	return down("front/tls: a new connection is taken and its data acknowledged, while data on the old one is not: not the same kernel answers",
		suspect(LayerNetwork, CauseEstablishedDropped), suspect(LayerHost, CauseHostDown), suspect(f.frontLayer(), CauseFrozen))
}

// judgeLargeLost: packets of full size do not get through and small ones do: a router or tunnel on the way carries less
// and does not say so (RFC 2923, 2.1), or a policer lets only small ones pass. That the front works with small segments may
// be luck when only some connections fail; another fact must say the same: a hole in what we received, our own large
// segments unconfirmed, or a full packet lost on another port of the host. Unconfirmed segments alone may have been dropped
// by the host that they reached, the more so when another port of it takes a full packet.
func judgeLargeLost(f *facts) *conclusion {
	if !f.stalled() || !f.smallWorks() && !f.largeLost() {
		return nil
	}
	i := f.failed.TCPInfo
	hole := i != nil && i.RcvOOO > 0
	unheard := i.Unheard()
	facts := 0
	for _, yes := range []bool{f.smallWorks(), hole || unheard, f.largeLost()} {
		if yes {
			facts++
		}
	}
	cause := CausePMTU
	if !f.smallWorks() {
		cause = CauseThrottled // nothing works in time, but the large packets are what is lost
	}
	if f.lossy() {
		cause = CauseLoss
	}
	s, taker := suspect(LayerNetwork, cause), f.frontLayer()
	switch {
	case f.smallWorks() && facts > 1:
		return down(fmt.Sprintf("front/%s: stalls, and is served in the same round when no packet is large: the path drops large packets",
			f.failed.Stage), s).
			agreed(f.largeLost() || hole && f.failedSoBefore()).also(!hole && f.largeTaken(), suspect(taker, CauseUnknown)).lean()
	case f.largeLost() && (hole || unheard || f.lives()):
		return down(fmt.Sprintf("front/%s: stalls, and a full packet to another port of the host is lost while a few bytes get through",
			f.failed.Stage), s).
			agreed(hole || unheard).also(!hole && !unheard, suspect(taker, CauseNoAnswer)).lean()
	}
	return nil
}

// judgeDataDropped: the handshake of TCP passed, our data is not acknowledged, and timers fired for it: the kernel at
// the far end does not get it. A listener whose queue overflowed in the middle of the handshake looks the same; there
// the old connection's data is acknowledged, and its process does not react to a half-close, unless it is only too slow
// and its queue overflows now and then. A host that is out of memory for what it receives drops data too.
func judgeDataDropped(f *facts) *conclusion {
	if !f.stalled() || !f.failed.TCPInfo.Unheard() {
		return nil
	}
	i := f.failed.TCPInfo
	because := fmt.Sprintf("front/%s: %d of %d bytes acknowledged, %d retransmission timeouts: our data does not arrive",
		f.failed.Stage, i.BytesAcked, i.BytesSent, i.Timeouts())
	if f.heldSilent() && !f.lives() {
		return down(because, suspect(f.frontLayer(), CauseFrozen), suspect(LayerNetwork, CauseDataDropped))
	}
	cause := CauseDataDropped
	if i.BytesReceived > 0 {
		cause = CauseLoss
	}
	if f.lives() {
		return down(because+"; a half-closed connection without data is answered, so its process lives", suspect(LayerNetwork, cause)).
			also(i.BytesReceived == 0, suspect(f.frontLayer(), CauseQueueFull)).lean()
	}
	return down(because, suspect(LayerNetwork, cause)).
		also(i.BytesReceived == 0 && !f.heldUnheard(), suspect(f.frontLayer(), CauseQueueFull)).lean()
}

// judgeDataHole: segments arrived out of order and what stands before them did not: the path drops some, the large
// ones first where its MTU is too small for them.
func judgeDataHole(f *facts) *conclusion {
	if !f.stalled() || f.failed.TCPInfo == nil || f.failed.TCPInfo.RcvOOO == 0 {
		return nil
	}
	cause := CauseLoss
	if f.failed.TCPInfo.BytesReceived == 0 && f.failed.TCPInfo.Timeouts() == 0 {
		cause = CausePMTU
	}
	return down(fmt.Sprintf("front/%s: %d segments arrived behind a hole that was never filled: the path back drops others",
		f.failed.Stage, f.failed.TCPInfo.RcvOOO),
		suspect(LayerNetwork, cause))
}

// judgeRecordCut: the answer's TLS record began to arrive and never got whole. The proxy handed it to its kernel in
// one piece; what is missing was lost on the way.
func judgeRecordCut(f *facts) *conclusion {
	if f.failed == nil || f.failed.RecordLength == 0 || !f.exchanging() || !f.stalled() && !f.failed.ended() {
		return nil
	}
	return down(fmt.Sprintf("front/%s: only %d of %d bytes of the answer's TLS record arrived", f.failed.Stage, f.failed.RecordGot, f.failed.RecordLength),
		suspect(LayerNetwork, CauseDataDropped), suspect(f.tlsLayer(), backendCauses[f.failed.Type])).lean()
}

// ended tells that the peer, or somebody in its name, ended the connection.
func (s *Stage) ended() bool {
	return s.Type == HTTPReset || s.Type == HTTPClosed || s.Type == HTTPBodyTruncated
}

// judgeTLSSilent: the peer's kernel took our ClientHello and its process said nothing. Data dropped on the way back
// looks alike from here. What tells is whether the process reacts to a half-close, which needs no data, or to an alert,
// which a reset answers, and what becomes of the old connection. A packet filter that answers for a host which it does not
// reach takes all and says nothing too.
func judgeTLSSilent(f *facts) *conclusion {
	if !f.at(StageTLS, TLSTimedOut) {
		return nil
	}
	layer, same := f.culprit()
	frozen, back := suspect(layer, CauseFrozen), suspect(LayerNetwork, CauseReturnDropped)
	i := f.failed.TCPInfo
	switch {
	case i == nil:
		return down("front/tls: connected, no reply to our ClientHello", frozen, back).lean()
	case f.heldServes() && same == 0 && f.wasFrozen():
		return down(acked(f.failed)+", while the old connection is served again: the process runs again and works off its queue", frozen)
	case f.heldServes() && same == 0:
		return down(acked(f.failed)+", while the old connection serves", suspect(layer, CauseNotAccepting)).
			also(f.lives(), suspect(LayerNetwork, CauseDataDropped)).also(f.lossy(), suspect(LayerNetwork, CauseLoss)).lean()
	case i.Timeouts() > 0 || i.BytesReceived > 0:
		return down(fmt.Sprintf("front/tls: the handshake stopped after %d bytes, %d retransmission timeouts", i.BytesReceived, i.Timeouts()),
			suspect(LayerNetwork, CauseLoss), suspect(layer, CauseSlow))
	case f.culpritStuck() && f.heedsAlert():
		return down(acked(f.failed)+", nor to a half-closed connection, but another one is ended at our alert: the process lives, "+
			"and what it sends does not come back", back, suspect(layer, CauseNoAnswer)).lean()
	case f.culpritStuck():
		agree := (f.culpritSilent() || same > 0) && !f.heldUnheard() && !f.lossy()
		return down(acked(f.failed)+", and its process does not react to a half-closed connection either", frozen).
			agreed(agree).also(f.hostMute(), suspect(LayerHost, CauseFrozen)).
			also(f.lossy(), suspect(LayerNetwork, CauseLoss)).
			also(!agree && !f.lossy() && !f.hostTalks(), suspect(LayerNetwork, CauseDataDropped)).lean()
	case f.lives() && f.deadHop() != nil:
		dead := f.deadHop()
		return down(acked(f.failed)+", while a half-closed connection is answered; "+title(dead)+" takes no connection itself",
			suspect(f.layerOf(dead.Role), CauseUnknown), suspect(layer, CauseNoAnswer), back).lean()
	case f.lives() && f.frontLayer() == layer && (f.heldClosed() || f.heldReset()) && len(f.brokenBackends()) == 0:
		return down(acked(f.failed)+", though a half-closed connection is answered, and the old connection was ended: another process listens there",
			suspect(layer, CauseNoAnswer), back).lean()
	case f.lives() && f.frontLayer() == layer:
		return down(acked(f.failed)+", but a half-closed connection is answered: a process lives there, which does not speak, or whose data does not come back",
			back, suspect(layer, CauseNoAnswer))
	case f.holed():
		return down(acked(f.failed)+"; on another connection something arrived behind a hole that was not filled: the path back drops data", back).agreed(!f.lossy())
	}
	return down(acked(f.failed), frozen, back).lean()
}

// holed tells that on the half-closed connection something arrived, but not what stands before it: the process spoke,
// and its data was lost.
func (f *facts) holed() bool {
	l := f.look(LookHalfClose)
	return l != nil && len(l.Stages) > 0 && l.Stages[len(l.Stages)-1].TCPInfo != nil && l.Stages[len(l.Stages)-1].TCPInfo.RcvOOO > 0
}

// lastSame is the last box on the way whose lane fails at the stage at which the front does.
func (f *facts) lastSame() *Lane {
	box := f.front
	for _, h := range f.hops {
		if s := failedStage(h); s != nil && s.Stage == f.failed.Stage && f.accuses(h) {
			box = h
		}
	}
	return box
}

// culpritStuck tells that a fresh connection to the last box that fails as the front does, half-closed at once, stays
// without any reaction.
func (f *facts) culpritStuck() bool {
	box := f.lastSame()
	l := f.lookAt(LookHalfClose, box.Lane, box.Hop)
	if reactionOf(l) != ReactionNone {
		return false
	}
	i := l.Stages[len(l.Stages)-1].TCPInfo
	return i == nil || i.RcvOOO == 0 && i.Unacked == 0 // or our FIN, or an answer to it, got lost
}

// culpritSilent tells that an old connection to it, through the front or directly, is acknowledged and silent too.
func (f *facts) culpritSilent() bool {
	box := f.lastSame()
	return f.heldSilent() || box != f.front && silentOn(f.heldOf(LaneVia, box.Hop))
}

// wasFrozen: an earlier round of this incident saw new connections and the old one acknowledged and silent.
func (f *facts) wasFrozen() bool {
	return slices.ContainsFunc(f.past, func(r *Result) bool {
		p := glance(r)
		return p.heldSilent() && (p.at(StageTLS, TLSTimedOut) || p.at(StageConnect, TCPTimedOut))
	})
}

var certCauses = map[Type]Cause{
	TLSCertDate: CauseCertExpired, TLSCertName: CauseCertName, TLSCertAuthority: CauseCertAuthority, TLSCertInvalid: CauseCertInvalid,
}

// judgeCertificate: the handshake showed a certificate that we do not accept. Our own clock and our own roots are
// cleared by another host's clock, and by another box whose certificate we accept.
func judgeCertificate(f *facts) *conclusion {
	cause, ok := certCauses[failedType(f)]
	if !ok {
		return nil
	}
	layer, same := f.certOwner()
	c := down("front/tls: "+f.failed.Error, suspect(layer, cause))
	switch cause {
	case CauseCertExpired:
		agrees := f.clockAgrees()
		return c.agreed(agrees).also(!agrees, suspect(LayerProber, CauseClockWrong)).lean()
	case CauseCertName:
		return c.agreed(same > 0)
	case CauseCertAuthority:
		return c.also(!f.trusts(), suspect(LayerProber, CauseTrust)).lean()
	}
	return c
}

// trusts tells that another box of the target showed a certificate that we accepted: our store of authorities works.
func (f *facts) trusts() bool {
	verified := func(l *Lane) bool { s := l.stage(StageTLS); return s != nil && s.Good() }
	return anyOf(f.hops, verified) || anyOf(f.backends, verified)
}

// certOwner is the layer of the last box on the way that shows the front's certificate: a box in front of it passes the
// handshake on.
func (f *facts) certOwner() (layer Layer, same int) {
	layer = f.frontLayer()
	for _, h := range f.hops {
		if sameCert(h.TLS, f.front.TLS) {
			layer = f.layerOf(h.Role)
			same++
		}
	}
	return layer, same
}

func sameCert(a, b *TLSFacts) bool {
	return a != nil && b != nil && a.Subject == b.Subject && a.Issuer == b.Issuer && a.NotBefore.Equal(b.NotBefore) && a.NotAfter.Equal(b.NotAfter)
}

func failedType(f *facts) Type {
	if f.failed == nil {
		return ""
	}
	return f.failed.Type
}

// clockAgrees: a host of the service tells the time that we have.
func (f *facts) clockAgrees() bool {
	return anyOf(slices.Concat(f.backends, f.hops, []*Lane{f.front}), func(b *Lane) bool {
		theirs, ours, ok := b.clocks()
		return ok && theirs.Sub(ours).Abs() <= clockSlack
	})
}

// judgeTLSRefused: the peer answered with something that is no handshake, or declined ours.
func judgeTLSRefused(f *facts) *conclusion {
	if !f.at(StageTLS, TLSAlert, TLSProtocol, TLSStartTLS) && !f.at(StageRequest, TLSAlert) {
		return nil
	}
	layer, _ := f.culprit()
	cause := CauseTLSRefused
	if f.failed.Type == TLSProtocol {
		cause = CauseNotTLS
	}
	return down(fmt.Sprintf("front/%s: %s", f.failed.Stage, f.failed.Error), suspect(layer, cause))
}

// judgeEnded: the connection was taken and ended before the handshake was over. A balancer does so when nobody behind it
// takes the connection, a proxy when it is at a limit, a packet filter by a forged reset. A reset that is quick enough is
// seen by the connect already: one in answer to a SYN would have been a refusal.
func judgeEnded(f *facts) *conclusion {
	if !f.at(StageTLS) && !f.at(StageConnect, TCPReset) {
		return nil
	}
	because := fmt.Sprintf("front/%s: the connection was ended after %s, before the handshake was over",
		f.failed.Stage, seconds(f.failed.Duration.Std()))
	if dead := f.deadHop(); dead != nil {
		return down(because+"; "+title(dead)+" takes no connection itself",
			suspect(f.layerOf(dead.Role), CauseProcessDead), suspect(f.frontLayer(), CauseRefusesClients)).lean()
	}
	layer, same := f.culprit()
	filter := suspect(LayerNetwork, CauseFirewallReset)
	nearer, itself := f.resetBy()
	switch {
	case nearer:
		return down(because+" by a box that is nearer than the host: its reset arrives with a higher TTL than the host's packets", filter).
			agreed(f.heldReset() || f.heldServes())
	case itself:
		return down(because+", as it seems by the host itself: its reset arrives with the TTL of its other packets",
			suspect(layer, CauseRefusesClients), filter).lean()
	}
	c := down(because, suspect(layer, CauseRefusesClients))
	reset := f.failed.Type != TLSClosed && same == 0
	return c.also(reset, filter).lean()
}
