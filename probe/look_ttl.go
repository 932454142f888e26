package probe

import (
	"net/netip"
	"slices"
	"time"
)

const (
	firstHopTime = 700 * time.Millisecond
	// farResetTries is how many connections it takes at most to find a host's TTL and to use it.
	farResetTries = 7
	// leastTTLTries use what is known and check it.
	leastTTLTries = 3
	// nearHost is how many hops away a host is thought to be less, at first.
	nearHost = 8
	// ttlTime is how long a SYN's answer is waited for while the TTL is searched, several times a usual round trip.
	ttlTime = 150 * time.Millisecond
)

// lookFirstHop sends a SYN whose TTL ends at the first router, which says so (ICMP time exceeded): this host lets the SYN
// out and the router lives. Beside is the same to another port of the host, to see whether the port makes the difference.
// A host without a router between is reached.
func (r *round) lookFirstHop(front *attempt, look Look) func() Lane {
	if front.addr.Addr().IsLoopback() {
		return nil // there is no way to it
	}
	spec := lookSpec(front.spec, look)
	spec.options.ttl = 1
	spec.connect, spec.ep.ProxyProtocol, spec.tls = true, "", nil
	to := front.addr
	if look == LookFirstHopBeside {
		port := uint16(gatewayPort)
		if c := r.t.plan.neighbour(front.addr.Addr()); c != nil {
			port = c.port
		}
		to = netip.AddrPortFrom(to.Addr(), port)
	}
	return func() Lane {
		return r.look(spec, to, func(a *attempt) <-chan error {
			a.until = time.Now().Add(firstHopTime)
			pending, _ := a.connect()
			return pending
		})
	}
}

// lookFarReset asks whose reset refuses us. With IP_MINTTL just above the TTL with which the host's packets arrive, our
// kernel takes no notice of what the host sends, and a refusal that is still seen comes from nearer. With exactly that TTL
// the host's own refusal is seen, and not that of a box whose packets begin with a lower one; this is tried when the first
// stayed silent, and its stages follow behind. The TTL is found on the host's control port. A reset in the middle of the
// handshake is asked about on connections that are deafened once they stand, and the TTL found on the port itself.
//
// It makes at most as many connections as are left, and tells how many.
func (r *round) lookFarReset(front *attempt, left int) (look func() Lane, tries int) {
	spec, to := lookSpec(front.spec, LookFarReset), front.addr
	spec.connect, spec.ep.ProxyProtocol = true, ""
	open, try := r.t.plan.neighbour(to.Addr()), (*ttlSearch).connect
	if failedStage(front.lane).Stage == StageTLS {
		own := *spec
		own.tls, own.name, own.addrs, own.port = nil, "", []netip.Addr{to.Addr()}, to.Port()
		open, try = &own, (*ttlSearch).handshake
	} else {
		spec.tls = nil
	}
	if open == nil || left < leastTTLTries {
		return nil, 0
	}
	tries = leastTTLTries
	if b := r.t.looks.ttl[openAt(open)]; !b.known() {
		tries = min(farResetTries, left)
	}
	return func() Lane {
		s := r.newTTLSearch(open, tries)
		ttl, found := s.find()
		if found {
			l := try(s, spec, to, ttl+1)
			if l.failedWith(TCPTimedOut, TLSTimedOut) {
				l.Stages = append(l.Stages, try(s, spec, to, ttl).Stages...)
			}
			if s.holds(&l, ttl) {
				return l
			}
		}
		l := spec.newLane()
		l.Address = to.String()
		l.Stages = []Stage{{Stage: StageConnect, Outcome: NoData, Error: "with what TTL the host's packets arrive is not known"}}
		return *l
	}, tries
}

func openAt(s *laneSpec) netip.AddrPort { return netip.AddrPortFrom(s.addrs[0], s.port) }

// ttlBounds is what is known of the TTL with which a host's packets arrive: at least low, less than high.
type ttlBounds struct{ low, high int }

// anyTTL is what is known at first.
var anyTTL = ttlBounds{0, 256}

// known tells that only one TTL is left.
func (b ttlBounds) known() bool { return b.high-b.low == 1 }

