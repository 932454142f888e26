package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/whichlayer/whichlayer/config"
)

const (
	resolvConf = "/etc/resolv.conf"
	// maxAddresses bounds what we keep of an answer.
	maxAddresses = 64
	ednsSize     = 1232
)

// Asked is how one name server did in one resolve stage.
type Asked struct {
	// Server is its address and port.
	Server string `json:"server"`
	// Questions counts those whose fate is known; A and AAAA are two.
	Questions int `json:"questions"`
	// Resent counts those of them that stayed unanswered while others were answered. A look-up that got no answer at all
	// counts none: that is an outage, not loss.
	Resent int `json:"resent,omitempty"`
}

// resolver asks name servers by itself: the standard resolver hides EMFILE and merges NXDOMAIN with no data.
type resolver struct {
	servers []config.Address
	version config.IPVersion
	source  netip.Addr

	mu    sync.Mutex
	asked []Asked
}

// lookup returns every address of a name, sorted.
func (r *resolver) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	names, servers := []string{dns.Fqdn(name)}, hostPorts(r.servers)
	if len(servers) == 0 {
		if addrs := allowed(hostsFile(ctx, name), r.version); len(addrs) > 0 {
			return addrs, nil
		}
		conf, err := dns.ClientConfigFromFile(resolvConf)
		if err != nil {
			return nil, fail(SelfFailed, "%s: %w", resolvConf, err)
		}
		servers, names = confServers(conf), conf.NameList(name)
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

func hostPorts(addrs []config.Address) (out []string) {
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}

func confServers(conf *dns.ClientConfig) (out []string) {
	for _, s := range conf.Servers {
		out = append(out, net.JoinHostPort(s, conf.Port))
	}
	return out
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

// types are the record types of the wanted address families.
func (r *resolver) types() []uint16 {
	switch r.version {
	case 4:
		return []uint16{dns.TypeA}
	case 6:
		return []uint16{dns.TypeAAAA}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

// ask asks for all wanted address families at once. When one has an answer and the other's question stays silent, the
// last quarter of the time is not spent on waiting.
func (r *resolver) ask(ctx context.Context, fqdn string, servers []string) ([]netip.Addr, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	deadline, _ := ctx.Deadline()
	enough := time.Duration(float64(time.Until(deadline)) * 0.75)
	types := r.types()
	answers, errs := make([][]netip.Addr, len(types)), make([]error, len(types))
	asked := make([][]Asked, len(types))
	begin := time.Now()
	var wg sync.WaitGroup
	for i, t := range types {
		wg.Go(func() {
			h := hedge{resolver: r, fqdn: fqdn, qtype: t, servers: servers}
			answers[i], errs[i] = h.run(ctx)
			asked[i] = h.asked(errs[i])
			if len(answers[i]) > 0 && len(types) > 1 {
				time.AfterFunc(enough-time.Since(begin), cancel)
			}
		})
	}
	wg.Wait()
	addrs := sortAddrs(slices.Concat(answers...))
	if len(addrs) > 0 {
		r.note(asked...)
		return addrs, nil
	}
	for _, err := range errs {
		var f *failure
		if errors.As(err, &f) && f.typ == DNSTimedOut {
			r.notePartly(asked, errs)
			return nil, err
		}
	}
	r.note(asked...)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return nil, fail(DNSNotResolved, "%s: the name exists and has no address (server %s)", strings.TrimSuffix(fqdn, "."), servers[0])
}

// notePartly notes a look-up that failed for want of one family's answer although the other's came: the server is there.
func (r *resolver) notePartly(asked [][]Asked, errs []error) {
	for _, err := range errs {
		var f *failure
		if err == nil || errors.As(err, &f) && f.typ != DNSTimedOut {
			r.note(asked...)
			return
		}
	}
}

// note adds up what was asked of each server.
func (r *resolver) note(all ...[]Asked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range slices.Concat(all...) {
		i := slices.IndexFunc(r.asked, func(o Asked) bool { return o.Server == a.Server })
		if i < 0 {
			r.asked = append(r.asked, a)
			continue
		}
		r.asked[i].Questions += a.Questions
		r.asked[i].Resent += a.Resent
	}
}

// query sends one question and reads its answer, over TCP when the datagram was truncated.
func (r *resolver) query(ctx context.Context, fqdn string, qtype uint16, server string) ([]netip.Addr, error) {
	m := question(fqdn, qtype)
	answer, icmp, err := r.exchange(ctx, m, "udp", server)
	if err == nil && answer.Truncated {
		answer, icmp, err = r.exchange(ctx, m, "tcp", server)
	}
	if err != nil {
		f := dnsFailure(err, server)
		f.icmp = icmp
		return nil, f
	}
	return readAnswer(m, answer, server)
}

func question(fqdn string, qtype uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(fqdn, qtype)
	m.SetEdns0(ednsSize, false)
	return m
}

// exchange returns when there is an answer, an error, or when ctx ends. An ICMP error is told with its sender.
func (r *resolver) exchange(ctx context.Context, m *dns.Msg, network, server string) (*dns.Msg, *ICMP, error) {
	var d net.Dialer
	if network == "udp" {
		d.Control = func(network, _ string, c syscall.RawConn) error { return socketOptions{}.apply(c, network == "udp6") }
	}
	if sameFamily(r.source, server) {
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.source, 0))
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.source, 0))
		}
	}
	conn, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	answer, err := converse(ctx, conn, m)
	if err != nil {
		return nil, icmpOf(conn), err
	}
	return answer, nil, nil
}

// icmpOf is the ICMP error that a connection has met; nil if there is none.
func icmpOf(conn net.Conn) (e *ICMP) {
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { e = icmpError(int(fd)) }) // fails when it is closed, and then there is none
		}
	}
	return e
}

// converse asks on a connection and reads the answer. Datagrams that belong to another question are passed over.
func converse(ctx context.Context, conn net.Conn, m *dns.Msg) (*dns.Msg, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // fails when it is closed already
	defer stop()
	c := dns.Conn{Conn: conn, UDPSize: ednsSize}
	if err := c.WriteMsg(m); err != nil {
		return nil, err
	}
	_, datagrams := conn.(net.PacketConn)
	for {
		answer, err := c.ReadMsg()
		if err != nil {
			return nil, err
		}
		if answer.Id == m.Id {
			return answer, nil
		}
		if !datagrams {
			return nil, dns.ErrId
		}
	}
}

// sameFamily tells whether one can go to a host:port from an address. A server of the other family is asked from any.
func sameFamily(from netip.Addr, to string) bool {
	ap, err := netip.ParseAddrPort(to)
	return from.IsValid() && (err != nil || from.Unmap().Is4() == ap.Addr().Unmap().Is4())
}

// dnsFailure types the error of an exchange.
func dnsFailure(err error, server string) *failure {
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
	case e == syscall.ECONNRESET || e == syscall.EPIPE: // it took the connection
	case e != 0:
		f.typ = DNSUnreachable
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
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
