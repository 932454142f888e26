package lab_test

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whichlayer/whichlayer/probe/lab"
)

// dnsSight is what a stub resolver sees: a word over UDP and a word over TCP.
type dnsSight struct {
	fault    lab.Fault
	udp, tcp string
}

func dnsSights() []dnsSight {
	return []dnsSight{
		{lab.DNSNXDomain, "NXDOMAIN", "NXDOMAIN"},
		{lab.DNSServFail, "SERVFAIL", "SERVFAIL"},
		{lab.DNSRefused, "REFUSED", "REFUSED"},
		{lab.DNSTimeout, "error", "error"},
		{lab.DNSWrong, "127.0.0.66", "127.0.0.66"},
		{lab.DNSSlow, "error", "error"}, // slower than this client waits
		{lab.DNSGarbage, "error", "error"},
		{lab.DNSHuge, "truncated", "3900 addresses"},
		{lab.DNSTruncated, "truncated", "127.0.0.1"},
	}
}

func TestNameServer(t *testing.T) {
	for _, s := range dnsSights() {
		t.Run(string(s.fault), func(t *testing.T) {
			t.Parallel()
			c := start(t, lab.Options{})
			breakIt(t, c, s.fault)
			if got := resolve(c, "udp"); got != s.udp {
				t.Errorf("udp: %q, want %q", got, s.udp)
			}
			if got := resolve(c, "tcp"); got != s.tcp {
				t.Errorf("tcp: %q, want %q", got, s.tcp)
			}
			mend(t, c, s.fault)
			if got := resolve(c, "udp"); got != "127.0.0.1" {
				t.Errorf("after mending: %q", got)
			}
		})
	}
}

func TestSeveralAddresses(t *testing.T) {
	c := start(t, lab.Options{})
	c.SetAddresses(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("::1"))
	if got := resolve(c, "udp"); got != "2 addresses" {
		t.Errorf("A: %q", got)
	}
	m, err := exchange(c, "udp", "other.test.", dns.TypeA)
	if err != nil || m.Rcode != dns.RcodeNameError {
		t.Errorf("another name: %v, %v", m, err)
	}
	m, err = exchange(c, "udp", "DEMO.test.", dns.TypeAAAA)
	if err != nil || len(m.Answer) != 1 {
		t.Errorf("AAAA: %v, %v", m, err)
	}
}

func exchange(c *lab.Chain, network, name string, qtype uint16) (*dns.Msg, error) {
	client := dns.Client{Net: network, Timeout: patience}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype), c.NameServer().String())
	return m, err
}

func resolve(c *lab.Chain, network string) string {
	m, err := exchange(c, network, "demo.test.", dns.TypeA)
	switch {
	case err != nil:
		return "error"
	case m.Truncated:
		return "truncated"
	case m.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[m.Rcode]
	case len(m.Answer) == 1:
		return m.Answer[0].(*dns.A).A.String()
	}
	return strconv.Itoa(len(m.Answer)) + " addresses"
}

// TestSlowNameServerAnswers waits longer than the other tests do.
func TestSlowNameServerAnswers(t *testing.T) {
	t.Parallel()
	c := start(t, lab.Options{})
	breakIt(t, c, lab.DNSSlow)
	client := dns.Client{Timeout: 10 * time.Second}
	m, took, err := client.Exchange(new(dns.Msg).SetQuestion("demo.test.", dns.TypeA), c.NameServer().String())
	if err != nil || len(m.Answer) != 1 || took < time.Second {
		t.Errorf("%v after %v, %v", m, took, err)
	}
}
