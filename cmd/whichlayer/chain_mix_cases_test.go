//go:build linux

package main_test

import (
	"fmt"
	"time"
)

// both applies several faults at once.
func both(faults ...func(*chain)) func(*chain) {
	return func(c *chain) {
		for _, f := range faults {
			f(c)
		}
	}
}

// loss drops a share of the packets to and from the proxy, in percent.
func loss(percent int) func(*chain) { return both(lossTo(percent), lossFrom(percent)) }

func lossTo(percent int) func(*chain) {
	return drop(fmt.Sprintf("ip daddr %s numgen random mod 100 < %d drop", proxyIP, percent))
}

func lossFrom(percent int) func(*chain) {
	return drop(fmt.Sprintf("ip saddr %s numgen random mod 100 < %d drop", proxyIP, percent))
}

// Faults that are parts of mixes.
func closedPort(address string, port int) func(*chain) {
	return drop(fmt.Sprintf("ip daddr %s tcp dport %d drop", address, port))
}
func kill(d func(*chain) *daemon) func(*chain) { return func(c *chain) { d(c).stop() } }
func failing500(c *chain)                      { c.write("fail", nil) }
func silentNames(c *chain)                     { c.names.silent.Store(true) }
func droppedLink(c *chain)                     { c.be.nft("add rule inet faults input iifname back drop") }

// mixes lists pairs of faults.
func mixes() []mix {
	direct := closedPort(backendIP, 80)
	controls := both(closedPort(proxyIP, 22), closedPort(backendIP, 22))
	noNew := drop("ip daddr " + proxyIP + " tcp dport 443 tcp flags syn / syn,ack drop")
	noLarge := drop("ip saddr " + proxyIP + " meta length gt 1000 drop")
	resets := drop("ip daddr " + proxyIP + " tcp dport 443 reject with tcp reset")
	// What a firewall does whose inspection hangs: it passes on what carries no data and ends nothing.
	noData := drop("ip saddr " + proxyIP + " tcp sport 443 meta length gt 80 drop")
	returns := func(what string) func(*chain) {
		return both(drop("ip saddr "+proxyIP+" "+what), drop("ip saddr "+backendIP+" "+what))
	}
	noEnd := drop("ip saddr " + proxyIP + " tcp sport 443 tcp flags & (fin|psh) != 0 drop")
	expired := recertify(-time.Hour, frontName, vipName)
	return []mix{
		{name: "mix-frozen-direct-blocked", layers: []string{"proxy", "network"}, apply: both(freeze(stunnel), direct)},
		{name: "mix-frozen-loss-5", layers: []string{"proxy", "network"}, apply: both(loss(5), freeze(stunnel))},
		{name: "mix-frozen-control-dropped", layers: []string{"proxy", "network"}, apply: both(freeze(stunnel), controls)},
		{name: "mix-frozen-backend-frozen", layers: []string{"proxy", "backend"},
			apply: both(freeze(stunnel), freeze(nginx))},
		{name: "mix-frozen-names-silent", layers: []string{"proxy", "dns"}, apply: both(freeze(stunnel), silentNames)},
		{name: "mix-frozen-then-dropped", layers: []string{"proxy", "network"},
			apply: freeze(stunnel), later: closedPort(proxyIP, 443)},
		{name: "mix-dropped-then-killed", layers: []string{"proxy", "network"},
			apply: closedPort(proxyIP, 443), later: kill(stunnel)},
		{name: "mix-killed-loss-20", layers: []string{"proxy", "network"}, apply: both(loss(20), kill(stunnel))},
		{name: "mix-backend-dead-control-dropped", layers: []string{"backend", "network"},
			apply: both(kill(nginx), controls)},
		{name: "mix-backend-500-loss-20", layers: []string{"backend", "network"}, apply: both(loss(20), failing500)},
		{name: "mix-backend-slow-new-dropped", layers: []string{"backend", "network"},
			apply: both(slow(2*time.Second), noNew)},
		{name: "mix-backend-dead-resets", layers: []string{"backend", "network"}, apply: both(kill(nginx), resets)},
		{name: "mix-expired-backend-500", layers: []string{"proxy", "backend"}, apply: both(expired, failing500)},
		{name: "mix-link-direct-dropped", layers: []string{"link", "network"}, apply: both(droppedLink, direct)},
		{name: "mix-large-loss-3", layers: []string{"network"}, apply: both(loss(3), noLarge)},
		{name: "mix-data-backend-dead", layers: []string{"network", "backend"}, apply: both(noData, kill(nginx))},
		{name: "mix-return-loss-80", layers: []string{"network"}, apply: lossFrom(80)},
		{name: "mix-return-loss-60-everywhere", layers: []string{"network"}, serves: true,
			apply: returns("numgen random mod 100 < 60 drop")},
		{name: "mix-return-acks-only", layers: []string{"network"}, apply: both(noData, noEnd)},
		{name: "mix-synproxy-host-dead", layers: []string{"host", "network"}, before: synProxy, apply: cutOff},
		{name: "mix-synproxy-frozen", layers: []string{"proxy"}, before: synProxy, apply: freeze(stunnel)},
		{name: "mix-balancer-frozen-backend-500", front: vipName, layers: []string{"balancer", "backend"},
			apply: both(freeze(haproxy), failing500)},
		{name: "mix-balanced-frozen-loss-5", front: vipName, layers: []string{"proxy", "network"},
			apply: both(loss(5), freeze(stunnel))},
		{name: "mix-balanced-killed-names-silent", front: vipName, layers: []string{"proxy", "dns"},
			apply: both(kill(stunnel), silentNames)},
	}
}

// synProxy makes the firewall answer SYNs for the proxy's host before it asks that (RFC 4987, 3.6).
func synProxy(c *chain) {
	c.fw.pipe(nil, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0", "net.ipv4.tcp_syncookies=1", "net.ipv4.tcp_timestamps=1")
	c.fw.nft("table ip syn {",
		"chain raw { type filter hook prerouting priority -300;",
		"ip daddr "+proxyIP+" tcp dport { 22, 443 } tcp flags & (fin|syn|rst|ack) == syn notrack", "}",
		"chain answer { type filter hook forward priority 0;",
		"ip daddr "+proxyIP+" tcp dport { 22, 443 } ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm", "}",
		"}")
}

// cutOff takes the proxy's host from the network.
func cutOff(c *chain) { c.px.links("link set eth0 down") }
