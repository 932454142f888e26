package probe

import (
	"net/netip"
	"time"
)

// self is the prober's own health during a round. It also tells the watchers that all targets share what they can learn
// from the round.
func (t *Target) self(r *Result, start time.Time) Self {
	now := time.Now()
	gaps, step := t.env.Health.Between(start, now)
	s := Self{
		Late: Seconds(max(0, r.Started.Sub(r.Due))), Gaps: gaps, Recent: t.env.Health.Recent(start),
		Starved: Seconds(t.env.Health.Starved(start, now)), ClockStep: Seconds(step),
	}
	if len(r.Lanes) == 0 {
		return s
	}
	front := &r.Lanes[0]
	t.env.Vantage.note(t.cfg.Name, front)
	if resolve := front.stage(StageResolve); resolve != nil && resolve.Good() {
		t.env.Names.learn(front.Name, t.env.DNS.Servers, resolve.Asked)
	}
	s.Resolver = t.env.Names.Trouble()
	if failed := failedStage(front); failed != nil {
		s.Links = deadLinks(t.leadsTo(front))
		s.Others = t.env.Vantage.otherTargets(t.cfg.Name, front, failed.Started)
	}
	return s
}

// leadsTo are the addresses to which the front's failed stage sent: its own, or those of the name servers.
func (t *Target) leadsTo(front *Lane) (out []netip.AddrPort) {
	if ap, err := netip.ParseAddrPort(front.Address); err == nil {
		return []netip.AddrPort{ap}
	}
	servers := hostPorts(t.env.DNS.Servers)
	if len(servers) == 0 {
		servers = t.env.systemServers()
	}
	for _, s := range servers {
		if ap, err := netip.ParseAddrPort(s); err == nil {
			out = append(out, ap)
		}
	}
	return out
}
