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
// unreachable, which packet filters send and listening hosts do not.
func judgeICMPRefused(f *facts) *conclusion {
	if !f.at(StageConnect, TCPRefused) || f.failed.TCPInfo == nil || f.failed.TCPInfo.State != tcpinfo.SynSent {
		return nil
	}
	return down("front/connect: refused by an ICMP error, not by a TCP reset: a packet filter answered",
		suspect(LayerNetwork, CauseFirewallReject), suspect(LayerHost, CauseFirewallReject)).lean()
}

// judgeRefused: an RST came back. The host's kernel sends it when nobody listens; a packet filter can forge it. The old
// connection tells: a process that ended closed it, a filter resets or spares it. A balancer refuses for others too: while
// nobody behind it serves it resets what is new, and it passes on the end of what it relayed.
func judgeRefused(f *facts) *conclusion {
	if !f.at(StageConnect, TCPRefused) {
		return nil
	}
	dead, filter := suspect(f.frontLayer(), CauseProcessDead), suspect(LayerNetwork, CauseFirewallReset)
	behind, refused := f.behindBalancer()
	switch {
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
	case f.heldReset():
		return down("front/connect: refused at once, and the old connection was reset", filter, dead)
	case f.heldServes():
		return down("front/connect: refused at once, while the old connection still serves: its process lives",
			filter, suspect(f.frontLayer(), CauseNotAccepting))
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
		p := newFacts(r, nil)
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
	hostDown, reject := suspect(LayerHost, CauseHostDown), suspect(LayerNetwork, CauseFirewallReject)
	switch {
	case up:
		return down(fmt.Sprintf("front/connect: %s after %s, while another port of the host answers", f.failed.Error, seconds(took)),
			reject, suspect(LayerHost, CauseFirewallReject)).lean()
	case f.failed.lookedFor() || f.notFoundBefore():
		return down(fmt.Sprintf("front/connect: %s after %s: the last router got no answer from the host", f.failed.Error, seconds(took)),
			hostDown, suspect(LayerNetwork, CausePathDown)).lean()
	}
	return down(fmt.Sprintf("front/connect: %s after %s: a router or packet filter on the way says so", f.failed.Error, seconds(took)),
		reject, hostDown).lean()
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
// began that way: the process is frozen and its accept queue is full.
func judgeQueueFull(f *facts) *conclusion {
	if !f.at(StageConnect, TCPTimedOut) || f.heldUnheard() {
		return nil
	}
	if f.heldSilent() {
		return down("heldopen: our request is acknowledged and unanswered, while new SYNs are dropped: the process is stuck and its accept queue full",
			suspect(f.frontLayer(), CauseFrozen), suspect(LayerNetwork, CauseReturnDropped)).lean()
	}
	if up, downToo := f.host(f.front); f.wasSilentBefore() && (up || !downToo) {
		return down("front: accepted and stayed silent at first, drops SYNs now: an accept queue that filled",
			suspect(f.frontLayer(), CauseFrozen), suspect(LayerNetwork, CausePortDropped)).lean()
	}
	return nil
}

// judgePortSilent: SYNs to this port are dropped while the host answers elsewhere.
func judgePortSilent(f *facts) *conclusion {
	if up, _ := f.host(f.front); !f.at(StageConnect, TCPTimedOut) || !up {
		return nil
	}
	full := suspect(f.frontLayer(), CauseQueueFull)
	switch {
	case f.heldUnheard():
		return down("front/connect: SYNs unanswered, the old connection's data not acknowledged, while another port of the host answers",
			suspect(LayerNetwork, CausePortDropped))
	case f.heldServes():
		return down("front/connect: SYNs unanswered, while the old connection serves and another port of the host answers",
			suspect(LayerNetwork, CauseNewDropped), full)
	}
	return down("front/connect: SYNs unanswered, while another port of the host answers", suspect(LayerNetwork, CausePortDropped), full)
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
