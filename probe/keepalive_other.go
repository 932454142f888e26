//go:build !linux

package probe

import (
	"net"
	"time"
)

// setKeepAlive lets the kernel ask the peer's kernel once in a period. Where it does not tell when it was last answered, it
// ends the connection after two questions without an answer, and that is seen.
func setKeepAlive(c *net.TCPConn, period time.Duration) error {
	return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: period, Interval: period, Count: 2})
}
