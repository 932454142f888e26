package lab

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Trick is a server that means harm: what it costs its client must be bounded, whatever it sends.
type Trick struct {
	Name string
	// Below tells that the trick is played in place of TLS; all others speak as HTTP servers, plain or after a good
	// handshake.
	Below bool
	// Serve plays it until the client leaves or ctx ends, which closes the connection.
	Serve func(ctx context.Context, c net.Conn)
}

const okLine = "HTTP/1.1 200 OK\r\n"

// Tricks lists them all.
func Tricks() []Trick {
	return append(httpTricks(), tlsTricks()...)
}

func httpTricks() []Trick {
	return []Trick{
		{Name: "endless-headers", Serve: afterRequest(okLine, endless("X-Filler: "+strings.Repeat("a", 100)+"\r\n"))},
		{Name: "endless-header-line", Serve: afterRequest(okLine+"X-Filler: ", endless("aaaaaaaa"))},
		{Name: "endless-status-line", Serve: afterRequest("HTTP/1.1 200 ", endless("OK"))},
		{Name: "endless-body", Serve: afterRequest(okLine+"\r\n", endless("ok ok ok "))},
		{Name: "endless-chunks", Serve: afterRequest(okLine+"Transfer-Encoding: chunked\r\n\r\n", endless("2\r\nok\r\n"))},
		{Name: "endless-chunk-extension", Serve: afterRequest(okLine+"Transfer-Encoding: chunked\r\n\r\n2;", endless("a=b;"))},
		{Name: "endless-trailers", Serve: afterRequest(
			okLine+"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", endless("X-Trailer: a\r\n"))},
		{Name: "endless-100-continue", Serve: afterRequest("", endless("HTTP/1.1 100 Continue\r\n\r\n"))},
		{Name: "gzip-bomb", Serve: afterRequest(okLine+"Content-Encoding: gzip\r\nConnection: close\r\n\r\n", bomb)},
		{Name: "one-byte-a-second", Serve: afterRequest("", slowly(okLine+"Content-Length: 2\r\n\r\nok"))},
		{Name: "header-without-end", Serve: afterRequest(okLine+"Content-Type: text/plain\r\n", hold)},
		{Name: "half-status-line", Serve: afterRequest("HTTP/1.1 2", hold)},
		{Name: "garbage-status-line", Serve: afterRequest("\x00\x01\x02 this is no HTTP \xff\xfe\r\n\r\n", hold)},
		{Name: "status-out-of-range", Serve: afterRequest("HTTP/1.1 99999999999999999999 OK\r\n\r\n", hold)},
		{Name: "old-http", Serve: afterRequest("HTTP/0.9 200 OK\r\n\r\nok", leave)},
		{Name: "invalid-utf8-headers", Serve: afterRequest(
			okLine+"Server: \xff\xfe\xc3\x28\r\nX-\xf0\x28: \x80\r\nContent-Length: 2\r\n\r\nok", leave)},
		{Name: "control-characters", Serve: afterRequest(
			okLine+"Server: \x1b[2J\x1b]0;owned\x07\r\nContent-Length: 2\r\n\r\nok", leave)},
		{Name: "negative-length", Serve: afterRequest(okLine+"Content-Length: -1\r\n\r\nok", leave)},
		{Name: "two-lengths", Serve: afterRequest(okLine+"Content-Length: 2\r\nContent-Length: 200\r\n\r\nok", leave)},
		{Name: "huge-length", Serve: afterRequest(okLine+"Content-Length: 9223372036854775807\r\n\r\nok", hold)},
		{Name: "huge-chunk", Serve: afterRequest(okLine+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nok", hold)},
		{Name: "silence", Serve: afterRequest("", hold)},
		{Name: "never-reads", Serve: func(ctx context.Context, _ net.Conn) { <-ctx.Done() }},
	}
}

func tlsTricks() []Trick {
	serverHello := []byte{22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3}
	return []Trick{
		{Name: "unknown-record-type", Below: true, Serve: afterHello([]byte{99, 3, 3, 0, 2, 1, 2}, hold)},
		{Name: "huge-record-length", Below: true, Serve: afterHello([]byte{22, 3, 3, 0xff, 0xff}, endless("\x00"))},
		{Name: "huge-handshake-length", Below: true, Serve: afterHello([]byte{22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff}, handshakes)},
		{Name: "empty-records", Below: true, Serve: afterHello(nil, endless("\x16\x03\x03\x00\x00"))},
		{Name: "warning-flood", Below: true, Serve: afterHello(nil, endless("\x15\x03\x03\x00\x02\x01\x5a"))},
		{Name: "half-server-hello", Below: true, Serve: afterHello(serverHello, hold)},
		{Name: "half-record-and-close", Below: true, Serve: afterHello(serverHello[:7], leave)},
		{Name: "hello-echo", Below: true, Serve: echo},
		{Name: "endless-clear-text", Below: true, Serve: afterHello(nil, endless("220 mail.example.com ESMTP\r\n"))},
		{Name: "one-byte-records", Below: true, Serve: afterHello(nil, slowly("\x16\x03\x03\x00\x01\x02"))},
	}
}

// afterRequest reads a request's head, writes the opening and goes on with rest.
func afterRequest(opening string, rest func(context.Context, net.Conn)) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
		}
		if _, err := io.WriteString(c, opening); err == nil {
			rest(ctx, c)
		}
	}
}

