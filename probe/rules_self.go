package probe

import (
	"fmt"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// judgePaused: this process did not run for a while. Deadlines fired late or beside their answers, so nothing that
// failed or took long in such a round means anything. That users were served still holds.
func judgePaused(f *facts) *conclusion {
	if len(f.now.Self.Gaps) == 0 {
		return nil
	}
	if f.front.fine() && !f.front.slow() && (f.held == nil || f.heldServes()) {
		return f.notice()
	}
	g := f.now.Self.Gaps[0]
	return ours(fmt.Sprintf("prober: %s for %s during this round", g.Reason, seconds(g.To.Sub(g.From))),
		suspect(LayerProber, CausePaused)).agreed(true)
}

// judgeStarved: this process was kept from running for a good part of the round, in slices too small for a pause. Its
// deadlines count, but what it should have said or heard by then was late by its own fault. What the kernel saw, which
// needs no CPU of ours, holds all the same.
func judgeStarved(f *facts) *conclusion {
	s := f.failed
	if s == nil {
		s = f.slowest()
	}
	if s == nil || s.Good() && s.resent() > 0 || s.Outcome == Failed && !s.timedOut() || s.peerSilent() {
		return nil
	}
	starved, round := f.now.Self.Starved.Std(), f.now.Ended.Sub(f.now.Started)
	if 4*starved < s.Duration.Std() || 4*starved < round || starved < leastStarved {
		return nil
	}
	return ours(fmt.Sprintf("prober: this process was ready to run and was kept from it for %s of the round's %s, so its times say nothing",
		seconds(starved), seconds(round)), suspect(LayerProber, CauseStarved)).agreed(true)
}

// slowest is the front's slow stage that took longest; nil if there is none.
func (f *facts) slowest() (longest *Stage) {
	for i := range f.front.Stages {
		if s := &f.front.Stages[i]; s.Outcome == Slow && (longest == nil || s.Duration > longest.Duration) {
			longest = s
		}
	}
	return longest
}

// leastStarved is the least time without CPU that can excuse anything.
const leastStarved = 200 * time.Millisecond

// timedOut tells that it was our own deadline that ended the stage.
func (s *Stage) timedOut() bool {
	switch s.Type {
	case DNSTimedOut, TCPTimedOut, TLSTimedOut, HTTPTimedOut, HTTPBodyStalled, AppTimedOut, ForwardProxyFailed:
		return true
	}
	return false
}

// peerSilent tells that our kernel, which runs beside us, waited in vain for the better part of the stage: for an answer to
// a SYN or to data that it sent again, or for data of a peer whose kernel had ours long since.
func (s *Stage) peerSilent() bool {
	i := s.TCPInfo
	if i == nil || s.Good() {
		return false
	}
	half := uint32(s.Duration.Std().Milliseconds() / 2)
	return i.State == tcpinfo.SynSent && i.TotalRetrans > 0 || i.Unheard() ||
		i.AckedAll() && i.LastAckRecv >= half && (i.LastDataRecv == 0 || i.LastDataRecv >= half)
}

// judgeNoCarrier: the interface through which the front, or its name server, is reached has no link.
func judgeNoCarrier(f *facts) *conclusion {
	links := f.now.Self.Links
	if len(links) == 0 || !f.at(StageConnect, TCPTimedOut, TCPUnreachable) && !f.at(StageResolve, DNSTimedOut, DNSUnreachable) {
		return nil
	}
	return ours(fmt.Sprintf("prober: this host's interface %s, which leads there, is up and has no carrier", strings.Join(links, ", ")),
		suspect(LayerProber, CauseNoCarrier)).agreed(true)
}

// judgeNotice: nothing is wrong with the target, and something should be known about the prober.
func judgeNotice(f *facts) *conclusion {
	if c := f.notice(); c != nil && judgeUp(f) != nil {
		return c
	}
	return nil
}

// judgeNoticeBeside is the same for a target whose side lanes are closed to us.
func judgeNoticeBeside(f *facts) *conclusion {
	if c := f.notice(); c != nil && judgeSideLane(f) != nil {
		return c
	}
	return nil
}

// notice is what should be known about the prober although the target is fine: times of which nothing is known, and that
// what this host has to tell may not get out.
func (f *facts) notice() *conclusion {
	self := &f.now.Self
	if gaps := append(self.Recent[:len(self.Recent):len(self.Recent)], self.Gaps...); len(gaps) > 0 {
		g := gaps[len(gaps)-1]
		return &conclusion{state: Up, witnesses: 2, suspects: []Suspect{{LayerProber, CausePaused}}, because: fmt.Sprintf(
			"the target is fine now; this prober did not run from %s to %s (%s), nothing is known of that time", stamp(g.From), stamp(g.To), g.Reason)}
	}
	if t := self.Resolver; t != nil {
		return &conclusion{state: Up, witnesses: 2, suspects: []Suspect{{LayerProber, CauseResolverConfig}}, because: fmt.Sprintf(
			"prober: %s of resolv.conf has not answered since %s (%s, asked for %s), while the configured name servers do: "+
				"probing uses those and is not touched; alerts that need names may not get out",
			strings.Join(t.Servers, ", "), stamp(t.Since), t.Error, t.Name)}
	}
	return nil
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
		theirs, ours, ok := b.clocks()
		if ok && theirs.Sub(ours).Abs() > clockSlack && theirs.After(f.front.TLS.NotBefore) && theirs.Before(f.front.TLS.NotAfter) {
			return ourClock(fmt.Sprintf("prober: our clock says %s, backend %s says %s, and by that the certificate is valid",
				stamp(ours), b.Hop, stamp(theirs)))
		}
	}
	return nil
}

