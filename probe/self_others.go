package probe

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// keptFronts bounds the memory of what other targets' fronts did, freshFront its age.
	keptFronts = 256
	freshFront = 10 * time.Second
)

// fronts remembers how the last looks at the fronts of all targets ended at the connect stage.
type fronts struct {
	mu   sync.Mutex
	seen []frontSeen // the newest last
}

type frontSeen struct {
	target string
	at     time.Time // when the connect began
	host   netip.Addr
	ok     bool
}

// note remembers a target's front, if its connect stage tells something of the way there. One that goes through a
// forward proxy tells of that.
func (v *Vantage) note(target string, front *Lane) {
	s := front.stage(StageConnect)
	if v == nil || s == nil || s.Outcome == Skipped || front.blind() || s.Type == ForwardProxyFailed {
		return
	}
	at, err := netip.ParseAddrPort(front.Address)
	ok := front.answered()
	if err != nil || !ok && s.Type != TCPTimedOut && s.Type != TCPUnreachable {
		return
	}
	v.fronts.mu.Lock()
	defer v.fronts.mu.Unlock()
	v.fronts.seen = keep(append(v.fronts.seen, frontSeen{target, s.Started, at.Addr(), ok}), keptFronts)
}

// otherTargets is how other targets do while this one's front fails: those that failed just before, and those that were
// looked at since and are well. Targets of one network share a way and count once.
func (v *Vantage) otherTargets(target string, front *Lane, since time.Time) *OtherTargets {
	if v == nil {
		return nil
	}
	own, _ := netip.ParseAddrPort(front.Address) // none before its name is resolved
	v.fronts.mu.Lock()
	seen := slices.Clone(v.fronts.seen)
	v.fronts.mu.Unlock()
	judged, ok := map[string]bool{}, map[netip.Prefix]bool{}
	for _, s := range slices.Backward(seen) {
		if judged[s.target] || s.target == target {
			continue
		}
		judged[s.target] = true
		net := network(s.host)
		if s.ok && !s.at.Before(since) {
			ok[net] = true
		} else if !s.ok && since.Sub(s.at) < freshFront && net != network(own.Addr()) {
			if !ok[net] {
				ok[net] = false // unless another of its network is well
			}
		}
	}
	if len(ok) == 0 {
		return nil
	}
	out := &OtherTargets{Targets: len(ok)}
	for _, well := range ok {
		if !well {
			out.Failing++
		}
	}
	return out
}

// network is the part of an address that hosts with the same way to them most often share.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // the zero Prefix for no address
	return p
}
