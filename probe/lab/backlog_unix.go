//go:build unix

package lab

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// setBacklog calls listen(2) again, which on a socket that listens already only changes the length of its accept
// queue. Linux lets n+1 connections wait and then drops SYNs.
func setBacklog(ln *net.TCPListener, n int) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), n) })
	return errors.Join(err, failed)
}