func ourClock(because string) *conclusion {
	return ours(because, suspect(LayerProber, CauseClockWrong), suspect(LayerProxy, CauseCertExpired)).lean()
}

// judgeVantage: nothing at all answers us, not even hosts that have nothing to do with the target. One other target that
// is served shows that it is not us.
func judgeVantage(f *facts) *conclusion {
	if f.failed == nil || !f.at(StageConnect, TCPTimedOut, TCPUnreachable) && !f.at(StageResolve, DNSTimedOut, DNSUnreachable) {
		return nil
	}
	if anyOf(f.vantage, (*Lane).answered) || anyOf(f.lanesBut(f.front), (*Lane).answered) {
		return nil
	}
	others := f.now.Self.Others
	if others != nil && others.Failing < others.Targets {
		return nil
	}
	configured := anyOf(f.vantage, func(l *Lane) bool { return l.Role == RoleControl })
	gateway := anyOf(f.vantage, func(l *Lane) bool {
		return l.Role == RoleGateway && (l.failedWith(TCPUnreachable, SelfNoRoute) || !l.Served.IsZero())
	})
	alone := others == nil || others.Targets < leastOthers
	if !configured && !gateway && alone {
		return nil // an unconfigured gateway that stays silent may just drop what is sent to it
	}
	because := "vantage: no control answers either: the trouble is on our side or close to it"
	if !alone {
		because = fmt.Sprintf("vantage: nothing answers, and none of %d targets in other networks does either: the trouble is on our side or close to it",
			others.Targets)
	}
	return ours(because, suspect(LayerProber, CauseVantageDown), suspect(LayerNetwork, CausePathDown)).lean()
}

// leastOthers is how many other networks must fail at the same time to accuse what they share with us.
const leastOthers = 2

// lanesBut are the lanes of the target that look from here and now, other than one and the vantage.
func (f *facts) lanesBut(x *Lane) []*Lane {
	out := make([]*Lane, 0, len(f.now.Lanes))
	for i := range f.now.Lanes {
		if l := &f.now.Lanes[i]; l != x && l.Look == "" && l.Lane != LaneVantage && l.Lane != LaneHeldOpen {
			out = append(out, l)
		}
	}
	return out
}

// otherTargets says how targets in other networks do at the same time.
func (f *facts) otherTargets() string {
	o := f.now.Self.Others
	switch {
	case o == nil:
		return ""
	case o.Failing == 0:
		return fmt.Sprintf("vantage: other targets answer meanwhile (%d looked at)", o.Targets)
	}
	return fmt.Sprintf("vantage: of %d other targets %d do not answer either", o.Targets, o.Failing)
}
