package probe

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// errnoOf is the system call error within err, and its symbolic name.
func errnoOf(err error) (syscall.Errno, string) {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e, unix.ErrnoName(e)
	}
	return 0, ""
}

// localErrno names our own trouble: errors that a socket call gives before a packet has left.
func localErrno(e syscall.Errno) (Type, bool) {
	switch e {
	case syscall.EMFILE, syscall.ENFILE:
		return SelfOutOfFiles, true
	case syscall.EADDRNOTAVAIL, syscall.EADDRINUSE:
		return SelfOutOfPorts, true
	case syscall.ENOBUFS, syscall.ENOMEM:
		return SelfOutOfBuffers, true
	case syscall.EPERM, syscall.EACCES:
		return SelfDenied, true
	case syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT:
		return SelfNoRoute, true
	}
	return "", false
}

var errAlienSource = errors.New("the source address is not one of this host's")

// alienSource tells that the address to probe from could not be taken: it is not, or no longer, ours. The errno is that
// of a connect for which no port is left.
func alienSource(err error) bool {
	var call *os.SyscallError
	return errors.As(err, &call) && call.Syscall == "bind" && errors.Is(call.Err, syscall.EADDRNOTAVAIL)
}

// connectFailure types the error of a TCP connect. An unreachable network or host, or a prohibition, is ours only when
// the kernel said so at once and without having sent a SYN. Over IPv4 an ICMP error leaves the socket in SYN_SENT, over
// IPv6 it closes it, and a packet filter's "administratively prohibited" is EACCES there; a failed neighbour look-up
// takes seconds.
func connectFailure(err error, info *tcpinfo.Info, took time.Duration) error {
	e, name := errnoOf(err)
	f := &failure{typ: TCPFailed, errno: name, err: trimOp(err)}
	if alienSource(err) {
		f.typ, f.err = SelfNoRoute, errAlienSource
		return f
	}
	if t, ok := localErrno(e); ok && (e != syscall.EACCES || sentNothing(info, took)) {
		f.typ = t
		return f
	}
	switch e {
	case syscall.EACCES:
		f.typ, f.err = TCPUnreachable, errors.New("administratively prohibited")
	case syscall.ECONNREFUSED:
		f.typ, f.err = TCPRefused, errors.New("connection refused")
	case syscall.ECONNRESET, syscall.EPIPE:
		f.typ = TCPReset
	case syscall.ETIMEDOUT:
		f.typ = TCPTimedOut
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN:
		f.typ = TCPUnreachable
		if sentNothing(info, took) {
			f.typ = SelfNoRoute
		}
	}
	return f
}

func sentNothing(info *tcpinfo.Info, took time.Duration) bool {
	if info == nil {
		return took < 2*time.Millisecond
	}
	return info.State != tcpinfo.SynSent && info.SegsOut == 0 && info.TotalRetrans == 0 && took < 100*time.Millisecond
}

// trimOp drops "dial tcp 10.0.0.1:443: connect:" from an error: address and stage stand beside it already.
func trimOp(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// streamTypes are the types of the ways in which a stream can end early.
type streamTypes struct{ timedOut, closed, reset Type }

// streamFailure types an I/O error of an established connection; ok is false if err is none.
func streamFailure(err error, t streamTypes) (*failure, bool) {
	if err == nil {
		return nil, false
	}
	e, name := errnoOf(err)
	f := &failure{errno: name, err: trimOp(err)}
	local, isLocal := localErrno(e)
	switch {
	case isLocal:
		f.typ = local
	case e == syscall.ECONNRESET || e == syscall.EPIPE || e == syscall.ECONNABORTED:
		f.typ, f.err = t.reset, errors.New("the peer reset the connection")
	case e == syscall.ETIMEDOUT || errors.Is(err, os.ErrDeadlineExceeded):
		f.typ = t.timedOut
	case e == syscall.EHOSTUNREACH || e == syscall.ENETUNREACH || e == syscall.ECONNREFUSED:
		f.typ = TCPUnreachable // an ICMP error that a broken established connection reports
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		f.typ, f.err = t.closed, errors.New("the peer closed the connection")
	case errors.Is(err, net.ErrClosed):
		f.typ = SelfStopped
	default:
		return nil, false
	}
	return f, true
}
