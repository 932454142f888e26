package probe

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// lateName is the duration from which on a resolve stage is slow.
const lateName = time.Second

// resolve asks for the lane's name and picks one address.
func (a *attempt) resolve() (<-chan error, bool) {
	type answer struct {
		addrs []netip.Addr
		asked []Asked
	}
	got := make(chan answer, 1)
	timeout := a.spec.timeouts.Resolve.Std()
	life, end := context.WithCancel(a.life)
	defer end()
	pending, ok := a.stage(life, StageResolve, timeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout-timeout/100) // so that it is this which says who was silent
		defer cancel()
		r := resolver{servers: a.spec.dns.Servers, version: family(&a.spec.ep), source: a.spec.ep.Source}
		addrs, err := r.lookup(ctx, a.spec.name)
		got <- answer{addrs, r.asked}
		if err == nil {
			err = checkExpected(addrs, a.spec.expected)
		}
		return err
	})
	if pending != nil {
		end() // its own timeout ends at the same instant, the round perhaps long before
		<-pending
	}
	select {
	case ans := <-got:
		noteAsked(&a.lane.Stages[len(a.lane.Stages)-1], ans.asked)
		for _, x := range ans.addrs {
			a.lane.Addresses = append(a.lane.Addresses, x.String())
		}
		if len(ans.addrs) > 0 {
			a.setAddr(pickAddress(ans.addrs, a.pick))
		}
	default:
	}
	return nil, ok && a.addr.IsValid()
}

// noteAsked puts into a resolve stage what was asked, and marks it slow when it was.
func noteAsked(s *Stage, asked []Asked) {
	s.Asked = asked
	if s.Outcome != OK {
		return
	}
	if s.resent() > 0 {
		s.Outcome, s.Error = Slow, "a question stayed unanswered and was sent again"
	} else if s.Duration.Std() >= lateName {
		s.Outcome = Slow
	}
}

// resent counts the questions of a resolve stage that had to be sent again.
func (s *Stage) resent() (n int) {
	for _, a := range s.Asked {
		n += a.Resent
	}
	return n
}

func (a *attempt) setAddr(ip netip.Addr) {
	a.addr = netip.AddrPortFrom(ip, a.spec.port)
	a.lane.Address = a.addr.String()
}

// checkExpected says which of the addresses should not be there.
func checkExpected(addrs []netip.Addr, expected []config.Prefix) error {
	if len(expected) == 0 {
		return nil
	}
	for _, a := range addrs {
		if !slices.ContainsFunc(expected, func(p config.Prefix) bool { return p.Contains(a) }) {
			return fail(DNSAddressChanged, "resolved to %v, which is outside the expected addresses", a)
		}
	}
	return nil
}
