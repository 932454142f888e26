package probe

// standIn tells whether the address that the name should lead to serves when it is addressed directly.
func (f *facts) standIn() bool {
	return anyOf(f.hops, func(l *Lane) bool { return l.fine() })
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
