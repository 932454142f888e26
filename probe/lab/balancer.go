package lab

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"

	proxyproto "github.com/pires/go-proxyproto"
)

// balancer passes TCP connections on to the proxy, as an F5 or haproxy in TCP mode does.
type balancer struct {
	*process
	to netip.AddrPort
	// version of the PROXY header that goes first; 0 sends none.
	version byte
}

func (b *balancer) handle(ctx context.Context, c *conn) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", b.to.String())
	if err != nil {
		return // haproxy: a FIN right after accept
	}
	up, err := b.own(ctx, nc.(*net.TCPConn))
	if err != nil {
		return
	}
	defer up.Close()
	if b.version != 0 {
		h := proxyproto.HeaderProxyFromAddrs(b.version, c.RemoteAddr(), c.LocalAddr())
		if _, err := h.WriteTo(up); err != nil {
			return
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { forward(c, up) })
	forward(up, c)
	wg.Wait()
}

// forward copies one direction; a clean end is passed on as one, a reset as a reset.
func forward(to, from *conn) {
	if _, err := io.Copy(to, from); err != nil {
		to.reset()
		from.reset()
		return
	}
	_ = to.closeWrite()
}
