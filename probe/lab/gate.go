package lab

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// gate is shut while a process is frozen. It pulls back every system call that waits on one of its sockets, so that
// from then on only the kernel answers: it completes handshakes, queues connections and acknowledges data.
type gate struct {
	frozen atomic.Bool
	// calls is read-locked during each system call, so that shut can wait for those under way.
	calls sync.RWMutex

	mu   sync.Mutex
	open chan struct{} // closed while the gate is open
	held map[rearmer]struct{}
}

// rearmer is a socket whose waiting calls follow the gate.
type rearmer interface{ rearm() }

func newGate() *gate {
	g := &gate{open: make(chan struct{}), held: map[rearmer]struct{}{}}
	close(g.open)
	return g
}

// shut freezes; it returns when no system call is under way and none can begin.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.frozen.Load() {
		return
	}
	g.open = make(chan struct{})
	g.frozen.Store(true)
	for r := range g.held {
		r.rearm()
	}
	// Nothing is done under it: it waits until all readers have left.
	g.calls.Lock()
	defer g.calls.Unlock()
}

// lift thaws.
func (g *gate) lift() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.frozen.Load() {
		return
	}
	g.frozen.Store(false)
	for r := range g.held {
		r.rearm()
	}
	close(g.open)
}

// wait returns true once the gate is open, or false when done closed first.
func (g *gate) wait(done <-chan struct{}) bool {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return true
	case <-done:
		return false
	}
}

func (g *gate) hold(r rearmer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[r] = struct{}{}
	r.rearm()
}

func (g *gate) drop(r rearmer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.held, r)
}

// longAgo as a deadline ends a waiting system call at once.
var longAgo = time.Unix(1, 0)

// deadline is what a socket of these gates must have now.
func deadline(gates []*gate) time.Time {
	for _, g := range gates {
		if g.frozen.Load() {
			return longAgo
		}
	}
	return time.Time{}
}

// enter waits until all gates are open at once and holds them so, until leave is called: shut waits for that.
func enter(gates []*gate, done <-chan struct{}) (leave func(), ok bool) {
	leave = func() {
		for _, g := range gates {
			g.calls.RUnlock()
		}
	}
	for {
		for _, g := range gates {
			if !g.wait(done) {
				return nil, false
			}
		}
		for _, g := range gates {
			g.calls.RLock()
		}
		if deadline(gates).IsZero() {
			return leave, true
		}
		leave()
	}
}

// conn is a TCP connection of a process that can be frozen. TLS above it sees no timeout, only a long silence.
//
// The TCP connection is not embedded as what it is, since its ReadFrom and WriteTo would go past the gates.
type conn struct {
	net.Conn
	tcp   *net.TCPConn
	gates []*gate
	// onClose is called once.
	onClose func(*conn)

	mu   sync.Mutex // makes reading the gates and setting the deadline one step
	once sync.Once
	done chan struct{}
}

func newConn(tc *net.TCPConn, onClose func(*conn), gates ...*gate) *conn {
	c := &conn{Conn: tc, tcp: tc, gates: gates, onClose: onClose, done: make(chan struct{})}
	for _, g := range gates {
		g.hold(c)
	}
	return c
}

func (c *conn) rearm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A closed connection refuses the deadline, which is as well.
	_ = c.tcp.SetDeadline(deadline(c.gates))
}

// Read implements net.Conn; what was read in the moment of freezing is handed on after the thaw.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.call(func() (int, error) { return c.tcp.Read(p) })
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	written := 0
	for {
		n, err := c.call(func() (int, error) { return c.tcp.Write(p[written:]) })
		written += n
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}

// closeWrite sends a FIN and goes on reading.
func (c *conn) closeWrite() error {
	_, err := c.call(func() (int, error) { return 0, c.tcp.CloseWrite() })
	return err
}

// call makes one system call through the gates, and returns through them.
func (c *conn) call(system func() (int, error)) (int, error) {
	leave, ok := enter(c.gates, c.done)
	if !ok {
		return 0, net.ErrClosed
	}
	n, err := system()
	leave()
	if leave, ok = enter(c.gates, c.done); !ok {
		return n, net.ErrClosed
	}
	leave()
	return n, err
}

// SetDeadline does nothing: deadlines belong to the gates. The same holds for its two siblings.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, see SetDeadline.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, see SetDeadline.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// Close implements net.Conn. It passes a shut gate: only the process' death closes the sockets of a frozen process.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		for _, g := range c.gates {
			g.drop(c)
		}
		close(c.done)
		err = c.tcp.Close()
		c.onClose(c)
	})
	return err
}

// reset closes with a RST in place of a FIN.
func (c *conn) reset() {
	// Fails only on a connection that is closed already.
	_ = c.tcp.SetLinger(0)
	_ = c.Close()
}
