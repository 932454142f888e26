package lab

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
)

// Fault names one thing that can be wrong with a chain.
type Fault string

// Faults, by the part that breaks.
const (
	DNSNXDomain  Fault = "dns-nxdomain"
	DNSServFail  Fault = "dns-servfail"
	DNSRefused   Fault = "dns-refused"
	DNSTimeout   Fault = "dns-timeout"
	DNSWrong     Fault = "dns-wrong-address"
	DNSSlow      Fault = "dns-slow"
	DNSGarbage   Fault = "dns-garbage"
	DNSHuge      Fault = "dns-huge"      // 1 MB over TCP
	DNSTruncated Fault = "dns-truncated" // to be asked again over TCP; no fault in truth

	BalancerFrozen Fault = "balancer-frozen"
	BalancerKilled Fault = "balancer-killed"

	ProxyFrozen    Fault = "proxy-frozen"
	ProxyKilled    Fault = "proxy-killed"
	ProxyCloses    Fault = "proxy-closes" // right after accept
	ProxyResets    Fault = "proxy-resets"
	ProxyAlert     Fault = "proxy-alert"
	ProxyPlainHTTP Fault = "proxy-plain-http"
	ProxyGarbage   Fault = "proxy-garbage"
	ProxyTLS11     Fault = "proxy-tls11" // knows TLS 1.1 only
	ProxyDeaf      Fault = "proxy-deaf"  // shakes hands and relays nothing
	CertExpired    Fault = "cert-expired"
	CertEarly      Fault = "cert-not-yet-valid"
	CertWrongName  Fault = "cert-wrong-name"
	CertUnknownCA  Fault = "cert-unknown-ca"
	CertNoChain    Fault = "cert-no-chain"

	LinkDropped Fault = "link-dropped"
	LinkRefused Fault = "link-refused"

	BackendKilled    Fault = "backend-killed"
	BackendFrozen    Fault = "backend-frozen"
	Backend404       Fault = "backend-404"
	Backend500       Fault = "backend-500"
	Backend503       Fault = "backend-503"
	BackendSlow      Fault = "backend-slow" // by Options.Delay
	BackendTrickle   Fault = "backend-trickle"
	BackendStalls    Fault = "backend-stalls" // in the middle of the body
	BackendTruncates Fault = "backend-truncates"
	BackendWrongBody Fault = "backend-wrong-body"
	BackendCloses    Fault = "backend-closes" // without an answer
	BackendResets    Fault = "backend-resets"
)

// Truth is what is really wrong, in the words of verdicts. Layer is "none" for a peculiarity that is no fault.
type Truth struct{ Layer, Cause string }

// String is layer/cause.
func (t Truth) String() string { return t.Layer + "/" + t.Cause }

// fault is a row of the table of faults.
type fault struct {
	Fault
	truth Truth
	// alike lists what else would look the same from outside, so that naming it is honest.
	alike  []Truth
	inject func(*Chain)
	mend   func(*Chain) error
}

// faults is the table. Mending restores the part's healthy behaviour as a whole.
func faults() []fault {
	return slices.Concat(dnsFaults(), balancerFaults(), proxyFaults(), linkFaults(), backendFaults())
}

func dnsFaults() []fault {
	row := func(f Fault, layer, cause string, mode dnsMode) fault {
		return fault{
			Fault: f, truth: Truth{layer, cause},
			inject: func(c *Chain) { c.dns.set(mode) },
			mend:   func(c *Chain) error { c.dns.set(dnsHealthy); return nil },
		}
	}
	return []fault{
		row(DNSNXDomain, "dns", "name_not_resolved", dnsNXDomain),
		row(DNSServFail, "dns", "server_failure", dnsServFail),
		row(DNSRefused, "dns", "refused", dnsRefused),
		row(DNSTimeout, "dns", "timed_out", dnsSilent),
		row(DNSWrong, "dns", "wrong_address", dnsWrong),
		row(DNSSlow, "dns", "slow", dnsSlow),
		row(DNSGarbage, "dns", "invalid_answer", dnsGarbage),
		row(DNSHuge, "dns", "wrong_address", dnsHuge),
		row(DNSTruncated, "none", "none", dnsTruncated),
	}
}

func balancerFaults() []fault {
	return []fault{
		{
			Fault: BalancerFrozen, truth: Truth{"balancer", "frozen"},
			inject: func(c *Chain) { c.balancer.gate.shut() },
			mend:   func(c *Chain) error { c.balancer.gate.lift(); return nil },
		},
		{
			Fault: BalancerKilled, truth: Truth{"balancer", "process_dead"},
			inject: func(c *Chain) { c.balancer.kill() },
			mend:   func(c *Chain) error { return c.balancer.start() },
		},
	}
}

