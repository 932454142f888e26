package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errNoSocketOption tells that this system cannot look in this way.
var errNoSocketOption = errors.New("this system lacks the socket option")

// apply sets the options on a socket that is not connected yet. That ICMP errors are kept with their sender (IP_RECVERR)
// is asked of every socket; a kernel that refuses tells less.
func (o socketOptions) apply(c syscall.RawConn, v6 bool) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		keepErrors(int(fd), v6, 1)
		level, ttl, minTTL := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_MINTTL
		if v6 {
			level, ttl, minTTL = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_MINHOPCOUNT
		}
		for _, set := range []struct{ level, option, value int }{
			{level, ttl, o.ttl}, {level, minTTL, o.minTTL}, {unix.IPPROTO_TCP, unix.TCP_MAXSEG, o.maxSegment},
		} {
			if set.value == 0 {
				continue
			}
			if err := unix.SetsockoptInt(int(fd), set.level, set.option, set.value); err != nil && failed == nil {
				failed = fmt.Errorf("%w: %w", errNoSocketOption, err)
			}
		}
	})
	return errors.Join(err, failed)
}

// keepErrors asks for ICMP errors with their sender, or no longer: on an established connection they would end what
// users' connections survive (tcp_v4_err).
func keepErrors(fd int, v6 bool, on int) {
	if v6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, on)
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, on)
}

// forgetErrors makes an established connection behave as users' do.
func forgetErrors(c syscall.RawConn) {
	_ = c.Control(func(fd uintptr) {
		keepErrors(int(fd), false, 0)
		keepErrors(int(fd), true, 0)
	})
}

// icmpError takes the oldest ICMP error from a socket's queue (ip(7), IP_RECVERR); nil if there is none.
func icmpError(fd int) *ICMP {
	oob := make([]byte, 512)
	_, n, _, _, err := unix.Recvmsg(fd, make([]byte, 64), oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return nil
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return nil
	}
	for _, m := range messages {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if v4 || v6 {
			return readExtendedError(m.Data)
		}
	}
	return nil
}

// readExtendedError reads struct sock_extended_err (linux/errqueue.h) and the address of the offender behind it.
func readExtendedError(b []byte) *ICMP {
	const size = int(unsafe.Sizeof(unix.SockExtendedErr{}))
	if len(b) < size {
		return nil
	}
	origin := b[4]
	e := &ICMP{Type: b[5], Code: b[6], V6: origin == unix.SO_EE_ORIGIN_ICMP6, Local: origin == unix.SO_EE_ORIGIN_LOCAL}
	if !e.Local && !e.V6 && origin != unix.SO_EE_ORIGIN_ICMP {
		return nil
	}
	if a, ok := offender(b[size:]); ok {
		e.From = a.String()
	}
	return e
}

// offender reads a struct sockaddr_in or sockaddr_in6.
func offender(b []byte) (netip.Addr, bool) {
	if len(b) < 8 {
		return netip.Addr{}, false
	}
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET:
		return netip.AddrFromSlice(b[4:8])
	case family == unix.AF_INET6 && len(b) >= 24:
		a, ok := netip.AddrFromSlice(b[8:24])
		return a.Unmap(), ok
	}
	return netip.Addr{}, false
}
