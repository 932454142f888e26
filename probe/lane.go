package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// laneSpec is how one lane looks: where to, and what to say there.
type laneSpec struct {
	kind     LaneKind
	hop      string
	role     Role
	name     string // DNS name to resolve when addrs is empty
	port     uint16
	addrs    []netip.Addr // fixed addresses; DNS is not asked
	expected []config.Prefix
	ep       config.Endpoint // how to speak; URL, request and dialogue are those to use on this lane
	host     string          // Host header
	tls      *tls.Config     // nil: clear text
	expect   config.Expect
	timeouts config.Timeouts
	connect  bool // only connect: control lanes
	version  string
	dns      config.DNS
	options  socketOptions
	look     Look
}

func (s *laneSpec) http() bool { return s.ep.URL.URL != nil && s.ep.URL.HTTP() }

// key names the lane among its target's lanes.
func (s *laneSpec) key() string { return string(s.kind) + "/" + s.hop }

// attempt is one walk through the stages of a lane.
type attempt struct {
	spec      *laneSpec
	env       *Env
	lane      *Lane
	pick      uint64 // which of several addresses: the round's number
	roundDone <-chan struct{}
	life      context.Context // outlives the round when the attempt may be left open
	end       context.CancelFunc

	// onStall, if set, hears of a stage that has been pending for stallAfter.
	onStall    func(StageName)
	stallAfter func(StageName, time.Duration) time.Duration
	// until, if set, bounds all stages together; began is when the last one did.
	until time.Time
	began time.Time

	addr    netip.AddrPort
	conn    *wire // the TCP connection
	raw     syscall.RawConn
	tlsConn *tls.Conn
	stream  net.Conn // what requests go through: conn or tlsConn
	reader  *responseReader
	// unmatched is what is wrong with the peer's words as long as a dialogue waits for others; nil when it said nothing.
	unmatched atomic.Pointer[failure]
	trace     traceID
}

// newLane is the lane's result before anything was seen.
func (s *laneSpec) newLane() *Lane {
	l := &Lane{Lane: s.kind, Hop: s.hop, Role: s.role, Name: s.name, Look: s.look, Extra: s.look != ""}
	if len(s.addrs) == 1 {
		l.Address = netip.AddrPortFrom(s.addrs[0], s.port).String()
	}
	return l
}

// walk goes through the stages until one fails. If the failed one is still pending it returns the channel that yields
// its end; else the connection is closed.
func (a *attempt) walk() (pending <-chan error) {
	steps := []struct {
		name StageName
		use  bool
		run  func() (<-chan error, bool)
	}{
		{StageResolve, len(a.spec.addrs) == 0, a.resolve},
		{StageConnect, true, a.connect},
		{StageTLS, a.spec.tls != nil, a.handshake},
		{StageRequest, !a.spec.connect && (a.spec.http() || len(a.spec.ep.Dialogue) > 0), a.request},
		{StageResponse, !a.spec.connect && a.spec.http(), a.response},
	}
	failed := false
	for _, s := range steps {
		switch {
		case !s.use:
		case failed:
			a.lane.Stages = append(a.lane.Stages, Stage{Stage: s.name, Outcome: Skipped})
		default:
			var ok bool
			pending, ok = s.run()
			failed = !ok
		}
	}
	a.markOverdue()
	if pending == nil {
		a.close()
	}
	return pending
}

func (a *attempt) close() {
	if a.conn != nil {
		a.conn.Close()
	}
}

// markOverdue turns the longest good stage slow when the lane as a whole took longer than expected.
func (a *attempt) markOverdue() {
	limit := a.spec.expect.MaxDuration.Std()
	if limit == 0 {
		return
	}
	var total Seconds
	longest := -1
	for i, s := range a.lane.Stages {
		total += s.Duration
		if s.Good() && (longest < 0 || s.Duration > a.lane.Stages[longest].Duration) {
			longest = i
		}
	}
	if total.Std() > limit && longest >= 0 {
		a.lane.Stages[longest].Outcome = Slow
	}
}

// pickAddress chooses among several addresses by the round's number, so that every one gets its turn. Addresses of a
// family that this host has no route for are passed over as long as there are others.
func pickAddress(addrs []netip.Addr, n uint64) netip.Addr {
	if len(addrs) == 1 {
		return addrs[0]
	}
	var reachable []netip.Addr
	for _, x := range addrs {
		if hasRoute(x) {
			reachable = append(reachable, x)
		}
	}
	if len(reachable) == 0 {
		reachable = addrs
	}
	return reachable[n%uint64(len(reachable))]
}

// hasRoute asks the kernel for a route without sending anything: a connected datagram socket needs one.
func hasRoute(a netip.Addr) bool {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EAFNOSUPPORT) &&
			!errors.Is(err, syscall.EADDRNOTAVAIL) // there is no address of that family to go from
	}
	c.Close()
	return true
}

// clientTLS is the TLS configuration of an endpoint; serverName is sent as SNI and checked.
func clientTLS(ep *config.Endpoint, serverName string) *tls.Config {
	c := &tls.Config{ServerName: serverName, MinVersion: uint16(or(ep.MinTLS, tls.VersionTLS12)), RootCAs: ep.Roots}
	if ep.URL.Scheme == "https" {
		c.NextProtos = []string{"http/1.1"}
	}
	if ep.Certificate != nil {
		c.Certificates = []tls.Certificate{*ep.Certificate}
	}
	return c
}

// literal strips a URL host's zone and brackets; ok if it is an address.
func literal(host string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return a, err == nil
}
