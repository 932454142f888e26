package probe

import (
	"fmt"
	"net/netip"
)

// standIn tells whether the address that the name should lead to serves when it is addressed directly.
func (f *facts) standIn() bool {
	return anyOf(f.hops, func(l *Lane) bool { return l.fine() })
}

// leastAsked is from how many questions on the share that had to be sent again says something.
const leastAsked = 6

// namesLate tells that the front's name was late in a way that users notice: its server is slow, or loses every third
// question. One question that had to be sent again happens on any path.
func (f *facts) namesLate() bool {
	s := f.front.stage(StageResolve)
	if s == nil || s.Outcome != Slow {
		return false
	}
	return s.resent() == 0 || f.namesLost() != nil
}

// namesLost is the name server of the target that left every third of the last rounds' questions unanswered; nil if
// there is none.
func (f *facts) namesLost() *Path {
	for i := range f.now.Paths {
		p := &f.now.Paths[i]
		if _, err := netip.ParseAddrPort(p.Host); err == nil && p.Tries >= leastAsked && 3*p.Resent >= p.Tries {
			return p // only a name server is named with its port
		}
	}
	return nil
}

// judgeSlowDNS: the name resolves, late, or too often at the second try only.
func judgeSlowDNS(f *facts) *conclusion {
	if !f.front.fine() || !f.namesLate() {
		return nil
	}
	s := f.front.stage(StageResolve)
	because := "front/resolve: answered after " + seconds(s.Duration.Std())
	p := f.namesLost()
	if s.resent() == 0 || p == nil {
		return degraded(because, suspect(LayerDNS, CauseSlow), suspect(LayerNetwork, CauseLoss)).lean()
	}
	return degraded(fmt.Sprintf("%s; server %s left %d of the last %d questions unanswered", because, p.Host, p.Resent, p.Tries),
		suspect(LayerDNS, CauseSlow), suspect(LayerNetwork, CauseLoss))
}

// judgeWrongAddress: the name resolves to an address outside the expected set. Where that address does not serve it is
// an outage; where it does, somebody should know.
func judgeWrongAddress(f *facts) *conclusion {
	if !f.at(StageResolve, DNSAddressChanged) {
		return nil
	}
	s := suspect(LayerDNS, CauseWrongAddress)
	for _, st := range f.front.Stages[1:] {
		if !st.Good() {
			return down("front/resolve: "+f.failed.Error+"; there, "+string(st.Stage)+" fails", s).agreed(f.standIn())
		}
	}
	return degraded("front/resolve: "+f.failed.Error+"; it serves", s)
}

// judgeDNSSilent: no server answered. Its host, its process and the path to it all look the same from here.
func judgeDNSSilent(f *facts) *conclusion {
	if !f.at(StageResolve, DNSTimedOut, DNSUnreachable) {
		return nil
	}
	cause := CauseTimedOut
	if f.failed.Type == DNSUnreachable {
		cause = CauseRefused
	}
	return down("front/resolve: "+f.failed.Error, suspect(LayerDNS, cause), suspect(LayerNetwork, CausePathDown)).lean()
}

var dnsCauses = map[Type]Cause{
	DNSNotResolved: CauseNameNotResolved, DNSFailed: CauseServerFailure, DNSRefused: CauseRefused, DNSInvalid: CauseInvalidAnswer,
}

// judgeDNSAnswer: a server answered, and not with an address.
func judgeDNSAnswer(f *facts) *conclusion {
	if !f.at(StageResolve) {
		return nil
	}
	return down("front/resolve: "+f.failed.Error, suspect(LayerDNS, or(dnsCauses[f.failed.Type], CauseUnknown))).agreed(f.standIn())
}
