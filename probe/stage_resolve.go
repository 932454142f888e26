package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/whichlayer/whichlayer/config"
)

const (
	resolvConf = "/etc/resolv.conf"
	// maxAddresses bounds what we keep of an answer.
	maxAddresses = 64
	ednsSize     = 1232
)

// resolve asks for the lane's name and picks one address.
func (a *attempt) resolve() (<-chan error, bool) {
	type answer struct {
		addrs   []netip.Addr
		retried bool
	}
	got := make(chan answer, 1)
	timeout := a.spec.timeouts.Resolve.Std()
	life, end := context.WithCancel(a.life)
	defer end()
	pending, ok := a.stage(life, StageResolve, timeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		r := resolver{servers: a.spec.dns.Servers, version: family(&a.spec.ep), source: a.spec.ep.Source}
		addrs, err := r.lookup(ctx, a.spec.name)
		got <- answer{addrs, r.retried}
		if err == nil {
			err = checkExpected(addrs, a.spec.expected)
		}
		return err
	})
	if pending != nil {
		end() // its own timeout ends at the same instant, the round perhaps long before
		<-pending
	}
	select {
	case ans := <-got:
		if ans.retried && ok {
			s := &a.lane.Stages[len(a.lane.Stages)-1]
			if s.Outcome == OK {
				s.Outcome, s.Error = Slow, "a query stayed unanswered and was sent again"
			}
		}
		for _, x := range ans.addrs {
			a.lane.Addresses = append(a.lane.Addresses, x.String())
		}
		if len(ans.addrs) > 0 {
			a.setAddr(pickAddress(ans.addrs, a.pick))
		}
	default:
	}
	return nil, ok && a.addr.IsValid()
}

func (a *attempt) setAddr(ip netip.Addr) {
	a.addr = netip.AddrPortFrom(ip, a.spec.port)
	a.lane.Address = a.addr.String()
}

// checkExpected says which of the addresses should not be there.
func checkExpected(addrs []netip.Addr, expected []config.Prefix) error {
	if len(expected) == 0 {
		return nil
	}
	for _, a := range addrs {
		if !slices.ContainsFunc(expected, func(p config.Prefix) bool { return p.Contains(a) }) {
			return fail(DNSAddressChanged, "resolved to %v, which is outside the expected addresses", a)
		}
	}
	return nil
}

// resolver asks name servers by itself: the standard resolver hides EMFILE and merges NXDOMAIN with no data.
type resolver struct {
	servers []config.Address
	version config.IPVersion
	source  netip.Addr
	retried bool
}

// lookup returns every address of a name, sorted.
func (r *resolver) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	names, servers := []string{dns.Fqdn(name)}, []string{}
	for _, s := range r.servers {
		servers = append(servers, s.String())
	}
	if len(servers) == 0 {
		if addrs := allowed(hostsFile(ctx, name), r.version); len(addrs) > 0 {
			return addrs, nil
		}
		conf, err := dns.ClientConfigFromFile(resolvConf)
		if err != nil {
			return nil, fail(SelfFailed, "%s: %w", resolvConf, err)
		}
		for _, s := range conf.Servers {
			servers = append(servers, net.JoinHostPort(s, conf.Port))
		}
		names = conf.NameList(name)
	}
	if len(servers) == 0 {
		return nil, fail(SelfFailed, "no name server is configured")
	}
	var err error
	for _, n := range names {
		var addrs []netip.Addr
		if addrs, err = r.ask(ctx, n, servers); err == nil {
			return addrs, nil
		}
		var f *failure
		if !errors.As(err, &f) || f.typ != DNSNotResolved {
			return nil, err
		}
	}
	return nil, err
}

// hostsFile looks a name up in the system's hosts file, through a standard resolver that may not ask anybody.
func hostsFile(ctx context.Context, name string) []netip.Addr {
	offline := net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("hosts file only")
	}}
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	addrs, err := offline.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil
	}
	return sortAddrs(addrs)
}

// ask goes through the servers twice, sharing the time that is left among the tries: one lost datagram is no outage.
func (r *resolver) ask(ctx context.Context, fqdn string, servers []string) (addrs []netip.Addr, err error) {
	tries := 2 * len(servers)
	for i := range tries {
		if i > 0 {
			r.retried = true
		}
		deadline, _ := ctx.Deadline()
		share := time.Until(deadline) / time.Duration(tries-i)
		if share <= 0 {
			break
		}
		tctx, cancel := context.WithTimeout(ctx, share)
		addrs, err = r.askServer(tctx, fqdn, servers[i%len(servers)])
		cancel()
		var f *failure
		if err == nil || errors.As(err, &f) && (f.typ == DNSNotResolved || f.typ.Self()) {
			return addrs, err
		}
		if f != nil && f.typ != DNSTimedOut && i >= len(servers)-1 {
			return nil, err // a definite answer from every server
		}
	}
	return nil, err
}

