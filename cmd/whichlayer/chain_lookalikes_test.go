//go:build linux

package main_test

import (
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// lookAlikeSpan is for how long each look-alike is watched: two rounds with a stage timeout each, and what follows.
const lookAlikeSpan = 9 * time.Second

// TestChainLookAlikes breaks the chain in ways that look like others from outside. A verdict may name the other one, as
// long as it is not sure and has the truth among its suspects.
func TestChainLookAlikes(t *testing.T) {
	s := newSuite(t)
	s.build(t)
	for _, f := range lookAlikes() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, s)
			w := c.watch(f)
			w.healthy(3)
			f.apply(c)
			for end := time.Now().Add(lookAlikeSpan); time.Now().Before(end); {
				w.results(1)
			}
			w.finish()
			e := lastWord(w.events)
			if e == nil {
				e = &w.events[len(w.events)-1]
			}
			f.ambiguous = true
			for _, problem := range (&observation{fault: f}).judgeLayer(e) {
				t.Error(problem)
			}
			t.Logf("%s %s/%s %s: %s %v", e.Verdict.State, e.Verdict.Layer, e.Verdict.Cause, e.Verdict.Confidence, e.Verdict.Rule, e.Verdict.Suspects)
		})
	}
}

// lookAlikes lists them with the truth, and with other layers that are as true.
func lookAlikes() []fault {
	const (
		to   = "ip daddr " + proxyIP + " tcp dport 443 "
		back = "ip saddr " + proxyIP + " tcp sport 443 "
		data = "tcp flags & (syn|fin|rst) == 0 meta length gt 52 drop"
	)
	return []fault{
		{name: "answers-dropped", layer: "network", apply: drop(back + data)},
		{name: "answers-and-ends-dropped", layer: "network", apply: drop(back + "tcp flags & (syn|rst) == 0 meta length gt 52 drop")},
		{name: "large-requests-dropped", layer: "network", apply: drop(to + "meta length gt 1000 drop")},
		{name: "hello-reset", layer: "network", apply: drop(to + "meta length gt 200 reject with tcp reset")},
		{name: "syn-ack-dropped", layer: "network", apply: drop(back + "tcp flags & (syn|ack) == syn|ack drop")},
		{name: "new-dropped", layer: "network", apply: drop(to + "ct state new drop")},
		{name: "datagrams-to-names-dropped", layer: "network", honest: []string{"dns"}, apply: drop("udp dport 53 drop")},
		{name: "name-server-dropped", layer: "network", honest: []string{"dns"}, apply: drop("ip daddr " + namesIP + " drop")},
		{name: "host-drops", layer: "network", honest: []string{"host"}, apply: filter(proxyHost, "input tcp dport 443 drop")},
		{name: "host-resets", layer: "network", honest: []string{"host"}, apply: filter(proxyHost, "input tcp dport 443 reject with tcp reset")},
		{name: "host-prohibits", layer: "host", apply: filter(proxyHost, "input tcp dport 443 reject with icmp type admin-prohibited")},
		{name: "prober-prohibits", layer: "prober", apply: filter(client, "output "+to+"reject with icmp type admin-prohibited")},
		{name: "prober-resets", layer: "prober", apply: filter(client, "output "+to+"reject with tcp reset")},
		{name: "prober-drops", layer: "prober", honest: []string{"network"}, apply: filter(client, "output "+to+"drop")},
		{name: "mute-process", layer: "proxy", apply: replace(func(c net.Conn, _ *tls.Config) { _, _ = io.Copy(io.Discard, c) })},
		{name: "mute-after-handshake", layer: "proxy", apply: replace(muteTLS)},
		{name: "closes-at-once", layer: "proxy", apply: replace(func(net.Conn, *tls.Config) {})},
		{name: "resets-at-once", layer: "proxy", apply: replace(func(c net.Conn, _ *tls.Config) { _ = c.(*net.TCPConn).SetLinger(0) })},
		{name: "link-data-dropped", layer: "link", apply: func(c *chain) { c.be.nft("add rule inet faults input iifname back " + data) }},
	}
}

func proxyHost(c *chain) *host { return c.px }
func client(c *chain) *host    { return c.cli }

// filter adds a rule to a host's own packet filter.
func filter(at func(*chain) *host, rule string) func(*chain) {
	return func(c *chain) {
		at(c).nft("table inet own {", "chain input { type filter hook input priority 0; }",
			"chain output { type filter hook output priority 0; }", "}", "add rule inet own "+rule)
	}
}

// replace puts another process in the proxy's place.
func replace(serve func(net.Conn, *tls.Config)) func(*chain) {
	return func(c *chain) {
		c.stunnel.stop()
		pair, err := tls.LoadX509KeyPair(filepath.Join(c.dir, "proxy.pem"), filepath.Join(c.dir, "proxy.pem"))
		if err != nil {
			c.t.Fatal(err)
		}
		l := c.px.listen(proxyIP + ":443")
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					serve(conn, &tls.Config{Certificates: []tls.Certificate{pair}})
				}()
			}
		}()
	}
}

// muteTLS shakes hands and never answers.
func muteTLS(c net.Conn, cfg *tls.Config) {
	t := tls.Server(c, cfg)
	if t.Handshake() == nil {
		_, _ = io.Copy(io.Discard, t)
	}
}
