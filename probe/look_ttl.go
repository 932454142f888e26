package probe

import (
	"net/netip"
	"time"
)

const (
	firstHopTime = 700 * time.Millisecond
	// farResetTries is how many connections it takes at most to find a host's TTL and to use it.
	farResetTries = 7
	// leastTTLTries check what is known and use it.
	leastTTLTries = 3
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

// lookFarReset asks whose reset refuses us. Packets of a box that is nearer than the host arrive with a higher TTL; with
// IP_MINTTL just above the host's, our kernel takes no notice of what the host sends, and a refusal that is still seen
// comes from nearer. The host's TTL is found on its control port. A reset in the middle of the handshake is asked about
// on a connection that is deafened once it stands, and the TTL found on the port itself.
func (r *round) lookFarReset(front *attempt, tries int) func() Lane {
	spec, to := lookSpec(front.spec, LookFarReset), front.addr
	spec.connect, spec.ep.ProxyProtocol = true, ""
	known := r.t.plan.neighbour(to.Addr())
	established := failedStage(front.lane).Stage == StageTLS
	if established {
		own := *spec
		own.tls, own.name, own.addrs, own.port = nil, "", []netip.Addr{to.Addr()}, to.Port()
		known = &own
	}
	if known == nil || tries < leastTTLTries {
		return nil
	}
	if !established {
		spec.tls = nil
	}
	return func() Lane {
		ttl, ok := r.hostTTL(known, tries-1)
		if !ok {
			l := spec.newLane()
			l.Address = to.String()
			s := Stage{Stage: StageConnect, Outcome: NoData}
			s.Error = "with what TTL the host's packets arrive is not known"
			l.Stages = append(l.Stages, s)
			return *l
		}
		nearer := socketOptions{minTTL: ttl + 1}
		if !established {
			spec.options = nearer
		}
		return r.look(spec, to, func(a *attempt) <-chan error {
			a.until = time.Now().Add(2*ttlTime + 3*r.t.patient.usually(known, StageConnect))
			pending, ok := a.connect()
			if !ok || !established {
				return pending
			}
			if err := nearer.apply(a.raw, to.Addr().Is6()); err != nil || a.tcpInfo().Ended() {
				a.lane.Stages[0].Outcome = NoData
				a.lane.Stages[0].Error = "ended before it could be deafened"
				return nil
			}
			pending, _ = a.handshake()
			return pending
		})
	}
}

// ttlBounds is what is known of the TTL with which a host's packets arrive: at least low, less than high.
type ttlBounds struct{ low, high int }

// next is the demand that tells most. Hosts begin with 64, 128 or 255, and few are further away than some hops.
func (b ttlBounds) next() int {
	switch {
	case b == ttlBounds{0, 256}:
		return 65
	case b == ttlBounds{65, 256}:
		return 129
	case b.high-b.low > 8 && (b.high == 65 || b.high == 129 || b.high == 256):
		return b.high - 8
	}
	return (b.low + b.high) / 2
}

// hostTTL is the TTL with which a host's packets arrive here, found by connecting to an open port with higher and lower
// demands; ok is false when the tries did not suffice. What was found so far is used in the next round. A demand
// that was not met is made twice, because a packet can get lost.
func (r *round) hostTTL(open *laneSpec, tries int) (ttl int, ok bool) {
	at := netip.AddrPortFrom(open.addrs[0], open.port)
	if r.t.looks.ttl == nil {
		r.t.looks.ttl = map[netip.AddrPort]ttlBounds{}
	}
	b, known := r.t.looks.ttl[at]
	if known && b.high-b.low == 1 && (!r.accepts(open, b.low) || r.accepts(open, b.high)) {
		known = false
	}
	if !known {
		b = ttlBounds{0, 256}
	}
	for ; b.high-b.low > 1 && tries > 1; tries-- {
		if middle := b.next(); r.accepts(open, middle) {
			b.low = middle
		} else {
			b.high = middle
		}
	}
	found := b.high-b.low == 1
	if found && !known && r.accepts(open, b.high) {
		b, found = ttlBounds{0, 256}, false
	}
	r.t.looks.ttl[at] = b
	return b.low, found
}

// accepts tells that a connect to an open port succeeds although nothing is taken from further than a TTL says.
func (r *round) accepts(open *laneSpec, minTTL int) bool {
	spec := lookSpec(open, LookFarReset)
	spec.options.minTTL = minTTL
	l := r.look(spec, netip.AddrPort{}, func(a *attempt) <-chan error {
		a.until = time.Now().Add(ttlTime + 3*r.t.patient.usually(open, StageConnect))
		pending, _ := a.connect()
		return pending
	})
	return l.fine() || l.failedWith(TCPReset) // it stood, and was ended so soon that the connect heard of it
}
