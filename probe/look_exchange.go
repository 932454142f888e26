package probe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"time"
)

const (
	// exchangeSize fills a packet of an Ethernet path's size: 1400 bytes and some 52 of headers.
	exchangeSize = 1400
	exchangeTime = 500 * time.Millisecond
	exchangePoll = 20 * time.Millisecond
)

// errNotAcknowledged and errNotEchoed say how an exchange failed.
var (
	errNotAcknowledged = errors.New("not acknowledged")
	errNotEchoed       = errors.New("acknowledged, but a peer that echoed a few bytes did not echo a full packet")
)

// lookExchange says a few bytes to the control port of the same host, then a packet of full size. That its kernel
// acknowledges them needs no answer of the process there; one that echoes shows the way back too. The request stage is
// the few bytes, the response stage the full packet.
func (r *round) lookExchange(front *attempt) func() Lane {
	control := r.t.plan.neighbour(front.addr.Addr())
	if control == nil {
		return nil
	}
	spec := lookSpec(control, LookExchange)
	return func() Lane {
		return r.look(spec, netip.AddrPort{}, func(a *attempt) <-chan error {
			if pending, ok := a.connect(); !ok {
				return pending
			}
			x := exchange{a: a, heard: make(chan []byte, 16), gone: make(chan struct{})}
			x.run()
			return nil
		})
	}
}

// exchange is one conversation with a control port.
type exchange struct {
	a     *attempt
	heard chan []byte
	got   []byte
	gone  chan struct{} // closed when the peer has ended the connection, or we have
	end   error         // how it ended, once gone is closed
}

func (x *exchange) run() {
	go x.listen()
	small := []byte("SSH-2.0-whichlayer\r\n") // what a control port most often expects (RFC 4253, 4.2)
	echoes := false
	pending, ok := x.a.stage(x.a.life, StageRequest, exchangeTime, func(ctx context.Context) error {
		err := x.say(ctx, small, func() bool { return false })
		echoes = bytes.Contains(x.got, small)
		return err
	})
	wait(pending)
	if ok {
		large := bytes.Repeat([]byte("whichlayer "), exchangeSize/11+1)[:exchangeSize-1]
		large = append(large, '\n')
		pending, _ = x.a.stage(x.a.life, StageResponse, exchangeTime, func(ctx context.Context) error {
			before := len(x.got)
			echoed := func() bool { return len(x.got)-before >= len(large) }
			err := x.say(ctx, large, func() bool { return !echoes || echoed() })
			if err == nil && echoes && !echoed() && x.a.lane.Reaction == "" {
				return fail(AppTimedOut, "%w", errNotEchoed)
			}
			return err
		})
		wait(pending)
	}
	x.a.close()
	<-x.gone
}

// wait waits for a stage's end; nil has ended.
func wait(pending <-chan error) {
	if pending != nil {
		<-pending
	}
}

// listen takes what the peer says until the connection ends.
func (x *exchange) listen() {
	defer close(x.gone)
	for {
		b := make([]byte, 4096)
		n, err := x.a.conn.Read(b)
		if n > 0 {
			select {
			case x.heard <- b[:n]:
			default: // it talks much more than was asked
			}
		}
		if err != nil {
			x.end = err
			return
		}
	}
}

// say writes a text and waits until the peer's kernel has acknowledged it, and a little longer for an answer unless
// enough tells that there is nothing more to wait for, or the peer ends the connection: what it did with the text is
// known then.
func (x *exchange) say(ctx context.Context, text []byte, enough func() bool) error {
	if _, err := x.a.conn.Write(text); err != nil {
		return exchangeFailure(err, x.a.conn.last())
	}
	acked, gone := false, x.gone
	deadline := time.NewTimer(exchangeTime - 4*exchangePoll)
	defer deadline.Stop()
	poll := time.NewTicker(exchangePoll)
	defer poll.Stop()
	for {
		select {
		case b := <-x.heard:
			x.got = append(x.got, b...)
		case <-gone:
			gone = nil
			if x.hungUp() == ReactionReset {
				return exchangeFailure(x.end, nil)
			}
		case <-poll.C:
		case <-deadline.C:
			return acknowledged(acked)
		case <-ctx.Done():
			return acknowledged(acked)
		}
		if i := x.a.tcpInfo(); i == nil || i.AckedAll() {
			acked = true
		}
		if acked && (gone == nil || enough()) {
			return nil
		}
	}
}

// hungUp takes what the peer said last, and notes how it ended the connection.
func (x *exchange) hungUp() Reaction {
	for len(x.heard) > 0 {
		x.got = append(x.got, <-x.heard...)
	}
	x.a.lane.Reaction = ReactionClosed
	if !errors.Is(x.end, io.EOF) {
		x.a.lane.Reaction = ReactionReset
	}
	return x.a.lane.Reaction
}

func acknowledged(yes bool) error {
	if yes {
		return nil
	}
	return fail(AppTimedOut, "%w", errNotAcknowledged)
}
