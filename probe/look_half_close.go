package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// reactTime is how long a living process takes at most to close a connection that its peer has closed: it was measured
// to be milliseconds, with stunnel, haproxy and nginx.
const reactTime = time.Second

// lookHalfClose makes a fresh connection and closes our side of it at once (shutdown(SHUT_WR)). The peer's kernel
// acknowledges the FIN by itself; only the process can answer it. It needs no cryptography and no large packet, so what
// it takes to react is a running accept loop and a way back.
func (r *round) lookHalfClose(s *laneSpec, to netip.AddrPort) func() Lane {
	spec := lookSpec(s, LookHalfClose)
	return func() Lane {
		return r.look(spec, to, func(a *attempt) <-chan error {
			if pending, ok := a.connect(); !ok {
				return pending
			}
			var reaction Reaction
			pending, _ := a.stage(a.life, StageRequest, reactTime, func(ctx context.Context) error {
				defer context.AfterFunc(ctx, func() { a.conn.Close() })()
				var err error
				reaction, err = a.halfClose()
				return err
			})
			if pending != nil {
				a.lane.Reaction = ReactionNone
				return pending
			}
			a.lane.Reaction = reaction
			return nil
		})
	}
}

// halfClose closes our side and waits until the peer ends the connection or says something. A connection that has ended
// before was reset: nothing else ends one whose sides are both open.
func (a *attempt) halfClose() (Reaction, error) {
	switch err := closeWrite(a.conn); {
	case errors.Is(err, syscall.ENOTCONN):
		return ReactionReset, nil
	case err != nil:
		return "", exchangeFailure(err, a.conn.last())
	}
	n, err := a.conn.Read(make([]byte, 4096))
	switch {
	case n > 0:
		return ReactionData, nil
	case errors.Is(err, io.EOF):
		return ReactionClosed, nil
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ReactionReset, nil
	}
	return "", exchangeFailure(err, a.conn.last())
}

// closeWrite sends our FIN and leaves the other direction open.
func closeWrite(w *wire) error {
	c, ok := w.Conn.(*net.TCPConn)
	if !ok {
		return errNoSocketOption
	}
	return c.CloseWrite()
}
