package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// proxy terminates TLS and relays to the backend, one connection there for each one here, as stunnel does.
type proxy struct {
	*process
	backend        netip.AddrPort
	connectTimeout time.Duration
	// proxyProtocol expects a PROXY header before the ClientHello.
	proxyProtocol bool
	link          *link

	mu   sync.Mutex
	mode proxyMode
}

// proxyMode is what the proxy does with a new connection.
type proxyMode struct {
	// greet replaces TLS and all that follows; nil serves.
	greet func(c *conn)
	// imitate replaces them too; nil serves.
	imitate func(ctx context.Context, c *conn, cert *tls.Certificate)
	cert    *tls.Certificate
	// version limits TLS to this version; 0 is 1.2 and later.
	version uint16
	// deaf shakes hands and then neither reads nor asks the backend.
	deaf bool
}

func (p *proxy) set(change func(*proxyMode)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.mode)
}

func (p *proxy) current() proxyMode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

// client is what the proxy needs of the connection to the user's side.
type client struct {
	*tls.Conn
	raw *conn
}

func (p *proxy) handle(ctx context.Context, c *conn) {
	mode := p.current()
	switch {
	case mode.imitate != nil:
		mode.imitate(ctx, c, mode.cert)
		return
	case mode.greet != nil:
		mode.greet(c)
		return
	}
	var under net.Conn = c
	if p.proxyProtocol {
		r := bufio.NewReader(c)
		if _, err := proxyproto.Read(r); err != nil {
			return
		}
		under = &buffered{conn: c, r: r}
	}
	t := tls.Server(under, tlsConfig(mode))
	if err := t.HandshakeContext(ctx); err != nil {
		return
	}
	if mode.deaf {
		<-ctx.Done()
		return
	}
	p.relay(ctx, client{Conn: t, raw: c})
}

func tlsConfig(mode proxyMode) *tls.Config {
	cfg := &tls.Config{Certificates: []tls.Certificate{*mode.cert}, MinVersion: tls.VersionTLS12}
	if mode.version != 0 {
		cfg.MinVersion, cfg.MaxVersion = mode.version, mode.version
	}
	return cfg
}

func (p *proxy) relay(ctx context.Context, c client) {
	b, err := p.dial(ctx)
	if err != nil {
		c.raw.reset() // stunnel: no close_notify, a RST
		return
	}
	defer b.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(c, b)
		if ctx.Err() != nil { // a killed process says no goodbye
			_ = c.raw.Close()
			return
		}
		// Whatever ended this direction, a reset too, reaches the user's side as a clean close_notify.
		_ = c.Close()
	})
	if _, err := io.Copy(b, c); err == nil {
		_ = b.closeWrite()
	} else {
		_ = b.Close()
	}
	wg.Wait()
}

var errLinkRefused = errors.New("the link refuses")

// dial reaches for the backend over the link.
func (p *proxy) dial(ctx context.Context) (*conn, error) {
	if p.link.refuses() {
		return nil, errLinkRefused
	}
	ctx, cancel := context.WithTimeout(ctx, p.connectTimeout)
	defer cancel()
	if !p.link.gate.wait(ctx.Done()) || !p.gate.wait(ctx.Done()) {
		return nil, context.Cause(ctx)
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", p.backend.String())
	if err != nil {
		return nil, err
	}
	c, err := p.own(ctx, nc.(*net.TCPConn), p.link.gate)
	if err != nil {
		return nil, err
	}
	p.link.add(c)
	return c, nil
}

// link is the way from the proxy to the backend: shut, it swallows packets in silence; refusing, it answers with resets.
type link struct {
	gate *gate

	mu      sync.Mutex
	refused bool
	conns   map[*conn]struct{}
}

func newLink() *link { return &link{gate: newGate(), conns: map[*conn]struct{}{}} }

func (l *link) refuses() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// refuse also breaks the connections that stand, as a firewall's reject rule does at their next packet.
func (l *link) refuse(on bool) {
	l.mu.Lock()
	l.refused = on
	var standing []*conn
	if on {
		for c := range l.conns {
			standing = append(standing, c)
		}
	}
	l.mu.Unlock()
	for _, c := range standing {
		c.reset()
	}
}

// add takes note of a connection until it closes.
func (l *link) add(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for old := range l.conns {
		select {
		case <-old.done:
			delete(l.conns, old)
		default:
		}
	}
	l.conns[c] = struct{}{}
}

// buffered reads what a bufio.Reader took from the connection too early.
type buffered struct {
	*conn
	r *bufio.Reader
}

// Read implements net.Conn.
func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// The following are ways of not speaking TLS on the TLS port.

func greetClose(c *conn) { _ = c.Close() }

func greetReset(c *conn) { c.reset() }

// greetAlert answers a ClientHello with the fatal alert handshake_failure.
func greetAlert(c *conn) { answerOnce(c, []byte{21, 3, 3, 0, 2, 2, 40}) }

// greetHTTP is what nginx says to a browser that speaks the wrong protocol.
func greetHTTP(c *conn) {
	const body = "<html><head><title>400 Bad Request</title></head></html>\n"
	answerOnce(c, []byte("HTTP/1.1 400 Bad Request\r\nServer: lab\r\nConnection: close\r\n\r\n"+body))
}

func greetGarbage(c *conn) {
	junk := make([]byte, 200)
	for i := range junk {
		junk[i] = byte(128 + rand.IntN(128)) // no record type of TLS, no text
	}
	answerOnce(c, junk)
}

// answerOnce waits for the client's first bytes, answers and closes without a reset that would destroy the answer.
func answerOnce(c *conn, answer []byte) {
	if _, err := c.Read(make([]byte, 16<<10)); err != nil {
		return
	}
	if _, err := c.Write(answer); err != nil {
		return
	}
	if err := c.closeWrite(); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(c, 1<<20))
}
