package probe

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// keepAliveProbes is the most that the kernel takes as TCP_KEEPCNT (MAX_TCP_KEEPCNT).
	keepAliveProbes = 127
	// keepAliveFor is how long an unanswered connection is kept: its answer dates the end of an outage.
	keepAliveFor = 10 * time.Minute
)

// setKeepAlive lets the kernel ask the peer's kernel once in a period, which is in whole seconds. TCP_USER_TIMEOUT takes the
// place of the count (tcp(7)), with which the kernel would end the connection after 127 periods.
func setKeepAlive(c *net.TCPConn, period time.Duration) error {
	if err := c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: period, Interval: period, Count: keepAliveProbes}); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	patience := max(keepAliveFor, 4*period)
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(patience/time.Millisecond))
	})
	if err != nil {
		return err
	}
	return failed
}
