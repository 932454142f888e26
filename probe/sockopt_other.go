//go:build !linux

package probe

import (
	"errors"
	"syscall"
)

// errNoSocketOption tells that this system cannot look in this way.
var errNoSocketOption = errors.New("this system lacks the socket option")

func (o socketOptions) apply(syscall.RawConn, bool) error {
	if o != (socketOptions{}) {
		return errNoSocketOption
	}
	return nil
}

func forgetErrors(syscall.RawConn) {}

func icmpError(int) *ICMP { return nil }
