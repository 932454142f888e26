package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

// maxMailRead is how much of what a mail server says is read, in bytes: the library would read a reply without an end.
const maxMailRead = 256 << 10

// mailLine is the connection of one delivery. It ends with the delivery's context, which the library heeds only while it
// dials.
type mailLine struct {
	whole context.Context
	tls   *tls.Config // for TLS from the first byte, else nil
	conn  net.Conn
	stop  func() bool
}

func (l *mailLine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: phaseTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.conn, l.stop = conn, context.AfterFunc(l.whole, func() { _ = conn.Close() })
	bounded := &boundedConn{Conn: conn, left: maxMailRead}
	if l.tls != nil {
		return tls.Client(bounded, l.tls), nil
	}
	return bounded, nil
}

func (l *mailLine) close() {
	if l.conn != nil {
		l.stop()
		_ = l.conn.Close()
	}
}

// boundedConn is a connection of which not more than so many bytes can be read.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the server says too much")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
