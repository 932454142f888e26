package alert

import (
	"net/netip"
	"slices"

	"github.com/whichlayer/whichlayer/probe"
)

// maxComponents bounds what one incident may share with others.
const maxComponents = 32

// componentsOf names what may have broken, by the suspects of an incident's verdict and the addresses that its lanes met:
// "host 10.0.1.11", "subnet 10.0.1.0/24", "resolver 10.0.0.53:53". Incidents of several targets that have one in common
// are probably one.
func componentsOf(e *Event) (out []string) {
	add := func(name string) {
		if name != "" && len(out) < maxComponents && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	suspects := e.Verdict.Suspects
	if len(suspects) == 0 {
		suspects = []probe.Suspect{{Layer: e.Verdict.Layer, Cause: e.Verdict.Cause}}
	}
	for _, s := range suspects {
		componentsOfLayer(s, e.Lanes, add)
	}
	return out
}

func componentsOfLayer(s probe.Suspect, lanes []probe.Lane, add func(string)) {
	switch s.Layer {
	case probe.LayerDNS:
		if s.Cause != probe.CauseNameNotResolved && s.Cause != probe.CauseWrongAddress { // one name's own trouble
			eachResolver(lanes, add)
		}
	case probe.LayerNetwork:
		eachHost(lanes, onUsersWay, func(a netip.Addr) { add(host(a)); add(subnet(a)) })
	case probe.LayerHost, probe.LayerBalancer, probe.LayerProxy:
		eachHost(lanes, onUsersWay, func(a netip.Addr) { add(host(a)) })
	case probe.LayerLink:
		eachHost(lanes, func(l *probe.Lane) bool { return l.Lane == probe.LaneBackend }, func(a netip.Addr) { add("link to " + a.String()) })
	case probe.LayerBackend:
		eachHost(lanes, func(l *probe.Lane) bool { return l.Lane == probe.LaneBackend }, func(a netip.Addr) { add(host(a)) })
	}
}

func onUsersWay(l *probe.Lane) bool { return l.Lane == probe.LaneFront || l.Lane == probe.LaneVia }

// eachHost calls do for the addresses of lanes that were not fine.
func eachHost(lanes []probe.Lane, of func(*probe.Lane) bool, do func(netip.Addr)) {
	for i := range lanes {
		l := &lanes[i]
		if l.Look != "" || !of(l) || !slices.ContainsFunc(l.Stages, func(s probe.Stage) bool { return s.Outcome == probe.Failed || s.Outcome == probe.Slow }) {
			continue
		}
		if a, err := netip.ParseAddrPort(l.Address); err == nil {
			do(a.Addr().Unmap().WithZone(""))
		}
	}
}

func eachResolver(lanes []probe.Lane, add func(string)) {
	for i := range lanes {
		for j := range lanes[i].Stages {
			for _, a := range lanes[i].Stages[j].Asked {
				add("resolver " + a.Server)
			}
		}
	}
}

func host(a netip.Addr) string { return "host " + a.String() }

// subnet is the usual size of one: /24, or /64.
func subnet(a netip.Addr) string {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return "subnet " + p.String()
}

// shared is the first component that two lists have in common; empty if none.
func shared(a, b []string) string {
	for _, x := range a {
		if slices.Contains(b, x) {
			return x
		}
	}
	return ""
}
