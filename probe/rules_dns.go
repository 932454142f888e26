package probe

import (
	"fmt"
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
	return s.resent() == 0 || f.namesLost() != nil || f.namesFailed()
}

// namesFailed tells that no server answered in an earlier round of this incident, and one did since: what has to be sent
// again now is the same trouble, not the end of it.
func (f *facts) namesFailed() bool {
	failed, since := false, false
	for _, r := range f.past {
		l := frontLane(r)
		if l == nil {
			continue
		}
		now := l.failedWith(DNSTimedOut)
		failed, since = failed || now, failed && !now
	}
	return failed && since
}

// namesLost is the name server of the target that left every third of the last rounds' questions unanswered; nil if
// there is none.
func (f *facts) namesLost() *Path {
	for i := range f.now.Paths {
		p := &f.now.Paths[i]
		if p.Names && p.Tries >= leastAsked && 3*p.Resent >= p.Tries {
			return p
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
	switch {
	case s.resent() > 0 && p == nil:
		return degraded(because+", at the second try, and not at all before", suspect(LayerDNS, CauseSlow), suspect(LayerNetwork, CauseLoss))
	case p == nil || s.resent() == 0:
		return degraded(because, suspect(LayerDNS, CauseSlow), suspect(LayerNetwork, CauseLoss)).lean()
	}
	return degraded(fmt.Sprintf("%s; server %s left %d of the last %d questions unanswered", because, p.Address, p.Resent, p.Tries),
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

// judgeFormerServers: resolv.conf names other servers than it did when the name resolved; those of now are dead, and those
// of then answer.
func judgeFormerServers(f *facts) *conclusion {
	if !f.at(StageResolve, DNSTimedOut, DNSUnreachable) {
		return nil
	}
	l := f.nameLook(LookFormerServers)
	if l == nil || !l.fine() {
		return nil
	}
	return ours(fmt.Sprintf("prober: %s; %s, which resolv.conf named before, answers", f.failed.Error, l.Address),
		suspect(LayerProber, CauseResolverConfig)).agreed(true)
}

// judgeDNSSilent: no server answered. Its host, its process and the way to it all look the same over UDP; the same
// question over TCP, and another one, tell more.
func judgeDNSSilent(f *facts) *conclusion {
	if !f.at(StageResolve, DNSTimedOut) {
		return nil
	}
	because := "front/resolve: " + f.failed.Error
	silent, path := suspect(LayerDNS, CauseTimedOut), suspect(LayerNetwork, CausePathDown)
	tcp := f.nameLook(LookDNSOverTCP)
	switch {
	case tcp == nil && !f.namesHeard():
		return down(because, silent, path).lean()
	case tcp != nil && tcp.tookQuestion():
		return f.judgeQuestionTaken(because, tcp)
	case f.namesHeard():
		return down(because+"; other questions are answered", silent, suspect(LayerNetwork, CauseLoss))
	case tcp.heardAnswer():
		return down(because+"; over TCP "+tcp.Address+" answers: datagrams are dropped, or its process takes none",
			suspect(LayerNetwork, CausePortDropped), silent)
	case tcp.answered() && tcp.stage(StageConnect).Good():
		return down(because+"; over TCP "+tcp.Address+" takes the connection and not the question",
			suspect(LayerNetwork, CauseDataDropped), silent)
	case tcp.answered():
		return down(because+"; TCP to the same port is refused: the host is there", silent, suspect(LayerNetwork, CausePortDropped)).lean()
	}
	c := down(because+"; TCP to "+tcp.Address+" does no better ("+tcp.outcome()+")", silent, path)
	if system := f.nameLook(LookSystemResolver); system != nil {
		c.because += orNothing("; the system's servers: ", system.outcome())
		return c.also(system.failedWith(DNSTimedOut, DNSUnreachable), suspect(LayerProber, CauseVantageDown))
	}
	return c
}

// judgeQuestionTaken: the server's kernel has the question and its process does not answer it. When it does answer another
// one, it waits for somebody else.
func (f *facts) judgeQuestionTaken(because string, tcp *Lane) *conclusion {
	silent := suspect(LayerDNS, CauseTimedOut)
	because += "; over TCP " + tcp.Address + " takes the question and does not answer either"
	other := f.nameLook(LookOtherName)
	if f.namesHeard() {
		return down(because+", while it answers others: it waits for what it asks itself, or answers only some", silent)
	}
	lossless := tcp.Stages[len(tcp.Stages)-1].TCPInfo.Timeouts() == 0
	return down(because+": its process hangs", silent).agreed(lossless && other != nil && other.failedWith(DNSTimedOut))
}

// judgeDNSUnreachable: an ICMP error came back for the question. From the server itself it says that nobody listens, from
// another that it is a packet filter's or the last router's word.
func judgeDNSUnreachable(f *facts) *conclusion {
	if !f.at(StageResolve, DNSUnreachable) {
		return nil
	}
	because := "front/resolve: " + f.failed.Error
	refused, reject := suspect(LayerDNS, CauseRefused), suspect(LayerNetwork, CauseFirewallReject)
	tcp, icmp := f.nameLook(LookDNSOverTCP), f.failed.ICMP
	server := ""
	if tcp != nil {
		server = hostOf(tcp.Address)
	}
	own := icmp != nil && server != "" && icmp.From == server
	alien := icmp != nil && server != "" && icmp.From != "" && !icmp.Local && !own
	switch {
	case f.failed.Errno == "EHOSTUNREACH" || f.failed.Errno == "ENETUNREACH":
		return down(because, suspect(LayerDNS, CauseTimedOut), suspect(LayerNetwork, CausePathDown)).lean()
	case alien:
		return down(because+"; "+icmp.From+" said so, and not the server: a packet filter", reject, refused).lean()
	case f.failed.Errno == "EACCES": // administratively prohibited
		return down(because, reject, refused).lean()
	case own && tcp.failedWith(TCPRefused) && tcp.answered():
		return down(because+"; the server's host itself says so, of TCP too: nobody listens", refused).agreed(true)
	}
	return down(because, refused, reject).lean()
}

var dnsCauses = map[Type]Cause{
	DNSNotResolved: CauseNameNotResolved, DNSFailed: CauseServerFailure, DNSRefused: CauseRefused, DNSInvalid: CauseInvalidAnswer,
}

// judgeDNSAnswer: a server answered, and not with an address. The same word over TCP is a second witness. A name that never
// resolved here, and does at the system's servers, may as well be asked of the wrong ones.
func judgeDNSAnswer(f *facts) *conclusion {
	if !f.at(StageResolve) {
		return nil
	}
	typ := f.failed.Type
	because := "front/resolve: " + f.failed.Error
	if other := f.nameLook(LookOtherName); other != nil && typ != DNSNotResolved && other.heardAnswer() && !other.failedWith(typ) {
		because += "; another question is answered: the trouble is this name's zone, or whom the server asks for it"
	}
	tcp, system := f.nameLook(LookDNSOverTCP), f.nameLook(LookSystemResolver)
	c := down(because, suspect(LayerDNS, or(dnsCauses[typ], CauseUnknown)))
	c.agreed(f.standIn() || tcp != nil && tcp.failedWith(typ))
	return c.also(typ == DNSInvalid && tcp != nil && tcp.fine(), suspect(LayerNetwork, CauseDataDropped)).
		also(!f.standIn() && !f.served(f.front) && system != nil && system.fine(), suspect(LayerProber, CauseResolverConfig))
}

// nameLook is the newest look of a kind at the name servers: of this round, or of an earlier one since the name resolved
// last, because not every round looks. nil if there is none.
func (f *facts) nameLook(k Look) *Lane {
	for _, l := range f.looks {
		if l.Look == k {
			return l
		}
	}
	for _, l := range f.pastNameLooks() {
		if l.Look == k {
			return l
		}
	}
	return nil
}

// resolved tells that the front's name resolved in a round.
func resolved(r *Result) bool {
	l := frontLane(r)
	if l == nil {
		return false
	}
	s := l.stage(StageResolve)
	return s != nil && s.Good()
}

// namesHeard: the name servers answer some questions over UDP: one address family's, another name's, or in between.
func (f *facts) namesHeard() bool {
	if other := f.nameLook(LookOtherName); len(f.failed.Asked) > 0 || other != nil && other.heardAnswer() {
		return true
	}
	failed := false
	for _, r := range f.past {
		if ok := resolved(r); ok && failed {
			return true
		} else if !ok {
			failed = true
		}
	}
	return false
}

// heardAnswer tells that a look at a name server got an answer, whatever it says.
func (l *Lane) heardAnswer() bool {
	s := l.stage(StageResolve)
	return s != nil && (s.Good() || s.Type == DNSNotResolved || s.Type == DNSFailed || s.Type == DNSRefused)
}

// tookQuestion tells that the question arrived over TCP and stayed unanswered: the peer's kernel acknowledged it, or the
// peer hung up.
func (l *Lane) tookQuestion() bool {
	s := l.stage(StageResolve)
	return s != nil && s.Outcome == Failed && (s.Type == DNSInvalid || s.Type == DNSTimedOut && s.TCPInfo.AckedAll())
}

// outcome says in a word how a look ended.
func (l *Lane) outcome() string {
	if s := failedStage(l); s != nil {
		return s.Error
	}
	return "answer"
}
