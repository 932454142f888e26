package probe

import (
	"fmt"
	"slices"
)

// established tells that the front's connection stood when it failed with a timeout.
func (f *facts) stalled() bool {
	return f.at(StageTLS, TLSTimedOut) || f.at(StageRequest, HTTPTimedOut, AppTimedOut) || f.at(StageResponse, HTTPBodyStalled)
}

// judgeDataDropped: the handshake of TCP passed, our data is not acknowledged, and timers fired for it: the kernel at
// the far end does not get it. A listener whose queue overflowed in the middle of the handshake looks the same; there
// the old connection's data is acknowledged.
func judgeDataDropped(f *facts) *conclusion {
	if !f.stalled() || !f.failed.TCPInfo.Unheard() {
		return nil
	}
	i := f.failed.TCPInfo
	because := fmt.Sprintf("front/%s: %d of %d bytes acknowledged, %d retransmission timeouts: our data does not arrive",
		f.failed.Stage, i.BytesAcked, i.BytesSent, i.Timeouts())
	if f.heldSilent() {
		return down(because, suspect(f.frontLayer(), CauseFrozen), suspect(LayerNetwork, CauseDataDropped))
	}
	cause := CauseDataDropped
	if i.BytesReceived > 0 {
		cause = CauseLoss
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
// looks alike from here, unless the old connection still serves.
func judgeTLSSilent(f *facts) *conclusion {
	if !f.at(StageTLS, TLSTimedOut) {
		return nil
	}
	layer, same := f.culprit()
	back := suspect(LayerNetwork, CauseReturnDropped)
	i := f.failed.TCPInfo
	switch {
	case i == nil:
		return down("front/tls: connected, no reply to our ClientHello", suspect(layer, CauseFrozen), back).lean()
	case f.heldServes() && same == 0:
		return down(acked(f.failed)+", while the old connection serves", suspect(layer, CauseNotAccepting))
	case i.Timeouts() > 0 || i.BytesReceived > 0:
		return down(fmt.Sprintf("front/tls: the handshake stopped after %d bytes, %d retransmission timeouts", i.BytesReceived, i.Timeouts()),
			suspect(LayerNetwork, CauseLoss), suspect(layer, CauseSlow))
	}
	return down(acked(f.failed), suspect(layer, CauseFrozen), back).lean()
}

var certCauses = map[Type]Cause{
	TLSCertDate: CauseCertExpired, TLSCertName: CauseCertName, TLSCertAuthority: CauseCertAuthority, TLSCertInvalid: CauseCertInvalid,
}

// judgeCertificate: the handshake showed a certificate that we do not accept. Our own clock and our own roots are
// cleared by another host's clock, and by nothing from here.
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
	}
	return c
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
		return b.HTTP != nil && !b.HTTP.Date.IsZero() && b.HTTP.Date.Sub(b.Stages[len(b.Stages)-1].Ended()).Abs() <= clockSlack
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
	c := down(because, suspect(layer, CauseRefusesClients))
	reset := f.failed.Type != TLSClosed && !f.heldServes() && same == 0
	return c.also(reset, suspect(LayerNetwork, CauseFirewallReset)).lean()
}
