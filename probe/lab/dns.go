package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// nameServer knows one name. It serves UDP and TCP on the same port.
type nameServer struct {
	name string // fully qualified
	addr netip.AddrPort

	closing chan struct{} // for answers that take their time
	wg      sync.WaitGroup
	udp     *dns.Server
	tcp     *dns.Server

	mu        sync.Mutex
	mode      dnsMode
	addresses []netip.Addr
}

// dnsMode is what the name server does with a query.
type dnsMode string

const (
	dnsHealthy   dnsMode = "healthy"
	dnsNXDomain  dnsMode = "nxdomain"
	dnsServFail  dnsMode = "servfail"
	dnsRefused   dnsMode = "refused"
	dnsSilent    dnsMode = "silent"
	dnsSlow      dnsMode = "slow"
	dnsTruncated dnsMode = "truncated" // over UDP; TCP has the whole answer
	dnsGarbage   dnsMode = "garbage"
	dnsHuge      dnsMode = "huge" // truncated over UDP, 1 MB over TCP
	dnsWrong     dnsMode = "wrong"
)

// wrongAddress is of loopback, so that no packet leaves the machine; nothing listens there.
var wrongAddress = netip.AddrFrom4([4]byte{127, 0, 0, 66})

// dnsDelay is how late a slow answer comes.
const dnsDelay = 1200 * time.Millisecond

func newNameServer(name string, ip netip.Addr, addresses ...netip.Addr) (*nameServer, error) {
	s := &nameServer{name: dns.Fqdn(name), mode: dnsHealthy, addresses: addresses, closing: make(chan struct{})}
	ln, err := listenFree(ip)
	if err != nil {
		return nil, fmt.Errorf("start the name server: %w", err)
	}
	s.addr = ln.Addr().(*net.TCPAddr).AddrPort()
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.addr))
	if err != nil {
		return nil, fmt.Errorf("start the name server: %w", errors.Join(err, ln.Close()))
	}
	s.udp = &dns.Server{PacketConn: pc, Handler: s}
	s.tcp = &dns.Server{Listener: ln, Handler: s}
	s.run(s.udp)
	s.run(s.tcp)
	return s, nil
}

// run serves until close; it returns once the server runs, since one that does not cannot be shut down.
func (s *nameServer) run(srv *dns.Server) {
	started := make(chan struct{})
	srv.NotifyStartedFunc = func() { close(started) }
	s.wg.Go(func() { _ = srv.ActivateAndServe() }) // ends with the error of the closed socket
	<-started
}

func (s *nameServer) close() {
	close(s.closing)
	_ = s.udp.Shutdown() // fails only when it does not run
	_ = s.tcp.Shutdown()
	s.wg.Wait()
}

func (s *nameServer) set(mode dnsMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

func (s *nameServer) setAddresses(addresses []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = addresses
}

// ServeDNS implements dns.Handler.
func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	mode, addresses := s.mode, s.addresses
	s.mu.Unlock()
	_, overTCP := w.RemoteAddr().(*net.TCPAddr)
	m := s.answer(q, addresses)
	switch mode {
	case dnsSilent:
		return
	case dnsNXDomain:
		m.Answer, m.Rcode = nil, dns.RcodeNameError
	case dnsServFail:
		m.Answer, m.Rcode = nil, dns.RcodeServerFailure
	case dnsRefused:
		m.Answer, m.Rcode = nil, dns.RcodeRefused
	case dnsSlow:
		if !pauseUntil(s.closing, dnsDelay) {
			return
		}
	case dnsWrong:
		m = s.answer(q, []netip.Addr{wrongAddress})
	case dnsTruncated, dnsHuge:
		if !overTCP {
			m.Answer, m.Truncated = nil, true
		} else if mode == dnsHuge {
			s.flood(w, q)
			return
		}
	case dnsGarbage:
		_, _ = w.Write([]byte(strings.Repeat("\xff\x00?", 40)))
		return
	}
	_ = w.WriteMsg(m) // a client that has gone away is no concern of ours
}

func (s *nameServer) answer(q *dns.Msg, addresses []netip.Addr) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative, m.RecursionAvailable = true, true
	if len(q.Question) != 1 || !strings.EqualFold(q.Question[0].Name, s.name) {
		m.Rcode = dns.RcodeNameError
		return m
	}
	for _, a := range addresses {
		hdr := dns.RR_Header{Name: s.name, Class: dns.ClassINET, Ttl: 1}
		switch {
		case a.Is4() && q.Question[0].Qtype == dns.TypeA:
			hdr.Rrtype = dns.TypeA
			m.Answer = append(m.Answer, &dns.A{Hdr: hdr, A: a.AsSlice()})
		case a.Is6() && q.Question[0].Qtype == dns.TypeAAAA:
			hdr.Rrtype = dns.TypeAAAA
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: hdr, AAAA: a.AsSlice()})
		}
	}
	return m
}

// flood sends the longest messages that fit DNS over TCP (64 KB, nearly four thousand addresses), 16 of them in a row.
func (s *nameServer) flood(w dns.ResponseWriter, q *dns.Msg) {
	const most = 3900
	many := make([]netip.Addr, 0, most)
	for i := range most {
		many = append(many, netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}))
	}
	m := s.answer(q, many)
	m.Compress = true
	if len(m.Answer) == 0 { // asked for AAAA: as long with another type
		q4 := q.Copy()
		q4.Question[0].Qtype = dns.TypeA
		m.Answer = s.answer(q4, many).Answer
	}
	for range 16 {
		if w.WriteMsg(m) != nil {
			return
		}
	}
}