// askServer asks one server for the wanted address families at once.
func (r *resolver) askServer(ctx context.Context, fqdn, server string) ([]netip.Addr, error) {
	types := []uint16{dns.TypeA, dns.TypeAAAA}
	switch r.version {
	case 4:
		types = types[:1]
	case 6:
		types = types[1:]
	}
	answers, errs := make([][]netip.Addr, len(types)), make([]error, len(types))
	var g errgroup.Group
	for i, t := range types {
		g.Go(func() error {
			answers[i], errs[i] = r.query(ctx, fqdn, t, server)
			return nil
		})
	}
	_ = g.Wait() // each query keeps its own error
	addrs := sortAddrs(slices.Concat(answers...))
	if len(addrs) > 0 {
		return addrs, nil
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return nil, fail(DNSNotResolved, "%s: the name exists and has no address (server %s)", strings.TrimSuffix(fqdn, "."), server)
}

// query sends one question and reads its answer, over TCP when the datagram was truncated.
func (r *resolver) query(ctx context.Context, fqdn string, qtype uint16, server string) ([]netip.Addr, error) {
	m := new(dns.Msg).SetQuestion(fqdn, qtype)
	m.SetEdns0(ednsSize, false)
	answer, err := r.exchange(ctx, m, "udp", server)
	if err == nil && answer.Truncated {
		answer, err = r.exchange(ctx, m, "tcp", server)
	}
	if err != nil {
		return nil, dnsFailure(err, server)
	}
	return readAnswer(m, answer, server)
}

func (r *resolver) exchange(ctx context.Context, m *dns.Msg, network, server string) (*dns.Msg, error) {
	d := &net.Dialer{}
	if sameFamily(r.source, server) {
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.source, 0))
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.source, 0))
		}
	}
	deadline, _ := ctx.Deadline()
	d.Deadline = deadline
	c := dns.Client{Net: network, Dialer: d, UDPSize: ednsSize, Timeout: time.Until(deadline)}
	answer, _, err := c.ExchangeContext(ctx, m, server)
	return answer, err
}

// sameFamily tells whether one can go to a host:port from an address. A server of the other family is asked from any.
func sameFamily(from netip.Addr, to string) bool {
	ap, err := netip.ParseAddrPort(to)
	return from.IsValid() && (err != nil || from.Unmap().Is4() == ap.Addr().Unmap().Is4())
}

// dnsFailure types the error of an exchange.
func dnsFailure(err error, server string) error {
	e, name := errnoOf(err)
	f := &failure{typ: DNSInvalid, errno: name, err: fmt.Errorf("server %s: %w", server, trimOp(err))}
	var ne net.Error
	local, isLocal := localErrno(e)
	var op *net.OpError
	heard := errors.As(err, &op) && op.Op == "read" // an ICMP error that somebody on the way sent
	switch {
	case alienSource(err):
		f.typ, f.err = SelfNoRoute, errAlienSource
	case isLocal && (!heard || e != syscall.EACCES):
		f.typ = local
	case e == syscall.ENETUNREACH && !heard:
		f.typ = SelfNoRoute
	case e != 0:
		f.typ = DNSUnreachable
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded):
		f.typ, f.err = DNSTimedOut, fmt.Errorf("server %s: no answer", server)
	}
	return f
}

// readAnswer takes the addresses out of an answer to question m.
func readAnswer(m, answer *dns.Msg, server string) ([]netip.Addr, error) {
	if len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, m.Question[0].Name) || answer.Question[0].Qtype != m.Question[0].Qtype {
		return nil, fail(DNSInvalid, "server %s: an answer to another question", server)
	}
	switch answer.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return nil, fail(DNSNotResolved, "server %s: NXDOMAIN", server)
	case dns.RcodeRefused:
		return nil, fail(DNSRefused, "server %s: REFUSED", server)
	default:
		return nil, fail(DNSFailed, "server %s: %s", server, dns.RcodeToString[answer.Rcode])
	}
	var addrs []netip.Addr
	for _, rr := range answer.Answer {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok && len(addrs) < maxAddresses {
			addrs = append(addrs, a.Unmap())
		}
	}
	return addrs, nil
}

func sortAddrs(addrs []netip.Addr) []netip.Addr {
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}
