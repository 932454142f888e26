package lab_test

import (
	"testing"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe/lab"
)

func TestConfigLeadsToTheChain(t *testing.T) {
	for _, balancer := range []bool{false, true} {
		c := start(t, lab.Options{Balancer: balancer})
		cfg, err := c.Config("@every 1s")
		if err != nil {
			t.Fatal(err)
		}
		target := cfg.Targets[0]
		if got := target.Front.URL.PortNumber(); got != c.Front().Port() {
			t.Errorf("front: port %d, want %d", got, c.Front().Port())
		}
		if got := target.Backends[0].URL.Host; got != c.Backend().String() {
			t.Errorf("backend: %s, want %s", got, c.Backend())
		}
		if got := cfg.DNS.Servers[0].String(); got != c.NameServer().String() {
			t.Errorf("name server: %s, want %s", got, c.NameServer())
		}
		last := target.Via[len(target.Via)-1]
		if last.Role != config.Proxy || last.Address.String() != c.Proxy().String() || last.Control.String() != c.Control("proxy").String() {
			t.Errorf("proxy: %+v", last)
		}
		if balancer != (len(target.Via) == 2 && target.Via[0].Role == config.Balancer) {
			t.Errorf("via: %+v", target.Via)
		}
		if target.Front.CAFile != c.CAFile() || target.Timeouts.TLS == 0 || *target.HeldOpen == 0 {
			t.Errorf("target: %+v", target)
		}
	}
}
