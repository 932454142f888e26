package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// connect opens the lane's TCP connection to one literal address and writes what must stand before everything else:
// a PROXY protocol header, or the CONNECT of a forward proxy.
func (a *attempt) connect() (<-chan error, bool) {
	if !a.addr.IsValid() {
		a.setAddr(pickAddress(a.spec.addrs, a.pick))
	}
	d := &dialing{to: a.addr, source: a.spec.ep.Source, options: a.spec.options}
	type opened struct {
		conn  net.Conn
		local string
	}
	got := make(chan opened, 1)
	pending, ok := a.stage(a.life, StageConnect, a.spec.timeouts.Connect.Std(), func(ctx context.Context) error {
		conn, err := d.open(ctx, a.spec.ep.ForwardProxy)
		if err != nil {
			return err
		}
		if err := writeProxyHeader(conn, a.spec.ep.ProxyProtocol); err != nil {
			conn.Close()
			return err
		}
		got <- opened{conn: conn, local: conn.LocalAddr().String()}
		return nil
	})
	s := &a.lane.Stages[len(a.lane.Stages)-1]
	if !ok {
		s.TCPInfo, a.lane.Local = d.peek()
		s.ICMP = d.dup.icmp()
		if pending != nil {
			pending = closeLate(pending, func() {
				select {
				case o := <-got:
					o.conn.Close()
				default:
				}
			})
		}
		d.release()
		return pending, false
	}
	d.release()
	o := <-got
	a.conn = &wire{Conn: o.conn}
	a.stream, a.lane.Local = a.conn, o.local
	if sc, is := o.conn.(syscall.Conn); is {
		a.raw, _ = sc.SyscallConn()
		forgetErrors(a.raw)
	}
	s.TCPInfo = a.tcpInfo()
	return nil, true
}

// closeLate passes a pending result on and closes what it brought.
func closeLate(pending <-chan error, closer func()) <-chan error {
	out := make(chan error, 1)
	go func() {
		err := <-pending
		closer()
		out <- err
	}()
	return out
}

// dialing is one connect to one address. It keeps a second descriptor of the socket, because a failed dial closes the
// first, and with it what the kernel knew and the local port.
type dialing struct {
	to      netip.AddrPort
	source  netip.Addr
	options socketOptions
	dup     dupFD
}

func (d *dialing) open(ctx context.Context, forward *config.ForwardProxy) (net.Conn, error) {
	to := d.to.String()
	if forward != nil {
		to = forward.Address.String()
	}
	dialer := net.Dialer{Control: d.prepare, KeepAlive: -1}
	if forward == nil && sameFamily(d.source, to) || forward != nil && d.source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.source, 0))
	}
	start := time.Now()
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fail(SelfStopped, "the attempt was ended")
		}
		info, _ := d.peek()
		err = connectFailure(err, info, time.Since(start))
		if forward != nil {
			err = forwardFailure(err, to)
		}
		return nil, err
	}
	if forward != nil {
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		defer stop()
		if err := askConnect(conn, d.to.String(), forward); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// prepare sets the socket's options before it connects.
func (d *dialing) prepare(network, _ string, c syscall.RawConn) error {
	if err := d.options.apply(c, network == "tcp6"); err != nil {
		return fail(SelfFailed, "%w", err)
	}
	return d.dup.take(c)
}

// forwardFailure says of a failed connect that it did not go to the target's address: what stands there is innocent.
func forwardFailure(err error, to string) error {
	var f *failure
	if errors.As(err, &f) && f.typ.Self() {
		return err
	}
	return fail(ForwardProxyFailed, "connect to the forward proxy %s: %w", to, err)
}

// peek reads TCP_INFO and the local address from the second descriptor.
func (d *dialing) peek() (*tcpinfo.Info, string) { return d.dup.peek() }

// release closes the second descriptor, which would keep the socket alive.
func (d *dialing) release() { d.dup.release() }

// askConnect speaks RFC 9110, 9.3.6 with a forward proxy. Nothing of the tunnel is read: the proxy sends nothing
// beyond its head before we have spoken.
func askConnect(conn net.Conn, to string, forward *config.ForwardProxy) error {
	head := fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n", to, to)
	if b := forward.BasicAuth; b != nil {
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(b.Username+":"+b.Password.Reveal())) + "\r\n"
	}
	if _, err := conn.Write([]byte(head + "\r\n")); err != nil {
		return fail(ForwardProxyFailed, "write CONNECT: %w", err)
	}
	raw, err := readHead(conn, 16<<10)
	if err != nil {
		return fail(ForwardProxyFailed, "read the answer to CONNECT: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fail(ForwardProxyFailed, "the answer to CONNECT is not HTTP: %w", err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fail(ForwardProxyFailed, "the forward proxy answered %s", resp.Status)
	}
	return nil
}

// readHead reads byte by byte up to an empty line, so that nothing behind it is taken.
func readHead(conn net.Conn, limit int) ([]byte, error) {
	var head []byte
	b := make([]byte, 1)
	for len(head) < limit {
		if _, err := conn.Read(b); err != nil {
			return nil, err
		}
		head = append(head, b[0])
		if bytes.HasSuffix(head, []byte("\r\n\r\n")) || bytes.HasSuffix(head, []byte("\n\n")) {
			return head, nil
		}
	}
	return nil, fmt.Errorf("head longer than %d bytes", limit)
}

// writeProxyHeader writes a PROXY protocol header that tells the connection's own addresses.
func writeProxyHeader(conn net.Conn, v config.ProxyProtocol) error {
	if v == "" {
		return nil
	}
	head, err := proxyHeader(conn.LocalAddr(), conn.RemoteAddr(), v)
	if err != nil {
		return fail(SelfFailed, "PROXY header: %w", err)
	}
	if _, err := conn.Write(head); err != nil {
		return connectFailure(err, nil, time.Second)
	}
	return nil
}

func proxyHeader(local, remote net.Addr, v config.ProxyProtocol) ([]byte, error) {
	version := byte(1)
	if v == config.ProxyV2 {
		version = 2
	}
	return proxyproto.HeaderProxyFromAddrs(version, local, remote).Format()
}
