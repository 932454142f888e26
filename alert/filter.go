package alert

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/whichlayer/whichlayer/probe"
)

// Bounds on filters: a message must stay readable, and a shell's or a kernel's limits far away.
const (
	maxFilterPeers = 6
	maxFilterPorts = 16
	maxEndpoints   = 16
)

// peer is one server address as one of ours spoke to it, with our ports.
type peer struct {
	local  netip.Addr
	remote netip.AddrPort
	ports  []uint16
}

// peers groups the attempts that failed by the two hosts.
func (n Notification) peers() (out []peer) {
	for _, f := range n.Event.Incident.Fingerprints {
		local, err1 := netip.ParseAddrPort(f.Local)
		remote, err2 := netip.ParseAddrPort(f.Remote)
		if err1 != nil || err2 != nil {
			continue
		}
		local, remote = plain(local), plain(remote)
		i := slices.IndexFunc(out, func(p peer) bool { return p.local == local.Addr() && p.remote == remote })
		if i < 0 {
			if len(out) == maxFilterPeers {
				continue
			}
			i = len(out)
			out = append(out, peer{local: local.Addr(), remote: remote})
		}
		if !slices.Contains(out[i].ports, local.Port()) {
			out[i].ports = keepEnds(out[i].ports, local.Port(), maxFilterPorts/2, maxFilterPorts)
		}
	}
	return out
}

// plain drops what a capture does not show: a zone, and IPv4 dressed as IPv6.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// CaptureFilter finds the attempts that failed in a capture, in the syntax of tcpdump (pcap-filter(7)). Empty when no
// attempt had an address.
func (n Notification) CaptureFilter() string {
	return n.filter(" or ", func(p peer) string {
		ports := make([]string, len(p.ports))
		for i, port := range p.ports {
			ports[i] = fmt.Sprintf("port %d", port)
		}
		hosts := fmt.Sprintf("host %s and host %s", p.local, p.remote.Addr())
		if p.local == p.remote.Addr() { // one machine
			hosts = fmt.Sprintf("host %s", p.local)
		}
		return fmt.Sprintf("(%s and tcp port %d and (%s))", hosts, p.remote.Port(), strings.Join(ports, " or "))
	})
}

// DisplayFilter is CaptureFilter in Wireshark's display syntax.
func (n Notification) DisplayFilter() string {
	return n.filter(" || ", func(p peer) string {
		ip := "ip"
		if p.remote.Addr().Is6() {
			ip = "ipv6"
		}
		ports := make([]string, len(p.ports))
		for i, port := range p.ports {
			ports[i] = fmt.Sprint(port)
		}
		hosts := fmt.Sprintf("%s.addr == %s && %s.addr == %s", ip, p.local, ip, p.remote.Addr())
		if p.local == p.remote.Addr() {
			hosts = fmt.Sprintf("%s.addr == %s", ip, p.local)
		}
		return fmt.Sprintf("(%s && tcp.port == %d && tcp.port in {%s})", hosts, p.remote.Port(), strings.Join(ports, ", "))
	})
}

func (n Notification) filter(or string, one func(peer) string) string {
	peers := n.peers()
	terms := make([]string, len(peers))
	for i, p := range peers {
		terms[i] = one(p)
	}
	return strings.Join(terms, or)
}

// ServiceFilter finds all traffic of the service, the users' too, in the syntax of tcpdump: what to record from now on.
func (n Notification) ServiceFilter() string {
	var terms []string
	add := func(address string) {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return
		}
		a = plain(a)
		term := fmt.Sprintf("(host %s and tcp port %d)", a.Addr(), a.Port())
		if len(terms) < maxEndpoints && !slices.Contains(terms, term) {
			terms = append(terms, term)
		}
	}
	for _, l := range n.Event.Lanes {
		if l.Lane == probe.LaneFront || l.Lane == probe.LaneVia || l.Lane == probe.LaneBackend {
			add(l.Address)
		}
	}
	for _, f := range n.Event.Incident.Fingerprints {
		add(f.Remote)
	}
	return strings.Join(terms, " or ")
}
