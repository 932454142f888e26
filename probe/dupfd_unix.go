//go:build unix

package probe

import (
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// dupFD is a second descriptor of a socket.
type dupFD struct {
	mu   sync.Mutex
	fd   int
	held bool
	done bool
}

// take duplicates the socket's descriptor. That there is none left to take is no reason to fail the connect.
func (d *dupFD) take(c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.held || d.done {
			return
		}
		if n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			d.fd, d.held = n, true
		}
	})
}

func (d *dupFD) peek() (*tcpinfo.Info, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.held {
		return nil, ""
	}
	return tcpinfo.GetFD(d.fd), localAddr(d.fd)
}

func localAddr(fd int) string {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return ""
	}
	var a netip.AddrPort
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		a = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	if a.Port() == 0 {
		return ""
	}
	return net.TCPAddrFromAddrPort(a).String()
}

// icmp takes an ICMP error from the socket's error queue.
func (d *dupFD) icmp() *ICMP {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.held {
		return nil
	}
	return icmpError(d.fd)
}

func (d *dupFD) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held {
		unix.Close(d.fd)
	}
	d.held, d.done = false, true
}
