package probe

import (
	"context"
	"net/netip"
	"time"
)

const (
	// lookTime bounds a look, from its start: looks begin when a stage stalls, so that most end before the stage does.
	lookTime = 1500 * time.Millisecond
	// maxLooks bounds the connections that looks add to a round, further addresses of a name included.
	maxLooks = 8
	// lookRounds is how many rounds of a failure make looks, lookAgain after what time it is looked once more: each
	// connection to a frozen process takes a place in its queue for good.
	lookRounds = 2
	lookAgain  = 30 * time.Second
	// maxLookedAt bounds of how many failures at how many addresses it is remembered that they were looked at.
	maxLookedAt = 64
	// smallSegment is the segment size that every path must carry (RFC 9293, 3.7.1, and RFC 791: 576 less two headers).
	smallSegment = 536
)

// looks is a target's memory of the looks that it has made; used by rounds only, of which one runs at a time.
type looks struct {
	// made is how often and when it was looked at each failure since the front was fine last. A name may lead to several
	// addresses in turn.
	made map[failureAt]lookCount
	// failed tells that the front failed in the last round, burst is when a path was last asked how much it loses.
	failed bool
	burst  time.Time
	// ttl is with what TTL packets of a host arrive here.
	ttl map[netip.AddrPort]ttlBounds
}

// failureAt is where the front stalls or fails.
type failureAt struct {
	stage   StageName
	address string
}

type lookCount struct {
	times int
	last  time.Time
}

// due tells whether a failure at a stage is to be looked at, and notes that it is.
func (k *looks) due(l *Lane, at StageName, now time.Time) bool {
	if k.made == nil {
		k.made = map[failureAt]lookCount{}
	}
	key := failureAt{at, l.Address}
	m, known := k.made[key]
	if !known && len(k.made) >= maxLookedAt || m.times >= lookRounds && now.Sub(m.last) < lookAgain {
		return false
	}
	k.made[key] = lookCount{m.times + 1, now}
	return true
}

// burstDue tells whether a path is to be asked how much it loses, and notes that it is.
func (k *looks) burstDue(now time.Time) bool {
	if k.failed || now.Sub(k.burst) < burstAgain {
		return false
	}
	k.burst = now
	return true
}

// ended takes the end of a round. When the front is fine again its failures are forgotten.
func (k *looks) ended(fine bool) {
	k.failed = !fine
	if fine {
		k.made = nil
	}
}

// looking is what one round does about a front that stalls or fails. It belongs to the front lane's goroutine.
type looking struct {
	others bool // what stands beside the front was looked at, such as the name's other addresses
	around bool // the vantage was looked at
	stages map[StageName]bool
	left   int // connections that may still be made
}

// lookAround begins, beside the lanes that still run, the looks that tell apart what can be behind a front that stalls or
// has failed at a stage. A stage is looked at once.
func (r *round) lookAround(front *attempt, at StageName) {
	k := &r.looking
	if k.stages[at] || r.ctx.Err() != nil {
		return
	}
	if k.stages == nil {
		k.stages, k.left = map[StageName]bool{}, maxLooks-r.otherAddresses(front.lane)
	}
	k.stages[at] = true
	if !k.around {
		k.around = true
		if v := r.t.env.Vantage; v != nil {
			r.wg.Go(func() { r.add(orderVantage, v.Look(r.ctx)...) })
		}
	}
	if at != StageResolve && front.spec.ep.ForwardProxy != nil {
		return // what is asked of the connection would be answered by the forward proxy
	}
	if !r.t.looks.due(front.lane, at, time.Now()) {
		return
	}
	for i, look := range r.looksFor(front, at) {
		r.start(orderLook+len(k.stages)*maxLooks+i, time.Duration(i)*stagger, look)
	}
}

// looksFor are the looks that decide when the front stalls or fails at a stage, the most telling ones first, as many as
// the round may still make.
func (r *round) looksFor(front *attempt, at StageName) (out []func() Lane) {
	add := func(connections int, look func() Lane) {
		if look != nil && r.looking.left >= connections {
			r.looking.left -= connections
			out = append(out, look)
		}
	}
	failed := failedStage(front.lane)
	if failed != nil && !failed.lookAlike() {
		return nil
	}
	switch at {
	case StageResolve:
		for _, look := range r.dnsLooks(front.spec) {
			add(1, look)
		}
	case StageConnect:
		if failed != nil && failed.Type == TCPRefused {
			look, tries := r.lookFarReset(front, r.looking.left-1) // one for the first hop
			add(tries, look)
		}
		if failed == nil || failed.Type == TCPRefused || failed.Type == TCPTimedOut {
			add(1, r.lookFirstHop(front, LookFirstHop))
			add(1, r.lookFirstHop(front, LookFirstHopBeside))
		}
	case StageTLS, StageRequest:
		add(1, r.lookHalfClose(front.spec, front.addr))
		if failed != nil && failed.Type == TLSReset {
			look, tries := r.lookFarReset(front, r.looking.left)
			add(tries, look)
			break
		}
		add(1, r.lookSmall(front, LookSmallSegments))
		if at == StageTLS {
			add(1, r.lookSmall(front, LookSmallHello))
		}
		for _, h := range r.t.plan.hops(2) {
			add(1, r.lookHalfClose(h, netip.AddrPort{}))
		}
		add(1, r.lookExchange(front))
	case StageResponse:
		add(1, r.lookSmall(front, LookSmallSegments))
		add(1, r.lookExchange(front))
	}
	return out
}

// lookAlike tells that a failure has look-alikes that a look can tell apart. What the peer said in so many words, such as a
// certificate or a status, has none.
func (s *Stage) lookAlike() bool {
	switch s.Type {
	case TLSCertDate, TLSCertName, TLSCertAuthority, TLSCertInvalid, TLSAlert, TLSProtocol, TLSStartTLS,
		HTTPStatus, HTTPInvalid, HTTPExpectation, AppExpectation:
		return false
	}
	return !s.Type.Self()
}

// look walks one look. Its stages end lookTime after its start, whatever their own timeouts.
func (r *round) look(s *laneSpec, to netip.AddrPort, walk func(*attempt) (pending <-chan error)) Lane {
	life, end := context.WithCancel(context.Background())
	a := &attempt{
		spec: s, env: r.t.env, lane: s.newLane(), pick: r.number, roundDone: r.ctx.Done(), life: life,
		until: time.Now().Add(lookTime),
	}
	if to.IsValid() {
		a.addr, a.lane.Address = to, to.String()
	}
	pending := walk(a)
	end()
	a.close()
	if pending != nil {
		<-pending
	}
	return *a.lane
}

// lookSpec is a lane's description made for a look.
func lookSpec(s *laneSpec, look Look) *laneSpec {
	c := *s
	c.look = look
	return &c
}

// within bounds a stage's timeout by what is left of a look's time.
func (a *attempt) within(timeout time.Duration) time.Duration {
	if a.until.IsZero() {
		return timeout
	}
	return max(min(timeout, time.Until(a.until)), time.Millisecond)
}

// neighbour is the control lane on the same host, nil if none is configured there.
func (p *plan) neighbour(host netip.Addr) *laneSpec {
	for _, s := range p.lanes {
		if s.kind == LaneControl && len(s.addrs) == 1 && s.addrs[0] == host {
			return s
		}
	}
	return nil
}

// hops are the first n lanes that address a hop directly.
func (p *plan) hops(n int) (out []*laneSpec) {
	for _, s := range p.lanes {
		if s.kind == LaneVia && len(s.addrs) > 0 && len(out) < n {
			out = append(out, s)
		}
	}
	return out
}
