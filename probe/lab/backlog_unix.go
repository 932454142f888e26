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
	return control(ln, func(fd int) error { return unix.Listen(fd, n) })
}

// setBuffer sets the receive buffer that new connections will have, in bytes; the kernel allows no less than some 2 KiB.
func setBuffer(ln *net.TCPListener, n int) error {
	return control(ln, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n) })
}

func control(ln *net.TCPListener, f func(fd int) error) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	return errors.Join(err, failed)
}
