package probe

import (
	"fmt"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// judgeForwardProxy: the forward proxy on our way out did not open the tunnel.
func judgeForwardProxy(f *facts) *conclusion {
	if !f.at(StageConnect, ForwardProxyFailed) {
		return nil
	}
	return down("front/connect: "+f.failed.Error, suspect(LayerNetwork, CauseForwardProxy), suspect(f.frontLayer(), CauseUnknown)).lean()
}

// judgeICMPRefused: refused, but the socket is still in SYN_SENT: an RST would have closed it, so this was an ICMP port
// unreachable, which packet filters send and listening hosts do not. Who sent it stands in the error queue.
func judgeICMPRefused(f *facts) *conclusion {
	icmp := f.failedICMP()
	if !f.at(StageConnect, TCPRefused) || icmp == nil && (f.failed.TCPInfo == nil || f.failed.TCPInfo.State != tcpinfo.SynSent) {
		return nil
	}
	return f.rejected("front/connect: refused by an ICMP error, not by a TCP reset: a packet filter answered")
}

// failedICMP is the ICMP error that ended the front's stage.
func (f *facts) failedICMP() *ICMP {
	if f.failed == nil {
		return nil
	}
	return f.failed.ICMP
}

// rejected concludes that a packet filter answered: the host's own, when the message came from its address, else one on
// the way. Another port of the host that answers is a second witness: the host lives.
func (f *facts) rejected(because string) *conclusion {
	network, host := suspect(LayerNetwork, CauseFirewallReject), suspect(LayerHost, CauseFirewallReject)
	up, _ := f.host(f.front)
	switch icmp := f.failedICMP(); {
	case icmp == nil || icmp.From == "":
		return down(because, network, host).lean()
	case icmp.From == hostOf(f.front.Address):
		return down(because+fmt.Sprintf("; it came from %s itself", icmp.From), host)
	default:
		return down(because+fmt.Sprintf("; it came from %s", icmp.From), network).agreed(up)
	}
}

// judgeRefused: an RST came back. The host's kernel sends it when nobody listens; a packet filter can forge it. The old
// connection tells: a process that ended closed it, a filter resets or spares it. A balancer refuses for others too: while
// nobody behind it serves it resets what is new, and it passes on the end of what it relayed.
func judgeRefused(f *facts) *conclusion {
	if !f.at(StageConnect, TCPRefused) {
		return nil
	}
	dead, filter := suspect(f.frontLayer(), CauseProcessDead), suspect(LayerNetwork, CauseFirewallReset)
	nearer, itself := f.resetBy()
	behind, refused := f.behindBalancer()
	switch {
	case f.firstHop(LookFirstHop) == hopRefused && (nearer || f.firstHop(LookFirstHopBeside) == hopExpired):
		return down("front/connect: refused at once, even a SYN that goes no further than the first router: "+
			"that router, or this host itself, answers in the host's name", filter, suspect(LayerProber, CauseLocalFirewall))
	case nearer:
		return down("front/connect: refused by a box that is nearer than the host: its reset arrives with a higher TTL than the host's packets", filter).
			agreed(f.heldServes()).also(f.heldClosed() || f.heldReset(), dead).lean()
	case refused:
		return down("front/connect: refused at once, and no hop behind the balancer serves when addressed directly",
			behind, dead, filter).lean()
	case f.heldClosed() && f.frontLayer() == LayerBalancer:
		return down("front/connect: refused at once, and the old connection was closed in good order", dead,
			suspect(LayerProxy, CauseUnknown), suspect(LayerBackend, CauseUnknown)).lean()
	case f.heldClosed() && f.servedWhileRefused():
		return down("front/connect: refused at once, and at first the old connection still served: its process lived",
			filter, dead)
	case f.heldClosed():
		return down("front/connect: refused at once, and the old connection was closed in good order: its process ended", dead).agreed(true)
	case f.heldReset() && itself:
		return down("front/connect: refused, as it seems by the host itself, and the old connection was reset", dead, filter).lean()
	case f.heldReset():
		return down("front/connect: refused at once, and the old connection was reset", filter, dead)
	case f.heldServes() && itself:
		return down("front/connect: refused, as it seems by the host itself, while the old connection still serves: its process lives and no longer listens",
			suspect(f.frontLayer(), CauseNotAccepting), filter).lean()
	case f.heldServes():
		return down("front/connect: refused at once, while the old connection still serves: its process lives",
			filter, suspect(f.frontLayer(), CauseNotAccepting))
	case itself:
		return down("front/connect: refused, as it seems by the host itself: its reset arrives with the TTL of its other packets", dead, filter).lean()
	}
	return down("front/connect: refused at once: nobody listens there, or a packet filter says so", dead, filter).lean()
}

// behindBalancer is who makes a balancer refuse, when none of the hops behind it serves.
func (f *facts) behindBalancer() (Suspect, bool) {
	if f.frontLayer() != LayerBalancer || !all(f.hops, f.accuses) {
		return Suspect{}, false
	}
	dead := f.deadHop()
	switch {
	case dead != nil && dead.answered():
		return suspect(f.layerOf(dead.Role), CauseProcessDead), true
	case dead == nil && len(f.brokenBackends()) > 0:
		return suspect(LayerBackend, CauseUnknown), true
	}
	return suspect(f.layerOf(f.hops[len(f.hops)-1].Role), CauseUnknown), true
}

// servedWhileRefused: in an earlier round of this incident new connections were refused and the old one served.
func (f *facts) servedWhileRefused() bool {
	return slices.ContainsFunc(f.past, func(r *Result) bool {
		p := glance(r)
		return p.at(StageConnect, TCPRefused) && p.heldServes()
	})
}

// arpFailure is the time after which the last router gives a neighbour up: three tries a second apart (RFC 4861, 10,
// and net.ipv4.neigh.*.mcast_solicit). An unreachable that takes so long comes from beside the host.
const arpFailure = 2500 * time.Millisecond

// judgeUnreachable: an ICMP unreachable. At once it is somebody's policy or a missing route; after seconds the last
// router did not find the host.
func judgeUnreachable(f *facts) *conclusion {
	if !f.at(StageConnect, TCPUnreachable, TCPFailed) {
		return nil
	}
	up, _ := f.host(f.front)
	took := f.failed.Duration.Std()
	because := fmt.Sprintf("front/connect: %s after %s", f.failed.Error, seconds(took))
	hostDown := suspect(LayerHost, CauseHostDown)
	switch icmp := f.failedICMP(); {
	case icmp.prohibited():
		return f.rejected(because + ": somebody's policy")
	case up:
		return f.rejected(because + ", while another port of the host answers")
	case f.failed.lookedFor() || f.notFoundBefore():
		return down(because+": the last router got no answer from the host"+from(icmp), hostDown, suspect(LayerNetwork, CausePathDown)).lean()
	}
	return down(because+": a router or packet filter on the way says so"+from(f.failedICMP()),
		suspect(LayerNetwork, CauseFirewallReject), hostDown).lean()
}

// from names the sender of an ICMP error.
func from(i *ICMP) string {
	if i == nil || i.From == "" {
		return ""
	}
	return " (told by " + i.From + ")"
}

// policyAnswer is the time within which a router that forbids something answers even over a long way.
const policyAnswer = 500 * time.Millisecond

// lookedFor: a router tried to find the host before it said that it is unreachable: it took the time of all its tries,
// or, joining a search that was under way, answered our first SYN late.
func (s *Stage) lookedFor() bool {
	took := s.Duration.Std()
	return took >= arpFailure || took >= policyAnswer && s.TCPInfo != nil && s.TCPInfo.TotalRetrans == 0
}

// notFound: the last router did not find the front's host when this lane connected to it.
func (f *facts) notFound(l *Lane) bool {
	s := failedStage(l)
	return s != nil && s.Type == TCPUnreachable && hostOf(l.Address) == hostOf(f.front.Address) && s.lookedFor()
}

// notFoundBefore: an earlier round of this incident heard so. A later answer may come sooner, when the router was
// already looking.
func (f *facts) notFoundBefore() bool {
	return slices.ContainsFunc(f.past, func(r *Result) bool {
		for i := range r.Lanes {
			if f.notFound(&r.Lanes[i]) {
				return true
			}
		}
		return false
	})
}

// judgeQueueFull: SYNs are dropped, but the old connection's data is acknowledged and unanswered, or the incident
// began that way: the process is frozen and its accept queue is full. A filter that drops what comes back would drop the
// acknowledgements of the old connection too.
func judgeQueueFull(f *facts) *conclusion {
	if !f.at(StageConnect, TCPTimedOut) || f.heldUnheard() {
		return nil
	}
	frozen := suspect(f.frontLayer(), CauseFrozen)
	up, downToo := f.host(f.front)
	switch before := f.wasSilentBefore(); {
	case f.heldSilent() && before:
		return down("heldopen: our request is acknowledged and unanswered; new connections were taken and stayed silent at first, "+
			"and are dropped now: the process is stuck and its accept queue has filled", frozen).agreed(true)
	case f.heldSilent():
		return down("heldopen: our request is acknowledged and unanswered, while new SYNs are dropped: the process is stuck and its accept queue full",
			frozen, suspect(LayerNetwork, CauseReturnDropped)).lean()
	case before && (up || !downToo):
		return down("front: accepted and stayed silent at first, drops SYNs now: an accept queue that filled",
			frozen, suspect(LayerNetwork, CausePortDropped)).lean()
	}
	return nil
}

// judgePortSilent: SYNs to this port are dropped while the host answers elsewhere, or on an old connection.
func judgePortSilent(f *facts) *conclusion {
	if up, _ := f.host(f.front); !f.at(StageConnect, TCPTimedOut) || !up {
		return nil
	}
	dropped, full := suspect(LayerNetwork, CausePortDropped), suspect(f.frontLayer(), CauseQueueFull)
	switch {
	case f.heldUnheard():
		return down("front/connect: SYNs unanswered, the old connection's data not acknowledged, while the host answers otherwise", dropped)
	case f.heldServes():
		return down("front/connect: SYNs unanswered, while the old connection serves: only new connections are dropped",
			suspect(LayerNetwork, CauseNewDropped), full)
	}
	return down("front/connect: SYNs unanswered, while another port of the host answers", dropped, full).
		also(f.heldAtFirstHop(), suspect(LayerProber, CauseLocalFirewall))
}

// judgeHostSilent: nothing at all comes from the host.
func judgeHostSilent(f *facts) *conclusion {
	if !f.at(StageConnect) || f.at(StageConnect, TCPReset) {
		return nil
	}
	hostDown, path := suspect(LayerHost, CauseHostDown), suspect(LayerNetwork, CausePathDown)
	for _, l := range f.lanesBut(f.front) {
		if s := failedStage(l); f.notFound(l) {
			return down(fmt.Sprintf("%s: %s after %s: the last router got no answer from the host", title(l), s.Error, seconds(s.Duration.Std())),
				hostDown, path).lean()
		}
	}
	if f.notFoundBefore() {
		return down("front/connect: SYNs unanswered; the last router said before that it got no answer from the host", hostDown, path).lean()
	}
	_, downToo := f.host(f.front)
	c := down("front/connect: SYNs unanswered, and nothing else of the host answers", path, hostDown)
	if !downToo {
		c = down("front/connect: SYNs unanswered; no other port of the host is looked at", path, hostDown)
	}
	return c.also(!downToo && !f.heldUnheard(), suspect(f.frontLayer(), CauseQueueFull))
}
