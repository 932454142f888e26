package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// process stands for a server process: a listening socket and its connections. It can be frozen, thawed, killed and
// started again on the same address.
type process struct {
	name    string
	addr    netip.AddrPort
	backlog int // of listen(2); 0 is the system's
	serve   handler
	gate    *gate
	// door is shut while new connections are not accepted; those that stand are served.
	door *gate
	// accepted counts connections.
	accepted atomic.Int64

	mu     sync.Mutex
	ln     *net.TCPListener // nil while dead
	conns  map[*conn]struct{}
	cancel context.CancelFunc
	wg     *sync.WaitGroup // of the accept loop and the connections of this life
}

// handler serves one connection until it ends, ctx does or the connection is closed by a kill.
type handler func(ctx context.Context, c *conn)

// newProcess listens on a free port of ip and serves. Before the first connection bind is told the process and gives
// the handler.
func newProcess(name string, ip netip.Addr, backlog int, bind func(*process) handler) (*process, error) {
	p := &process{name: name, backlog: backlog, gate: newGate(), door: newGate(), conns: map[*conn]struct{}{}}
	p.serve = bind(p)
	ln, err := listenFree(ip)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.addr = ln.Addr().(*net.TCPAddr).AddrPort()
	if err := p.live(ln); err != nil {
		return nil, err
	}
	return p, nil
}

// start gives a dead process a new life on its old address.
func (p *process) start() error {
	p.mu.Lock()
	alive := p.ln != nil
	p.mu.Unlock()
	if alive {
		return nil
	}
	ln, err := listen(p.addr)
	if err != nil {
		return fmt.Errorf("restart %s: %w", p.name, err)
	}
	return p.live(ln)
}

func (p *process) live(ln *net.TCPListener) error {
	if p.backlog > 0 {
		if err := setBacklog(ln, p.backlog); err != nil {
			return fmt.Errorf("start %s: %w", p.name, errors.Join(err, ln.Close()))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	wg := new(sync.WaitGroup)
	p.mu.Lock()
	p.ln, p.cancel, p.wg = ln, cancel, wg
	p.mu.Unlock()
	wg.Go(func() { p.accept(ctx, ln, wg) })
	return nil
}

// kill does what the kernel does when a process dies: all sockets are closed, and unread data makes the close a reset.
// It returns when all of the process' goroutines have ended.
func (p *process) kill() {
	p.mu.Lock()
	ln, wg, cancel := p.ln, p.wg, p.cancel
	p.ln = nil
	open := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		open = append(open, c)
	}
	p.mu.Unlock()
	if ln == nil {
		return
	}
	cancel()
	// Both fail only on what is closed already.
	_ = ln.Close()
	for _, c := range open {
		_ = c.Close()
	}
	wg.Wait()
}

func (p *process) accept(ctx context.Context, ln *net.TCPListener, wg *sync.WaitGroup) {
	l := &listener{TCPListener: ln, gates: []*gate{p.gate, p.door}}
	for _, g := range l.gates {
		g.hold(l)
		defer g.drop(l)
	}
	for {
		leave, ok := enter(l.gates, ctx.Done())
		if !ok {
			return
		}
		tc, err := ln.AcceptTCP()
		leave()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			pause(ctx, 10*time.Millisecond) // out of files, most likely
			continue
		}
		p.accepted.Add(1)
		c, err := p.own(ctx, tc)
		if err != nil {
			return
		}
		wg.Go(func() {
			defer c.Close()
			if p.gate.wait(ctx.Done()) {
				p.serve(ctx, c)
			}
		})
	}
}

// own makes a connection the process': frozen with it and closed by its death.
func (p *process) own(ctx context.Context, tc *net.TCPConn, more ...*gate) (*conn, error) {
	c := newConn(tc, p.disown, append(more, p.gate)...)
	p.mu.Lock()
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	if ctx.Err() != nil { // killed meanwhile, so that kill may have missed it
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	return c, nil
}

func (p *process) disown(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// listener lets gates pull back a waiting accept.
type listener struct {
	*net.TCPListener
	gates []*gate
	mu    sync.Mutex // makes reading the gates and setting the deadline one step
}

func (l *listener) rearm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.SetDeadline(deadline(l.gates))
}

// pause waits unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool { return pauseUntil(ctx.Done(), d) }

func pauseUntil(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}
