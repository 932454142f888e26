package probe

import (
	"fmt"
	"time"
)

// exchanging tells that the front failed at its request or response.
func (f *facts) exchanging() bool { return f.at(StageRequest) || f.at(StageResponse) }

// judgeBalancerOnly: the hops behind the front serve when addressed directly, as do the backends; only what stands at
// the front's address does not.
func judgeBalancerOnly(f *facts) *conclusion {
	if !f.exchanging() || f.frontLayer() != LayerBalancer || !all(f.hops, (*Lane).fine) {
		return nil
	}
	return down("front: fails, while every hop behind it serves when addressed directly",
		suspect(LayerBalancer, CauseNotRelaying), suspect(LayerNetwork, CauseDataDropped)).lean()
}

// brokenBackends are the backends whose own lane fails now and did not always.
func (f *facts) brokenBackends() (out []*Lane) {
	for _, b := range f.backends {
		if f.accuses(b) {
			out = append(out, b)
		}
	}
	return out
}

// judgeBackendHost: the backend's host does not answer us either, on any port.
func judgeBackendHost(f *facts) *conclusion {
	if !f.exchanging() {
		return nil
	}
	for _, b := range f.brokenBackends() {
		up, downToo := f.host(b)
		if b.failedWith(TCPTimedOut, TCPUnreachable, TCPFailed) && downToo && !up {
			return down(fmt.Sprintf("%s: no answer on any port of its host", title(b)),
				suspect(LayerBackend, CauseHostDown), suspect(LayerLink, CauseLinkDown), suspect(LayerNetwork, CausePathDown)).lean()
		}
	}
	return nil
}

// judgeBackendRefused: nobody listens at the backend, and the proxy says that it got no answer there.
func judgeBackendRefused(f *facts) *conclusion {
	if !f.exchanging() {
		return nil
	}
	for _, b := range f.brokenBackends() {
		if !b.failedWith(TCPRefused) || !b.answered() {
			continue
		}
		ended := f.failed.Type == HTTPReset || f.failed.Type == HTTPClosed || f.unreached()
		return down(fmt.Sprintf("%s: refused when addressed directly", title(b)), suspect(LayerBackend, CauseProcessDead)).
			agreed(ended && len(f.backends) == 1 && f.served(b))
	}
	return nil
}

// backendCauses names what a backend does that fails in this way.
var backendCauses = map[Type]Cause{
	HTTPTimedOut: CauseNoAnswer, AppTimedOut: CauseNoAnswer, HTTPClosed: CauseCloses, HTTPReset: CauseCloses, AppClosed: CauseCloses,
	AppReset: CauseCloses, HTTPStatus: CauseErrorStatus, HTTPBodyStalled: CauseBodyStalled, HTTPBodyTruncated: CauseBodyTruncated,
	HTTPExpectation: CauseWrongContent, AppExpectation: CauseWrongContent, HTTPInvalid: CauseNotHTTP,
}

// judgeBackendSame: the backend fails past the proxy too, once it has taken the connection.
func judgeBackendSame(f *facts) *conclusion {
	if !f.exchanging() {
		return nil
	}
	for _, b := range f.brokenBackends() {
		s := failedStage(b)
		cause, ok := backendCauses[s.Type]
		if !ok {
			continue
		}
		if cause == CauseNoAnswer {
			cause = f.silence(b)
		}
		alike := s.Type == f.failed.Type && (s.Type != HTTPStatus || sameStatus(b, f.front)) ||
			cause == CauseCloses && backendCauses[f.failed.Type] == CauseCloses
		c := down(fmt.Sprintf("%s: fails at %s when addressed directly, %s", title(b), s.Stage, s.Error), suspect(LayerBackend, cause))
		if len(f.brokenBackends()) < len(f.backends) {
			c.suspects[0].Cause = CausePartial
			return c
		}
		return c.agreed(alike && f.served(b))
	}
	return nil
}

func sameStatus(a, b *Lane) bool {
	return a.HTTP != nil && b.HTTP != nil && a.HTTP.Status == b.HTTP.Status
}

// unreached tells that the front's status is one that a proxy gives for a backend which it does not reach (RFC 9110,
// 15.6).
func (f *facts) unreached() bool {
	return f.at(StageResponse, HTTPStatus) && f.front.HTTP != nil && f.front.HTTP.Status >= 502 && f.front.HTTP.Status <= 504
}

// frozenAfter is how long a request must stay unanswered to be more than slow.
const frozenAfter = 10 * time.Second

// silence says what a backend's silence is: slow when a late answer came, frozen when nothing came for long, and until
// then just no answer.
func (f *facts) silence(b *Lane) Cause {
	if f.lateBackend() {
		return CauseSlow
	}
	for _, r := range f.past {
		for i := range r.Lanes {
			l := &r.Lanes[i]
			if l.Lane == LaneBackend && l.Hop == b.Hop && l.failedWith(HTTPTimedOut, AppTimedOut) {
				if f.now.Ended.Sub(failedStage(l).Started) >= frozenAfter {
					return CauseFrozen
				}
				return CauseNoAnswer
			}
		}
	}
	return CauseNoAnswer
}

