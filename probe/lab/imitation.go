package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// Imitation is a server at the proxy's address that treats new connections so that they look, in part, as if something
// else were broken. The proxy is at fault in truth.
type Imitation struct {
	Name string
	// Box tells that a box on the way could do the same in the proxy's name: it takes no key of the proxy's.
	Box bool
	// unaccepted leaves new connections in the accept queue, backlog is that queue's length where it is to be full.
	unaccepted bool
	backlog    int
	// buffer is the receive buffer of new connections in bytes; 0 is the system's.
	buffer int
	// refuses tells the kernel to take no segment with more than so many bytes; nil takes all.
	refuses *int
	serve   func(ctx context.Context, c *conn, cert *tls.Certificate)
}

// Imitations lists them all.
func Imitations() []Imitation {
	return slices.Concat(boxImitations(), filterImitations(), keyImitations())
}

// boxImitations need no key.
func boxImitations() []Imitation {
	bare := func(name string, serve func(context.Context, *conn)) Imitation {
		return Imitation{Name: name, Box: true, serve: func(ctx context.Context, c *conn, _ *tls.Certificate) { serve(ctx, c) }}
	}
	small := func(i Imitation) Imitation { i.buffer = 1; return i } // the kernel makes it the least that it allows
	return []Imitation{
		{Name: "unaccepted", Box: true, unaccepted: true},
		{Name: "queue-full", Box: true, unaccepted: true, backlog: 1},
		bare("half-close", func(_ context.Context, c *conn) { _ = c.closeWrite(); drain(c) }),
		bare("tarpit", tarpit),
		bare("reset-after-accept", func(_ context.Context, c *conn) { c.reset() }),
		bare("reset-after-hello", func(_ context.Context, c *conn) { _, _ = c.Read(make([]byte, 16<<10)); c.reset() }),
		bare("reset-late", func(ctx context.Context, c *conn) { pause(ctx, 150*time.Millisecond); c.reset() }),
		bare("never-reads", func(ctx context.Context, _ *conn) { <-ctx.Done() }),
		small(bare("never-reads-small-buffer", func(ctx context.Context, _ *conn) { <-ctx.Done() })),
		small(bare("never-reads-and-leaves-with-us", leaveUnread)),
		bare("reads-and-leaves-with-us", func(_ context.Context, c *conn) { drain(c) }),
		bare("reads-and-stays", func(ctx context.Context, c *conn) { drain(c); <-ctx.Done() }),
		bare("answers-the-end-for-ever", func(ctx context.Context, c *conn) { drain(c); paced(ctx, c, "\x00whichlayer?") }),
		bare("hello-request-for-ever", func(ctx context.Context, c *conn) { paced(ctx, c, "\x16\x03\x03\x00\x04\x00\x00\x00\x00") }),
	}
}

// keyImitations do something with the proxy's good certificate.
func keyImitations() []Imitation {
	shaken := func(name string, then func(context.Context, *conn, *tls.Conn)) Imitation {
		return Imitation{Name: name, serve: func(ctx context.Context, c *conn, cert *tls.Certificate) {
			if t := tls.Server(c, tlsConfig(proxyMode{cert: cert})); t.HandshakeContext(ctx) == nil {
				then(ctx, c, t)
			}
		}}
	}
	asked := func(name string, then func(context.Context, *conn, *tls.Conn)) Imitation {
		return shaken(name, func(ctx context.Context, c *conn, t *tls.Conn) {
			if readHead(t) {
				then(ctx, c, t)
			}
		})
	}
	const half = okLine + "Content-Length: 1000\r\n\r\nok, and then"
	return []Imitation{
		shaken("reset-after-handshake", func(_ context.Context, c *conn, _ *tls.Conn) { c.reset() }),
		shaken("deaf-after-handshake", func(ctx context.Context, _ *conn, _ *tls.Conn) { <-ctx.Done() }),
		asked("reset-after-request", func(_ context.Context, c *conn, _ *tls.Conn) { c.reset() }),
		asked("reset-in-body", func(_ context.Context, c *conn, t *tls.Conn) { _, _ = io.WriteString(t, half); c.reset() }),
		asked("half-close-in-body", func(_ context.Context, c *conn, t *tls.Conn) {
			_, _ = io.WriteString(t, half)
			_ = c.closeWrite()
			drain(c)
		}),
		asked("trickle", func(ctx context.Context, _ *conn, t *tls.Conn) { slowly(okLine+"Content-Length: 2\r\n\r\nok")(ctx, t) }),
		asked("slow-and-stays", func(ctx context.Context, c *conn, t *tls.Conn) {
			if pause(ctx, 700*time.Millisecond) {
				_, _ = io.WriteString(t, okLine+"Content-Length: 2\r\n\r\nok")
				drain(c)
				<-ctx.Done()
			}
		}),
		{Name: "slow-handshake-and-stays", serve: serveLate},
		{Name: "large-hello-stalls", serve: dislikeLarge},
		{Name: "key-update-for-ever", serve: keyUpdates},
		{Name: "renegotiates-for-ever", serve: helloRequests},
	}
}

func drain(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

// readHead takes a request's head.
func readHead(r io.Reader) bool {
	for b := bufio.NewReader(r); ; {
		line, err := b.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// tarpit reads a byte a second and says nothing.
func tarpit(ctx context.Context, c *conn) {
	for b := make([]byte, 1); pause(ctx, time.Second); {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// paced says the same for ever, some megabytes a second.
func paced(ctx context.Context, c *conn, s string) {
	for block := []byte(strings.Repeat(s, 1+4<<10/len(s))); pause(ctx, time.Millisecond); {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// leaveUnread reads nothing and closes when the client has closed its side.
func leaveUnread(ctx context.Context, c *conn) {
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		return
	}
	for pause(ctx, 5*time.Millisecond) {
		if i := tcpinfo.Get(raw); i == nil || i.State != tcpinfo.Established {
			return
		}
	}
}

// serveLate serves, but keeps even a client that has left waiting.
func serveLate(ctx context.Context, c *conn, cert *tls.Certificate) {
	if !pause(ctx, 700*time.Millisecond) {
		return
	}
	serveOnce(ctx, staying{c}, cert)
	<-ctx.Done()
}

// staying never closes its side.
type staying struct{ *conn }

// Close implements net.Conn.
func (staying) Close() error { return nil }

// dislikeLarge serves a client whose ClientHello is small and has no answer to a large one, as programs that expect it in
// one packet of their own size.
func dislikeLarge(ctx context.Context, c *conn, cert *tls.Certificate) {
	b := &buffered{conn: c, r: bufio.NewReaderSize(c, 4<<10)}
	head, err := b.r.Peek(5)
	if err != nil {
		return
	}
	if length := int(head[3])<<8 | int(head[4]); length > 600 {
		drain(c)
		return
	}
	serveOnce(ctx, b, cert)
}

// serveOnce shakes hands and answers one request.
func serveOnce(ctx context.Context, c net.Conn, cert *tls.Certificate) {
	if t := tls.Server(c, tlsConfig(proxyMode{cert: cert})); t.HandshakeContext(ctx) == nil && readHead(t) {
		_, _ = io.WriteString(t, okLine+"Content-Length: 2\r\nConnection: close\r\n\r\nok")
		_ = t.Close()
	}
}
