//go:build linux

package main_test

import (
	"cmp"
	"syscall"
	"time"
)

// fault is one thing that can break in a chain, and what whichlayer must make of it.
type fault struct {
	name string
	// front is the name that users ask for: the proxy's frontName by default, or the balancer's vipName.
	front string
	// layer is the truth. Beside it, a verdict may name a layer of honest: one that nobody can tell apart from outside.
	// A verdict that is not confirmed may name another yet, if the truth is among its suspects and ambiguous is set.
	layer     string
	honest    []string
	ambiguous bool
	// timeout is that of the stage that fails; 0 when it fails at once.
	timeout time.Duration
	// thaw marks a fault that ends with an answer on connections that were left hanging.
	thaw bool
	// serves marks a fault under which users are still served, too slowly.
	serves      bool
	apply, lift func(*chain)
}

func (f fault) frontName() string { return cmp.Or(f.front, frontName) }

// Timeouts of testdata/chain/whichlayer.yaml.
const (
	resolveTimeout = 2 * time.Second
	connectTimeout = 4 * time.Second
	tlsTimeout     = 3 * time.Second
	requestTimeout = 3 * time.Second
)

func drop(rule string) func(*chain) {
	return func(c *chain) { c.fw.nft("add rule inet faults forward " + rule) }
}
func undrop(c *chain) { c.fw.nft("flush chain inet faults forward") }
func freeze(d func(*chain) *daemon) func(*chain) {
	return func(c *chain) { d(c).signal(syscall.SIGSTOP) }
}
func thaw(d func(*chain) *daemon) func(*chain) {
	return func(c *chain) { d(c).signal(syscall.SIGCONT) }
}
func stunnel(c *chain) *daemon { return c.stunnel }
func nginx(c *chain) *daemon   { return c.nginx }
func haproxy(c *chain) *daemon { return c.haproxy }

// recertify swaps the proxy's certificate; connections that are already there live on.
func recertify(valid time.Duration, names ...string) func(*chain) {
	return func(c *chain) { c.certificate(time.Now().Add(valid), names...); c.reload() }
}

// slow lets nginx hand the request to an application that takes its time.
func slow(delay time.Duration) func(*chain) {
	return func(c *chain) { c.app.delay.Store(int64(delay)); c.write("slow", nil) }
}

// faults lists what is broken, from the client outwards.
func faults() []fault {
	whole := recertify(24*time.Hour, frontName, vipName)
	return []fault{
		{name: "names-gone", layer: "dns",
			apply: func(c *chain) { c.names.gone.Store(true) }, lift: func(c *chain) { c.names.gone.Store(false) }},
		{name: "names-silent", layer: "dns", timeout: resolveTimeout,
			apply: func(c *chain) { c.names.silent.Store(true) }, lift: func(c *chain) { c.names.silent.Store(false) }},

		{name: "port-refused", layer: "network", ambiguous: true,
			apply: drop("ip daddr " + proxyIP + " tcp dport 443 reject with tcp reset"), lift: undrop},
		{name: "port-dropped", layer: "network", timeout: connectTimeout,
			apply: drop("ip daddr " + proxyIP + " tcp dport 443 drop"), lift: undrop},
		{name: "host-dropped", layer: "network", honest: []string{"host"}, timeout: connectTimeout,
			apply: func(c *chain) { drop("ip daddr " + proxyIP + " drop")(c); drop("ip saddr " + proxyIP + " drop")(c) }, lift: undrop},
		{name: "large-packets-dropped", layer: "network", timeout: tlsTimeout,
			apply: drop("ip saddr " + proxyIP + " meta length gt 1000 drop"), lift: undrop},

		{name: "balancer-frozen", front: vipName, layer: "balancer", timeout: tlsTimeout, thaw: true,
			apply: freeze(haproxy), lift: thaw(haproxy)},
		{name: "balanced-proxy-frozen", front: vipName, layer: "proxy", timeout: tlsTimeout, thaw: true,
			apply: freeze(stunnel), lift: thaw(stunnel)},

		{name: "proxy-frozen", layer: "proxy", timeout: tlsTimeout, thaw: true,
			apply: freeze(stunnel), lift: thaw(stunnel)},
		{name: "proxy-killed", layer: "proxy",
			apply: func(c *chain) { c.stunnel.stop() }, lift: func(c *chain) { c.stunnel = c.startStunnel() }},
		{name: "certificate-expired", layer: "proxy", apply: recertify(-time.Hour, frontName, vipName), lift: whole},
		{name: "certificate-other-name", layer: "proxy", apply: recertify(24*time.Hour, "other.chain.test"), lift: whole},

		{name: "link-dropped", layer: "link", timeout: requestTimeout,
			apply: func(c *chain) { c.be.nft("add rule inet faults input iifname back drop") },
			lift:  func(c *chain) { c.be.nft("flush chain inet faults input") }},

		{name: "backend-stopped", layer: "backend",
			apply: func(c *chain) { c.nginx.stop() }, lift: func(c *chain) { c.nginx = c.startNginx() }},
		{name: "backend-frozen", layer: "backend", timeout: requestTimeout, thaw: true,
			apply: freeze(nginx), lift: thaw(nginx)},
		{name: "backend-500", layer: "backend",
			apply: func(c *chain) { c.write("fail", nil) }, lift: func(c *chain) { c.remove("fail") }},
		{name: "backend-too-slow", layer: "backend", timeout: requestTimeout,
			apply: slow(8 * time.Second), lift: func(c *chain) { c.remove("slow") }},
		{name: "backend-slow", layer: "backend", timeout: 2 * time.Second, serves: true,
			apply: slow(2 * time.Second), lift: func(c *chain) { c.remove("slow") }},
	}
}