// afterHello waits for the first bytes.
func afterHello(opening []byte, rest func(context.Context, net.Conn)) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		if _, err := c.Read(make([]byte, 16<<10)); err != nil {
			return
		}
		if _, err := c.Write(opening); err == nil {
			rest(ctx, c)
		}
	}
}

// endless writes as fast as the client reads.
func endless(s string) func(context.Context, net.Conn) {
	block := []byte(strings.Repeat(s, 1+16<<10/len(s)))
	return func(_ context.Context, c net.Conn) {
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}
}

// bomb is zeros without end, a thousand times smaller on the wire: one member of gzip again and again, which is read as
// one stream (RFC 1952, 2.2).
func bomb(ctx context.Context, c net.Conn) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	// A bytes.Buffer takes everything.
	_, _ = z.Write(make([]byte, 1<<20))
	_ = z.Close()
	endless(member.String())(ctx, c)
}

// handshakes are records full of a handshake message that never ends.
func handshakes(ctx context.Context, c net.Conn) {
	endless("\x16\x03\x03\x40\x00"+strings.Repeat("\x00", 1<<14))(ctx, c)
}

func slowly(s string) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		for i := range len(s) {
			if _, err := io.WriteString(c, s[i:i+1]); err != nil || !pause(ctx, time.Second) {
				return
			}
		}
	}
}

// hold says nothing more, until the client leaves.
func hold(_ context.Context, c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// leave closes; what was sent arrives, since all that was received has been read.
func leave(context.Context, net.Conn) {}

func echo(_ context.Context, c net.Conn) { _, _ = io.Copy(c, c) }

// Hostile is a running trick.
type Hostile struct {
	*process
	tls *tls.Config // nil for a plain one
}

// StartHostile plays a trick on every connection until Close, the chain's too. With overTLS an HTTP trick comes after a handshake with
// the chain's good certificate.
func (c *Chain) StartHostile(t Trick, overTLS bool) (*Hostile, error) {
	if t.Below && overTLS {
		return nil, fmt.Errorf("trick %s takes the place of TLS", t.Name)
	}
	h := &Hostile{}
	if overTLS {
		h.tls = tlsConfig(proxyMode{cert: c.certs.good})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	return h, c.process("hostile "+t.Name, loopback(1), 0, func(p *process) handler {
		h.process = p
		return func(ctx context.Context, raw *conn) { h.play(ctx, raw, t) }
	})
}

func (h *Hostile) play(ctx context.Context, raw *conn, t Trick) {
	if h.tls == nil {
		t.Serve(ctx, raw)
		return
	}
	s := tls.Server(raw, h.tls)
	if s.HandshakeContext(ctx) == nil {
		t.Serve(ctx, s)
		_ = s.Close()
	}
}

// Addr is where the trick is played.
func (h *Hostile) Addr() netip.AddrPort { return h.addr }

// Close ends it and waits for its goroutines.
func (h *Hostile) Close() { h.kill() }