// next is the demand that tells most. Hosts begin with 64, 128 or 255, and most are not far away.
func (b ttlBounds) next() int {
	begin, hops := 256, nearHost
	switch {
	case b.high <= 65:
		begin, hops = 65, 2*nearHost // one demand was enough to get here
	case b.high <= 129:
		begin = 129
	case b.low < 65:
		return 65
	case b.low < 129:
		return 129
	}
	near := max(b.low, begin-hops)
	for b.high-near <= 1 && near > b.low {
		hops *= 2
		near = max(b.low, begin-hops)
	}
	return (near + b.high) / 2
}

// ttlSearch finds the TTL with which a host's packets arrive here by connecting to an open port with higher and lower
// demands. What was found so far is used in the next round.
type ttlSearch struct {
	*round
	open   *laneSpec
	tries  int           // connections that may still be made
	wait   time.Duration // for the answer to each
	end    time.Time     // of the search
	bounds ttlBounds
	fresh  bool // the bounds are of this round
}

func (r *round) newTTLSearch(open *laneSpec, tries int) *ttlSearch {
	wait := ttlTime + 3*r.t.patient.usually(open, StageConnect)
	s := &ttlSearch{round: r, open: open, tries: tries, wait: wait, end: time.Now().Add(lookTime - 2*(wait+ttlTime) - wait)}
	s.bounds = or(r.t.looks.ttl[openAt(s.open)], anyTTL)
	return s
}

// find goes on until the TTL is known, or until the tries or the time are used up.
func (s *ttlSearch) find() (ttl int, ok bool) {
	for !s.bounds.known() && s.tries >= leastTTLTries && time.Now().Before(s.end) {
		s.fresh = true
		if middle := s.bounds.next(); s.accepts(middle) {
			s.bounds.low = middle
		} else {
			s.bounds.high = middle
		}
	}
	s.remember()
	return s.bounds.low, s.bounds.known()
}

// holds tells that what was found stands the test of what followed; else it is forgotten. A demand that was not met may
// have been a packet that got lost, and what is known of earlier may have changed.
func (s *ttlSearch) holds(l *Lane, ttl int) bool {
	nearer := failedStage(l).resets()
	silent := !slices.ContainsFunc(l.Stages, func(x Stage) bool { return x.resets() })
	if nearer && s.accepts(ttl+1) || silent && !s.fresh && !s.accepts(ttl) {
		s.bounds = anyTTL
		s.remember()
		return false
	}
	return true
}

// resets tells that the stage ended with a reset in answer to what we sent.
func (s *Stage) resets() bool { return s != nil && (s.Type == TCPRefused || s.Type == TLSReset) }

func (s *ttlSearch) remember() {
	if s.t.looks.ttl == nil {
		s.t.looks.ttl = map[netip.AddrPort]ttlBounds{}
	}
	s.t.looks.ttl[openAt(s.open)] = s.bounds
}

// accepts tells that a connect to the open port succeeds although nothing is taken from further than a TTL says.
func (s *ttlSearch) accepts(minTTL int) bool {
	l := s.try(lookSpec(s.open, LookFarReset), netip.AddrPort{}, minTTL, s.wait)
	return l.fine() || l.failedWith(TCPReset) // it stood, and was ended so soon that the connect heard of it
}

// connect tries whether the front refuses with such a TTL.
func (s *ttlSearch) connect(spec *laneSpec, to netip.AddrPort, minTTL int) Lane {
	return s.try(spec, to, minTTL, s.wait+ttlTime)
}

// try makes one connect with a demand.
func (s *ttlSearch) try(spec *laneSpec, to netip.AddrPort, minTTL int, wait time.Duration) Lane {
	s.tries--
	spec.options.minTTL = minTTL
	return s.look(spec, to, func(a *attempt) <-chan error {
		a.until = time.Now().Add(wait)
		pending, _ := a.connect()
		return pending
	})
}

// handshake makes a connection, deafens it and tries whether the front resets it with such a TTL.
func (s *ttlSearch) handshake(spec *laneSpec, to netip.AddrPort, minTTL int) Lane {
	s.tries--
	return s.look(spec, to, func(a *attempt) <-chan error {
		a.until = time.Now().Add(s.wait + ttlTime)
		pending, ok := a.connect()
		if !ok {
			return pending
		}
		deaf := socketOptions{minTTL: minTTL}
		if err := deaf.apply(a.raw, to.Addr().Is6()); err != nil || a.tcpInfo().Ended() {
			a.lane.Stages[0].Outcome = NoData
			a.lane.Stages[0].Error = "ended before it could be deafened"
			return nil
		}
		pending, _ = a.handshake()
		return pending
	})
}
