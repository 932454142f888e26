package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// Imitate lets the proxy treat new connections in this way until the chain is closed. Those that stand are served.
func (c *Chain) Imitate(i Imitation) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.proxy
	p.process.mu.Lock()
	ln := p.ln
	p.process.mu.Unlock()
	if c.closed || ln == nil {
		return errClosed
	}
	if i.buffer > 0 {
		if err := setBuffer(ln, i.buffer); err != nil {
			return fmt.Errorf("imitate %s: %w", i.Name, err)
		}
	}
	if i.refuses != nil {
		if err := refuseLarge(ln, *i.refuses); err != nil {
			return fmt.Errorf("imitate %s: %w", i.Name, err)
		}
	}
	if !i.unaccepted {
		p.set(func(m *proxyMode) { m.imitate = i.serve })
		return nil
	}
	p.door.shut()
	if i.backlog == 0 {
		return nil
	}
	return errors.Join(setBacklog(ln, i.backlog), c.fill(i.backlog+1))
}

// fill occupies at most n places of the proxy's accept queue until the chain is closed. Somebody else may have taken some.
func (c *Chain) fill(n int) error {
	for range n {
		nc, err := net.DialTimeout("tcp", c.proxy.addr.String(), 500*time.Millisecond)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fill the accept queue: %w", err)
		}
		c.cleanup = append(c.cleanup, nc.Close)
	}
	return nil
}

// Taken counts the connections that the kernel of the proxy's host has taken, on the proxy's port and on the control port:
// accepted ones, and those that wait in an accept queue.
func (c *Chain) Taken() int {
	return c.proxy.taken() + c.controls["proxy"].taken()
}

func (p *process) taken() int {
	n := int(p.accepted.Load())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ln == nil {
		return n
	}
	if raw, err := p.ln.SyscallConn(); err == nil {
		if i := tcpinfo.Get(raw); i != nil && i.State == tcpinfo.Listen {
			n += int(i.Unacked) // of a listening socket it is the length of its queue
		}
	}
	return n
}
