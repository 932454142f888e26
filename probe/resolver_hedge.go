package probe

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// hedge asks one question of several servers in turn, each twice. The first answer wins, and a server that was not
// waited for may still give it: so one that is slow is told from one whose answer was lost.
type hedge struct {
	resolver *resolver
	fqdn     string
	qtype    uint16
	servers  []string

	heard []bool // by try: something came back, if an error
	won   int    // the try whose answer was taken
}

// run sends the tries so that they share the time that there is: one lost datagram is no outage.
func (h *hedge) run(ctx context.Context) ([]netip.Addr, error) {
	type reply struct {
		try   int
		addrs []netip.Addr
		err   error
	}
	most := 2 * len(h.servers)
	deadline, _ := ctx.Deadline()
	share := max(time.Until(deadline)/time.Duration(most), time.Millisecond)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan reply, most)
	next := func() {
		try := len(h.heard)
		h.heard = append(h.heard, false)
		wg.Go(func() {
			addrs, err := h.resolver.query(ctx, h.fqdn, h.qtype, h.servers[try%len(h.servers)])
			got <- reply{try, addrs, err}
		})
	}
	again := time.NewTicker(share)
	defer again.Stop()
	next()
	for {
		select {
		case a := <-got:
			var f *failure
			failed := errors.As(a.err, &f)
			if failed && f.typ == DNSTimedOut {
				continue // its time is that of all
			}
			h.heard[a.try], h.won = true, a.try
			if !failed || f.typ == DNSNotResolved || f.typ.Self() || a.try >= len(h.servers)-1 {
				return a.addrs, a.err // the last: a definite answer from every server
			}
			if len(h.heard) == a.try+1 {
				next()
				again.Reset(share)
			}
		case <-again.C:
			if len(h.heard) < most {
				next()
			}
		case <-ctx.Done():
			h.won = len(h.heard) - 1
			return nil, fail(DNSTimedOut, "%s", silentServers(h.servers))
		}
	}
}

func silentServers(servers []string) string {
	if len(servers) == 1 {
		return "server " + servers[0] + ": no answer"
	}
	return "servers " + strings.Join(servers, ", ") + ": no answer"
}

// asked is what is known of each server after run: the tries up to the one that won.
func (h *hedge) asked(err error) (out []Asked) {
	var f *failure
	if errors.As(err, &f) && f.typ.Self() {
		return nil
	}
	for try := range h.won + 1 {
		a := Asked{Server: h.servers[try%len(h.servers)], Questions: 1}
		if !h.heard[try] {
			a.Resent = 1
		}
		out = append(out, a)
	}
	return out
}
