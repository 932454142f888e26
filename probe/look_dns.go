package probe

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/whichlayer/whichlayer/config"
)

// dnsLookTime bounds each look at a name server.
const dnsLookTime = 1500 * time.Millisecond

// dnsLooks are the looks that tell why the front's name does not resolve: the same question over TCP (whose handshake
// shows whether the server's host lives, and whose counters show who has the question), another question to the same
// server, and the same question to other servers: the system's when others are configured, else those that resolv.conf
// named when it last went well. They ask the first server and run beside each other.
func (r *round) dnsLooks(front *laneSpec) []func() Lane {
	configured, system := hostPorts(front.dns.Servers), r.t.env.systemServers()
	servers := configured
	if len(servers) == 0 {
		servers = system
	}
	if len(servers) == 0 {
		return nil
	}
	first, err := netip.ParseAddrPort(servers[0])
	if err != nil {
		return nil
	}
	looks := []func() Lane{
		func() Lane { return r.lookDNSOverTCP(front, first) },
		func() Lane { return r.lookOtherName(front, first) },
	}
	look, others := LookSystemResolver, system
	if len(configured) == 0 {
		look, others = LookFormerServers, r.t.env.Names.answered()
	}
	others = without(others, servers)
	if len(others) > 0 {
		looks = append(looks, func() Lane { return r.lookOtherServers(front, look, others) })
	}
	return looks
}

// without are the servers that are not of another list, and are addresses.
func without(servers, others []string) (out []string) {
	for _, s := range servers {
		if _, err := netip.ParseAddrPort(s); err == nil && !slices.Contains(others, s) {
			out = append(out, s)
		}
	}
	return out
}

// systemServers are those of a resolv.conf, read anew each time. What is no address is left out, and so is the whole
// file when it cannot be read: the programs that depend on it ask nobody then.
func systemServers(file string) (out []string) {
	conf, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil
	}
	for _, s := range confServers(conf) {
		if _, err := netip.ParseAddrPort(s); err == nil {
			out = append(out, s)
		}
	}
	return out
}

// dnsLook makes an attempt of a lane that asks a name server, runs it and waits for what it left.
func (r *round) dnsLook(front *laneSpec, look Look, server netip.AddrPort, run func(*attempt) <-chan error) Lane {
	s := *front
	s.addrs, s.port, s.expected, s.tls = []netip.Addr{server.Addr()}, server.Port(), nil, nil
	s.ep = config.Endpoint{Source: front.ep.Source, IPVersion: front.ep.IPVersion}
	s.timeouts = config.Timeouts{Resolve: config.Duration(dnsLookTime), Connect: config.Duration(dnsLookTime)}
	life, end := context.WithCancel(context.Background())
	defer end()
	a := &attempt{spec: &s, env: r.t.env, lane: s.newLane(), roundDone: r.ctx.Done(), life: life}
	a.lane.Look, a.lane.Extra = look, true
	pending := run(a)
	end()
	a.close()
	if pending != nil {
		<-pending
	}
	return *a.lane
}

// lookDNSOverTCP asks over TCP: a connect stage, then a resolve stage in what is left of the time.
func (r *round) lookDNSOverTCP(front *laneSpec, server netip.AddrPort) Lane {
	return r.dnsLook(front, LookDNSOverTCP, server, func(a *attempt) <-chan error {
		begin := time.Now()
		if pending, ok := a.connect(); !ok {
			a.lane.Stages = append(a.lane.Stages, Stage{Stage: StageResolve, Outcome: Skipped})
			return pending
		}
		res := resolver{version: family(&a.spec.ep)}
		m := question(dns.Fqdn(front.name), res.types()[0])
		return a.ask(dnsLookTime-time.Since(begin), func(ctx context.Context) ([]netip.Addr, error) {
			answer, err := converse(ctx, a.conn.Conn, m)
			if err != nil {
				return nil, dnsFailure(err, server.String())
			}
			return readAnswer(m, answer, server.String())
		})
	})
}

// lookOtherServers asks other servers the same question.
func (r *round) lookOtherServers(front *laneSpec, look Look, servers []string) Lane {
	return r.dnsLook(front, look, netip.MustParseAddrPort(servers[0]), func(a *attempt) <-chan error {
		return a.ask(dnsLookTime, func(ctx context.Context) ([]netip.Addr, error) {
			res := resolver{version: family(&a.spec.ep), source: a.spec.ep.Source}
			return res.ask(ctx, dns.Fqdn(front.name), servers)
		})
	})
}

// lookOtherName asks for the servers of the root: every name server has an answer to that, if a refusal.
func (r *round) lookOtherName(front *laneSpec, server netip.AddrPort) Lane {
	return r.dnsLook(front, LookOtherName, server, func(a *attempt) <-chan error {
		a.lane.Name = "."
		return a.ask(dnsLookTime, func(ctx context.Context) ([]netip.Addr, error) {
			h := hedge{resolver: &resolver{source: a.spec.ep.Source}, fqdn: ".", qtype: dns.TypeNS, servers: []string{server.String()}}
			return h.run(ctx)
		})
	})
}

// ask is the resolve stage of a look.
func (a *attempt) ask(timeout time.Duration, lookup func(context.Context) ([]netip.Addr, error)) <-chan error {
	got := make(chan []netip.Addr, 1)
	timeout = max(timeout, time.Millisecond)
	pending, ok := a.stage(a.life, StageResolve, timeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout-timeout/100)
		defer cancel()
		addrs, err := lookup(ctx)
		got <- addrs
		return err
	})
	if !ok {
		return pending
	}
	for _, x := range <-got {
		a.lane.Addresses = append(a.lane.Addresses, x.String())
	}
	return nil
}
