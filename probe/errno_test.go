package probe

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// TestConnectFailureIsOurs: an errno is ours only when no SYN has left. Over IPv6 an ICMP error closes the socket, and a
// packet filter's "administratively prohibited" is EACCES (RFC 4443, 3.1; net/ipv6/icmp.c).
func TestConnectFailureIsOurs(t *testing.T) {
	t.Parallel()
	unsent, sent := &tcpinfo.Info{State: tcpinfo.Close}, &tcpinfo.Info{State: tcpinfo.Close, SegsOut: 1}
	for name, c := range map[string]struct {
		errno syscall.Errno
		info  *tcpinfo.Info
		took  time.Duration
		want  Type
	}{
		"a prohibiting route of ours":     {syscall.EACCES, unsent, 50 * time.Microsecond, SelfDenied},
		"a filter on the way says no":     {syscall.EACCES, sent, 12 * time.Millisecond, TCPUnreachable},
		"a local policy":                  {syscall.EPERM, unsent, 50 * time.Microsecond, SelfDenied},
		"no route of ours":                {syscall.ENETUNREACH, unsent, 50 * time.Microsecond, SelfNoRoute},
		"a router without a route":        {syscall.ENETUNREACH, sent, 12 * time.Millisecond, TCPUnreachable},
		"a router over IPv4":              {syscall.EHOSTUNREACH, &tcpinfo.Info{State: tcpinfo.SynSent, SegsOut: 1}, time.Millisecond, TCPUnreachable},
		"at once, without TCP_INFO":       {syscall.EACCES, nil, 50 * time.Microsecond, SelfDenied},
		"after a while, without TCP_INFO": {syscall.EACCES, nil, 12 * time.Millisecond, TCPUnreachable},
	} {
		err := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", c.errno)}
		var f *failure
		if got := connectFailure(err, c.info, c.took); !errors.As(got, &f) || f.typ != c.want {
			t.Errorf("%s: %v, want %s", name, f.typ, c.want)
		}
	}
}

// TestDNSFailureIsOurs: what comes out of reading an answer was said by somebody on the way.
func TestDNSFailureIsOurs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		op, call string
		errno    syscall.Errno
		want     Type
	}{
		"no route of ours":            {"dial", "connect", syscall.ENETUNREACH, SelfNoRoute},
		"a router without a route":    {"read", "read", syscall.ENETUNREACH, DNSUnreachable},
		"a filter on the way says no": {"read", "read", syscall.EACCES, DNSUnreachable},
		"our own filter":              {"write", "write", syscall.EPERM, SelfDenied},
		"nobody listens":              {"read", "read", syscall.ECONNREFUSED, DNSUnreachable},
	} {
		err := &net.OpError{Op: c.op, Net: "udp", Err: os.NewSyscallError(c.call, c.errno)}
		var f *failure
		if got := dnsFailure(err, "10.0.0.53:53"); !errors.As(got, &f) || f.typ != c.want {
			t.Errorf("%s: %v, want %s", name, f.typ, c.want)
		}
	}
}