func proxyFaults() []fault {
	row := func(f Fault, cause string, change func(*proxyMode, *certificates)) fault {
		return fault{
			Fault: f, truth: Truth{"proxy", cause},
			inject: func(c *Chain) { c.proxy.set(func(m *proxyMode) { change(m, c.certs) }) },
			mend: func(c *Chain) error {
				c.proxy.set(func(m *proxyMode) { *m = proxyMode{cert: c.certs.good} })
				return nil
			},
		}
	}
	greet := func(f Fault, cause string, how func(*conn)) fault {
		return row(f, cause, func(m *proxyMode, _ *certificates) { m.greet = how })
	}
	deaf := row(ProxyDeaf, "not_relaying", func(m *proxyMode, _ *certificates) { m.deaf = true })
	deaf.alike = []Truth{{"link", "link_down"}}
	return []fault{
		{
			Fault: ProxyFrozen, truth: Truth{"proxy", "frozen"},
			alike:  []Truth{{"network", "return_path_dropped"}, {"proxy", "accept_queue_full"}},
			inject: func(c *Chain) { c.proxy.gate.shut() },
			mend:   func(c *Chain) error { c.proxy.gate.lift(); return nil },
		},
		{
			Fault: ProxyKilled, truth: Truth{"proxy", "process_dead"}, alike: []Truth{{"network", "firewall_reset"}},
			inject: func(c *Chain) { c.proxy.kill() },
			mend:   func(c *Chain) error { return c.proxy.start() },
		},
		greet(ProxyCloses, "refuses_clients", greetClose),
		greet(ProxyResets, "refuses_clients", greetReset),
		greet(ProxyAlert, "tls_refused", greetAlert),
		greet(ProxyPlainHTTP, "not_tls", greetHTTP),
		greet(ProxyGarbage, "not_tls", greetGarbage),
		row(ProxyTLS11, "tls_refused", func(m *proxyMode, _ *certificates) { m.version = tls.VersionTLS11 }),
		deaf,
		row(CertExpired, "certificate_expired", func(m *proxyMode, c *certificates) { m.cert = c.expired }),
		row(CertEarly, "certificate_expired", func(m *proxyMode, c *certificates) { m.cert = c.early }),
		row(CertWrongName, "certificate_wrong_name", func(m *proxyMode, c *certificates) { m.cert = c.wrongName }),
		row(CertUnknownCA, "certificate_unknown_authority", func(m *proxyMode, c *certificates) { m.cert = c.unknownCA }),
		row(CertNoChain, "certificate_unknown_authority", func(m *proxyMode, c *certificates) { m.cert = c.noChain }),
	}
}

func linkFaults() []fault {
	return []fault{
		{
			Fault: LinkDropped, truth: Truth{"link", "link_down"}, alike: []Truth{{"proxy", "not_relaying"}},
			inject: func(c *Chain) { c.proxy.link.gate.shut() },
			mend:   func(c *Chain) error { c.proxy.link.gate.lift(); return nil },
		},
		{
			Fault: LinkRefused, truth: Truth{"link", "link_refused"},
			inject: func(c *Chain) { c.proxy.link.refuse(true) },
			mend:   func(c *Chain) error { c.proxy.link.refuse(false); return nil },
		},
	}
}

func backendFaults() []fault {
	row := func(f Fault, cause string, mode func(*Chain) backendMode) fault {
		return fault{
			Fault: f, truth: Truth{"backend", cause},
			inject: func(c *Chain) { c.backend.set(mode(c)) },
			mend:   func(c *Chain) error { c.backend.set(healthyBackend); return nil },
		}
	}
	fixed := func(f Fault, cause string, mode backendMode) fault {
		return row(f, cause, func(*Chain) backendMode { return mode })
	}
	status := func(code int) backendMode {
		return backendMode{status: code, body: http.StatusText(code) + "\n"}
	}
	return []fault{
		{
			Fault: BackendKilled, truth: Truth{"backend", "process_dead"},
			inject: func(c *Chain) { c.backend.kill() },
			mend:   func(c *Chain) error { return c.backend.start() },
		},
		{
			Fault: BackendFrozen, truth: Truth{"backend", "frozen"},
			inject: func(c *Chain) { c.backend.gate.shut() },
			mend:   func(c *Chain) error { c.backend.gate.lift(); return nil },
		},
		fixed(Backend404, "error_status", status(http.StatusNotFound)),
		fixed(Backend500, "error_status", status(http.StatusInternalServerError)),
		fixed(Backend503, "error_status", status(http.StatusServiceUnavailable)),
		row(BackendSlow, "slow", func(c *Chain) backendMode {
			return backendMode{status: http.StatusOK, body: Body, delay: c.delay}
		}),
		fixed(BackendTrickle, "body_stalled", backendMode{answer: answerTrickle}),
		fixed(BackendStalls, "body_stalled", backendMode{answer: answerStall}),
		fixed(BackendTruncates, "body_truncated", backendMode{answer: answerTruncated}),
		fixed(BackendWrongBody, "wrong_content", backendMode{status: http.StatusOK, body: "down for maintenance\n"}),
		fixed(BackendCloses, "closes_without_answer", backendMode{answer: answerClose}),
		fixed(BackendResets, "closes_without_answer", backendMode{answer: answerReset}),
	}
}

// Faults lists the faults that a chain without a balancer can have.
func Faults() []Fault {
	var names []Fault
	for _, f := range faults() {
		if f.truth.Layer != "balancer" {
			names = append(names, f.Fault)
		}
	}
	return names
}

// Truth is what is really wrong, first, then what cannot be told from it from outside.
func (f Fault) Truth() []Truth {
	row, err := f.row()
	if err != nil {
		return nil
	}
	return append([]Truth{row.truth}, row.alike...)
}

func (f Fault) row() (fault, error) {
	for _, row := range faults() {
		if row.Fault == f {
			return row, nil
		}
	}
	return fault{}, fmt.Errorf("unknown fault %q", f)
}
