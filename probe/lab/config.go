package lab

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// expectBody is what the answer of a healthy backend begins with.
const expectBody = "ok"

// timeouts are those of the chain's configuration. On loopback a second is long, except for a connect, whose SYN the
// kernel repeats after one second when an accept queue was full.
var timeouts = config.Timeouts{
	Resolve:  config.Duration(time.Second),
	Connect:  config.Duration(1500 * time.Millisecond),
	TLS:      config.Duration(time.Second),
	Request:  config.Duration(time.Second),
	Response: config.Duration(time.Second),
}

// DNS names the chain's name server.
func (c *Chain) DNS() config.DNS { return config.DNS{Servers: []config.Address{address(c.dns.addr)}} }

// Target is the chain's configuration as the program has it after loading [Chain.YAML].
func (c *Chain) Target() config.Target {
	heldOpen := config.Interval(500 * time.Millisecond)
	t := config.Target{
		Name:     "demo",
		Timeouts: timeouts,
		HeldOpen: &heldOpen,
		Front: config.Endpoint{
			URL:       httpURL("https", fmt.Sprintf("%s:%d", c.name, c.Front().Port())),
			Addresses: []config.Prefix{{Prefix: netip.PrefixFrom(c.Front().Addr(), 32)}},
			CAFile:    c.caFile,
		},
		Via: []config.Hop{{
			Name: "proxy", Role: config.Proxy, Address: address(c.proxy.addr), Control: c.controlAddress("proxy"),
		}},
		Backends: []config.Backend{{
			Name:     "backend",
			Endpoint: config.Endpoint{URL: httpURL("http", c.backend.addr.String())},
			Control:  c.controlAddress("backend"),
		}},
		Expect: config.Expect{Body: expectBody},
	}
	if c.balancer != nil {
		t.Via = append([]config.Hop{{
			Name: "balancer", Role: config.Balancer, Address: address(c.balancer.addr), Control: c.controlAddress("balancer"),
		}}, t.Via...)
	}
	return t
}

// YAML is a configuration file for the chain. Schedule is such as "@every 1s".
func (c *Chain) YAML(schedule string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `schedule: %q
timeouts: {resolve: %v, connect: %v, tls: %v, request: %v, response: %v}
heldopen: 500ms
dns: {servers: [%q]}
listen: off
targets:
  - name: demo
    front: {url: "https://%s:%d/", addresses: [%q], ca_file: %q}
    via:
`, schedule, timeouts.Resolve.Std(), timeouts.Connect.Std(), timeouts.TLS.Std(), timeouts.Request.Std(), timeouts.Response.Std(),
		c.dns.addr, c.name, c.Front().Port(), c.Front().Addr(), c.caFile)
	if c.balancer != nil {
		fmt.Fprintf(&b, "      - {name: balancer, role: balancer, address: %q, control: %q}\n", c.balancer.addr, c.Control("balancer"))
	}
	fmt.Fprintf(&b, `      - {name: proxy, role: proxy, address: %q, control: %q}
    backend: {name: backend, url: "http://%s/", control: %q}
    expect: {body: %s}
`, c.proxy.addr, c.Control("proxy"), c.backend.addr, c.Control("backend"), expectBody)
	return b.String()
}

func (c *Chain) controlAddress(part string) *config.Address {
	a := address(c.Control(part))
	return &a
}

func address(a netip.AddrPort) config.Address {
	return config.Address{Host: a.Addr().String(), Port: a.Port()}
}

func httpURL(scheme, host string) config.URL {
	return config.URL{URL: &url.URL{Scheme: scheme, Host: host, Path: "/"}}
}