// lateBackend: an answer of a backend came after its time: slow, not lost.
func (f *facts) lateBackend() bool {
	for _, r := range append(f.past[max(0, len(f.past)-10):len(f.past):len(f.past)], f.now) {
		for _, l := range r.Late {
			if l.OK && l.Lane == LaneBackend {
				return true
			}
		}
	}
	return false
}

// backendsFine: every backend serves past the proxy.
func (f *facts) backendsFine() bool { return all(f.backends, (*Lane).fine) }

// judgeLinkSilent: the proxy took the request, the backend serves past it, and no answer comes: the proxy does not
// reach the backend, or does not pass on.
func judgeLinkSilent(f *facts) *conclusion {
	if !f.backendsFine() || !f.at(StageRequest, HTTPTimedOut, AppTimedOut) {
		return nil
	}
	link, proxy := suspect(LayerLink, CauseLinkDown), suspect(f.tlsLayer(), CauseNotRelaying)
	because := acked(f.failed) + ", while every backend serves when addressed directly"
	switch {
	case f.heldClosed() || f.heldReset():
		return down(because+"; the old connection was ended: another process relays, or none", proxy, link)
	case reactionOf(f.look(LookSmallSegments)) == ReactionClosed:
		return down(because+"; the proxy closes such a connection when we do, so it waits for nothing else", link, proxy)
	}
	return down(because, link, proxy).lean()
}

// tlsLayer is the layer that terminates TLS: the last proxy on the way, else what stands at the front.
func (f *facts) tlsLayer() Layer {
	for _, h := range f.hops {
		if h.Role == RoleProxy {
			return LayerProxy
		}
	}
	return f.frontLayer()
}

// judgeLinkEnded: the proxy ended the connection instead of answering, and the backend serves past it.
func judgeLinkEnded(f *facts) *conclusion {
	if !f.backendsFine() || !f.at(StageRequest, HTTPClosed, HTTPReset, AppClosed, AppReset) {
		return nil
	}
	took := seconds(f.failed.Duration.Std())
	return down("front/request: the connection was ended after "+took+" without an answer, while every backend serves when addressed directly",
		suspect(LayerLink, CauseLinkRefused), suspect(f.tlsLayer(), CauseNotRelaying)).lean()
}

// judgeProxyStatus: an error status that the backend does not give past the proxy. 502, 503 and 504 are what a proxy says
// of a backend that it does not reach; any other it made for reasons of its own. An answer that carries the backend's own
// Server header was made by a backend, if not by the one that we ask.
func judgeProxyStatus(f *facts) *conclusion {
	if !f.backendsFine() || !f.at(StageResponse, HTTPStatus) || f.front.HTTP == nil {
		return nil
	}
	because := fmt.Sprintf("front/response: HTTP %d, while every backend answers as expected when addressed directly", f.front.HTTP.Status)
	link, proxy := suspect(LayerLink, CauseLinkDown), suspect(f.tlsLayer(), CauseErrorStatus)
	backend := suspect(LayerBackend, CauseErrorStatus)
	switch signed := f.signedByBackend(); {
	case signed && f.unreached():
		return down(because+"; the answer names the same server software as the backend's own", link, backend, proxy)
	case signed:
		return down(because+"; the answer names the same server software as the backend's own", backend, proxy).lean()
	case f.unreached():
		return down(because, link, proxy).lean()
	}
	return down(because, proxy, backend).lean()
}

// signedByBackend tells that the front's answer names the same software as a backend's own.
func (f *facts) signedByBackend() bool {
	sign := f.front.HTTP.Server
	return sign != "" && anyOf(f.backends, func(b *Lane) bool { return b.HTTP != nil && b.HTTP.Server == sign })
}

// judgeBrokenAnswer: the answer began and was not what it should be, while every backend serves past the proxy.
func judgeBrokenAnswer(f *facts) *conclusion {
	if !f.backendsFine() || !f.exchanging() {
		return nil
	}
	proxy := suspect(f.tlsLayer(), backendCauses[f.failed.Type])
	because := fmt.Sprintf("front/response: %s, while every backend serves when addressed directly", f.failed.Error)
	switch f.failed.Type {
	case HTTPBodyStalled, HTTPBodyTruncated, HTTPReset, HTTPClosed:
		return down(because, suspect(LayerNetwork, CauseFirewallReset), proxy, suspect(LayerLink, CauseLinkDown))
	}
	return down(because, proxy)
}

// judgeNoBackend: the exchange failed and no lane past the proxy says whose doing it is.
func judgeNoBackend(f *facts) *conclusion {
	if f.failed == nil {
		return nil
	}
	cause := or(backendCauses[f.failed.Type], CauseUnknown)
	backend, link, proxy := suspect(LayerBackend, cause), suspect(LayerLink, CauseLinkDown), suspect(f.tlsLayer(), cause)
	because := fmt.Sprintf("front/%s: %s; no lane past the proxy could tell more", f.failed.Stage, f.failed.Error)
	switch f.failed.Type {
	case HTTPStatus, HTTPExpectation, AppExpectation:
		return down(because, backend, proxy).lean()
	}
	return down(because, backend, link, proxy)
}
