package lab

import (
	"fmt"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// expectBody is what the answer of a healthy backend begins with.
const expectBody = "ok"

// timeouts are those of the chain's configuration. On loopback a second is long, except for a connect, whose SYN the
// kernel repeats after one second when an accept queue was full.
var timeouts = config.Timeouts{
	Resolve:  config.Duration(2 * time.Second),
	Connect:  config.Duration(1500 * time.Millisecond),
	TLS:      config.Duration(time.Second),
	Request:  config.Duration(time.Second),
	Response: config.Duration(time.Second),
}

// Config is the chain's configuration, as from a file with the text of [Chain.YAML].
func (c *Chain) Config(schedule string) (*config.Config, error) {
	return config.Parse("lab.yaml", []byte(c.YAML(schedule)))
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
