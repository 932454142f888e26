package probe

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/pires/go-proxyproto"

	"github.com/whichlayer/whichlayer/config"
)

// FuzzDNSAnswer reads foreign datagrams as answers to a question: an address or a typed failure, never a panic.
func FuzzDNSAnswer(f *testing.F) {
	q := new(dns.Msg).SetQuestion("demo.test.", dns.TypeA)
	good := new(dns.Msg).SetReply(q)
	rr, err := dns.NewRR("demo.test. 60 IN A 192.0.2.1")
	if err != nil {
		f.Fatal(err)
	}
	good.Answer = append(good.Answer, rr)
	wire, err := good.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xc0, 0x0c}, 300))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m dns.Msg
		if err := m.Unpack(data); err != nil {
			return
		}
		addrs, err := readAnswer(q, &m, "192.0.2.53:53")
		var typed *failure
		if err != nil && (!errors.As(err, &typed) || !typed.typ.Known()) {
			t.Fatalf("untyped: %v", err)
		}
		if len(addrs) > maxAddresses {
			t.Fatalf("%d addresses", len(addrs))
		}
	})
}

// canned is a connection on which the peer has said its word and left.
type canned struct {
	net.Conn
	r *bytes.Reader
}

func (c canned) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c canned) Write(p []byte) (int, error)      { return len(p), nil }
func (c canned) Close() error                     { return nil }
func (c canned) SetDeadline(time.Time) error      { return nil }
func (c canned) SetReadDeadline(time.Time) error  { return nil }
func (c canned) SetWriteDeadline(time.Time) error { return nil }

// FuzzHTTPHead reads foreign bytes as a response.
func FuzzHTTPHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"))
	f.Add([]byte("\x16\x03\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &wire{Conn: canned{r: bytes.NewReader(data)}}
		facts, body, resp, err := newResponseReader(w).read("GET", w)
		if len(body) > bodyLimit {
			t.Fatalf("a body of %d bytes", len(body))
		}
		if err == nil {
			if facts == nil || resp == nil {
				t.Fatal("no error and no response")
			}
			return
		}
		var typed *failure
		if !errors.As(err, &typed) || !typed.typ.Known() {
			t.Fatalf("untyped: %v", err)
		}
		for _, r := range clip(err.Error(), 300) {
			if r < ' ' {
				t.Fatalf("control character in %q", err)
			}
		}
	})
}

// FuzzTLSFirstBytes reads foreign bytes as a server's first flight.
func FuzzTLSFirstBytes(f *testing.F) {
	f.Add([]byte{21, 3, 3, 0, 2, 2, 40})
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte{22, 3, 3, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &wire{Conn: canned{r: bytes.NewReader(data)}}
		conn := tls.Client(w, &tls.Config{ServerName: "demo.test", MinVersion: tls.VersionTLS12})
		err := conn.Handshake()
		tlsFacts(conn.ConnectionState(), err)
		err = tlsFailure(err, w.last())
		var typed *failure
		if err == nil || !errors.As(err, &typed) || !typed.typ.Known() {
			t.Fatalf("untyped: %v", err)
		}
	})
}

// FuzzProxyHeader writes PROXY headers for any pair of addresses and reads them back.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1}, uint16(1234), []byte{198, 51, 100, 2}, uint16(443), true)
	f.Add(make([]byte, 16), uint16(1), bytes.Repeat([]byte{0x20}, 16), uint16(65535), false)
	f.Fuzz(func(t *testing.T, src []byte, sport uint16, dst []byte, dport uint16, v2 bool) {
		s, ok1 := netip.AddrFromSlice(src)
		d, ok2 := netip.AddrFromSlice(dst)
		if !ok1 || !ok2 || s.Unmap().Is4() != d.Unmap().Is4() {
			return
		}
		from, to := netip.AddrPortFrom(s.Unmap(), sport), netip.AddrPortFrom(d.Unmap(), dport)
		version := config.ProxyV1
		if v2 {
			version = config.ProxyV2
		}
		head, err := proxyHeader(net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to), version)
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		defer near.Close()
		go func() {
			defer far.Close()
			far.Write(append(head, "rest"...))
		}()
		c := proxyproto.NewConn(near)
		defer c.Close()
		if got := c.RemoteAddr().String(); got != net.TCPAddrFromAddrPort(from).String() {
			t.Fatalf("source %s, want %s", got, from)
		}
		if got := c.LocalAddr().String(); got != net.TCPAddrFromAddrPort(to).String() {
			t.Fatalf("destination %s, want %s", got, to)
		}
	})
}
