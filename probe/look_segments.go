package probe

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// stalledReactTime is how long a look waits for what the peer does about a half-close of a stalled connection.
const stalledReactTime = 300 * time.Millisecond

// lookSmall repeats the front's walk so that no packet is large. Where a path drops large packets without a word, this
// works and the usual way does not (RFC 2923, 2.1). Small segments bound both directions, a small ClientHello, without a
// post-quantum key share, only what we send. A connection that stalls in this way too is closed on our side, or told to
// end by an alert, to see whether its process reacts.
func (r *round) lookSmall(front *attempt, look Look) func() Lane {
	spec, to := lookSpec(front.spec, look), front.addr
	spec.name, spec.addrs, spec.expected = "", []netip.Addr{to.Addr()}, nil // the one that stalls, whatever the name leads to now
	switch {
	case look == LookSmallSegments:
		spec.options.maxSegment = smallSegment
	case spec.tls == nil:
		return nil
	default:
		spec.tls = spec.tls.Clone()
		spec.tls.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
		spec.connect = true // no further than the handshake
	}
	return func() Lane {
		return r.look(spec, to, func(a *attempt) <-chan error {
			a.until = a.until.Add(-stalledReactTime)
			if look == LookSmallHello {
				return a.reactionToAlert(a.walk())
			}
			return a.reactionOfStalled(a.walk())
		})
	}
}

// reactionOfStalled closes our side of a connection on which a stage is pending and waits a little for what follows.
func (a *attempt) reactionOfStalled(pending <-chan error) <-chan error {
	if pending == nil || a.conn == nil || closeWrite(a.conn) != nil {
		return pending
	}
	t := time.NewTimer(stalledReactTime)
	defer t.Stop()
	select {
	case err := <-pending:
		a.lane.Reaction = endedBy(err)
		return nil
	case <-t.C:
		a.lane.Reaction = ReactionNone
		return pending
	}
}
