package config

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// leastConnect is the connect timeout under which the last router's host-unreachable, which comes after three ARP
// requests one second apart, is lost: a host that is down then looks like a dropped packet.
const leastConnect = 3200 * time.Millisecond

// Warnings are what is allowed but makes verdicts poorer, one sentence each.
func (c *Config) Warnings() []string {
	all := append([]string(nil), c.warnings...)
	if !loopback(c.Listen) {
		all = append(all, fmt.Sprintf("listen: %s can be reached from other machines, without a password", c.Listen))
	}
	if c.State == "" && len(c.Receivers) > 0 {
		all = append(all, "state: none is given, so incidents and messages that wait are lost when the process ends")
	}
	for i := range c.Maintenance {
		if m := &c.Maintenance[i]; m.overlaps(time.Now()) {
			all = append(all, fmt.Sprintf("maintenance %q: it begins again before it ends, and may go on for longer than its "+
				"duration of %s; is a field of its schedule * that should be 0?", m.Name, brief(m.Duration.Std())))
		}
	}
	for i := range c.Targets {
		t := &c.Targets[i]
		for _, w := range t.warnings() {
			all = append(all, fmt.Sprintf("target %q: %s", t.Name, w))
		}
	}
	return all
}

func (t *Target) warnings() (all []string) {
	if d := t.Timeouts.Connect.Std(); d < leastConnect {
		all = append(all, fmt.Sprintf("timeouts.connect: in %s the last router's host-unreachable (3.07s) does not arrive, "+
			"so a host that is down looks like dropped packets", d))
	}
	if len(t.Backends) == 0 {
		all = append(all, "no backend: a broken backend cannot be told from a broken proxy")
	}
	if len(t.Via) == 0 && !t.frontIsProxy() {
		all = append(all, "no via: the boxes between the users and the backend are looked at as one")
	}
	return all
}

// frontIsProxy tells that without via the front itself is taken for the proxy: it speaks TLS and a backend does not.
func (t *Target) frontIsProxy() bool {
	for i := range t.Backends {
		if t.Front.URL.TLS() && !t.Backends[i].URL.TLS() {
			return true
		}
	}
	return false
}

// loopback tells whether an address:port, or nothing, is closed to other machines.
func loopback(listen string) bool {
	if listen == "" {
		return true
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	return loopbackHost(host)
}

// loopbackHost tells whether a host is this machine itself.
func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
