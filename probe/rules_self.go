package probe

import (
	"fmt"
	"time"
)

// judgePaused: this process did not run for a while. Deadlines fired late or beside their answers, so nothing that
// failed or took long in such a round means anything.
func judgePaused(f *facts) *conclusion {
	if len(f.now.Self.Gaps) == 0 || f.front.fine() && !f.front.slow() && (f.held == nil || f.heldServes()) {
		return nil
	}
	g := f.now.Self.Gaps[0]
	return ours(fmt.Sprintf("prober: %s for %s during this round", g.Reason, seconds(g.To.Sub(g.From))),
		suspect(LayerProber, CausePaused)).agreed(true)
}

var selfCauses = map[Type]Cause{
	SelfOutOfFiles: CauseOutOfFiles, SelfOutOfPorts: CauseOutOfPorts, SelfOutOfBuffers: CauseOutOfBuffers,
	SelfNoRoute: CauseNoRoute, SelfDenied: CauseLocalFirewall, SelfPaused: CausePaused, SelfStopped: CauseStopped,
	SelfFailed: CauseOwnDefect,
}

// judgeErrno: a system call failed before a packet left.
func judgeErrno(f *facts) *conclusion {
	if f.failed == nil || !f.failed.Type.Self() {
		return nil
	}
	others := 0
	for _, l := range f.lanesBut(f.front) {
		if s := failedStage(l); s != nil && s.Type == f.failed.Type {
			others++
		}
	}
	return ours("prober: "+f.failed.Error+" before a packet left", suspect(LayerProber, selfCauses[f.failed.Type])).agreed(others > 0)
}

// judgeLocalFirewall: this host itself does not let the packets out. The old connection's data stays in our own kernel
// although nothing is in flight and nothing was retransmitted; an ICMP error comes from our own address; or a SYN to this
// port that goes no further than the first router stays without a word, while one to another port is answered.
func judgeLocalFirewall(f *facts) *conclusion {
	own, network := suspect(LayerProber, CauseLocalFirewall), suspect(LayerNetwork, CausePortDropped)
	if icmp := f.failedICMP(); f.at(StageConnect) && icmp.ourselves(f.front) && (icmp.prohibited() || f.failed.Type == TCPRefused) {
		return ours("front/connect: the ICMP error was sent by this host itself: its own packet filter", own).agreed(true)
	}
	if !f.at(StageConnect, TCPTimedOut) {
		return nil
	}
	beside := f.heldAtFirstHop()
	switch {
	case f.heldBack():
		c := ours(fmt.Sprintf("heldopen: %d bytes wait in our own kernel, none in flight, none retransmitted: this host does not send them",
			f.heldInfo().NotSent), own)
		return c.agreed(beside).also(!beside, network).lean()
	case beside && f.heldWaits() && !f.heldUnheard() && !f.heldSilent():
		return ours("front/connect: a SYN that should reach the first router only stays unanswered on this port and is answered on another", own, network)
	}
	return nil
}

// heldAtFirstHop tells that a SYN to the front's port does not even reach the first router, while one to another port
// does: this host or that router drops it.
func (f *facts) heldAtFirstHop() bool {
	return f.firstHop(LookFirstHop) == hopSilent && f.firstHop(LookFirstHopBeside) == hopExpired
}

// clockSlack is the difference to an independent clock from which on ours is not trusted.
const clockSlack = 5 * time.Minute

// judgeClock: the certificate is outside its time by our clock and inside by the clock of a host behind the proxy.
func judgeClock(f *facts) *conclusion {
	if !f.at(StageTLS, TLSCertDate) || f.front.TLS == nil {
		return nil
	}
	for _, b := range f.backends {
		if b.HTTP == nil || b.HTTP.Date.IsZero() {
			continue
		}
		theirs, ours := b.HTTP.Date, b.Stages[len(b.Stages)-1].Ended()
		if theirs.Sub(ours).Abs() > clockSlack && theirs.After(f.front.TLS.NotBefore) && theirs.Before(f.front.TLS.NotAfter) {
			return ourClock(fmt.Sprintf("prober: our clock says %s, backend %s says %s, and by that the certificate is valid",
				stamp(ours), b.Hop, stamp(theirs)))
		}
	}
	return nil
}

func ourClock(because string) *conclusion {
	return ours(because, suspect(LayerProber, CauseClockWrong), suspect(LayerProxy, CauseCertExpired)).lean()
}

// judgeVantage: nothing at all answers us, not even hosts that have nothing to do with the target.
func judgeVantage(f *facts) *conclusion {
	if f.failed == nil || !f.at(StageConnect, TCPTimedOut, TCPUnreachable) && !f.at(StageResolve, DNSTimedOut, DNSUnreachable) {
		return nil
	}
	if len(f.vantage) == 0 || anyOf(f.vantage, (*Lane).answered) || anyOf(f.lanesBut(f.front), (*Lane).answered) {
		return nil
	}
	configured := anyOf(f.vantage, func(l *Lane) bool { return l.Role == RoleControl })
	gateway := anyOf(f.vantage, func(l *Lane) bool { return l.Role == RoleGateway && l.failedWith(TCPUnreachable, SelfNoRoute) })
	if !configured && !gateway {
		return nil // an unconfigured gateway that stays silent may just drop what is sent to it
	}
	return ours("vantage: no control answers either: the trouble is on our side or close to it",
		suspect(LayerProber, CauseVantageDown), suspect(LayerNetwork, CausePathDown)).lean()
}

// lanesBut are the lanes of the target that look from here and now, other than one and the vantage.
func (f *facts) lanesBut(x *Lane) (out []*Lane) {
	for i := range f.now.Lanes {
		if l := &f.now.Lanes[i]; l != x && l.Lane != LaneVantage && l.Lane != LaneHeldOpen {
			out = append(out, l)
		}
	}
	return out
}
