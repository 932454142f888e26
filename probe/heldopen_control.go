package probe

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// heldPool keeps one held-open connection to a control port for all targets of a process: a server such as sshd takes few
// clients that do not log in, and one hundred targets behind one proxy share its control port.
type heldPool struct {
	mu    sync.Mutex
	conns map[heldKey]*heldShared
}

// heldKey tells connections to control ports apart.
type heldKey struct {
	name     string
	addr     netip.Addr
	port     uint16
	source   netip.Addr
	version  config.IPVersion
	interval time.Duration
}

func heldKeyOf(s *laneSpec, interval time.Duration) heldKey {
	k := heldKey{name: s.name, port: s.port, source: s.ep.Source, version: s.ep.IPVersion, interval: interval}
	if len(s.addrs) > 0 {
		k.addr = s.addrs[0]
	}
	return k
}

// heldShared is a connection with the number of its users.
type heldShared struct {
	*heldOpen
	users int
	stop  context.CancelFunc
	ended chan struct{}
}

// join is the connection of a key; the first one who asks starts it.
func (p *heldPool) join(key heldKey, prepare func() *heldOpen) *heldShared {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.conns[key]
	if s == nil {
		s = p.start(key, prepare())
	}
	s.users++
	return s
}

// start runs a connection until its last user has left, who waits for its end. The caller holds the lock.
func (p *heldPool) start(key heldKey, h *heldOpen) *heldShared {
	ctx, stop := context.WithCancel(context.Background())
	s := &heldShared{heldOpen: h, stop: stop, ended: make(chan struct{})}
	if p.conns == nil {
		p.conns = map[heldKey]*heldShared{}
	}
	p.conns[key] = s
	go func() {
		defer close(s.ended)
		h.run(ctx)
	}()
	return s
}

// leave gives a connection back; the last user ends it.
func (p *heldPool) leave(key heldKey, s *heldShared) {
	p.mu.Lock()
	s.users--
	last := s.users == 0
	if last {
		delete(p.conns, key)
	}
	p.mu.Unlock()
	if last {
		s.stop()
		<-s.ended
	}
}

// heldControl is a target's share in the connection to one of its control ports.
type heldControl struct {
	spec *laneSpec
	pool *heldPool
	key  heldKey
	env  *Env

	mu     sync.Mutex
	shared *heldShared // nil while the target does not run
}

func (c *heldControl) join() {
	s := c.pool.join(c.key, func() *heldOpen { return newHeldOpen(c.spec, c.env, c.key.interval, nil) })
	c.mu.Lock()
	c.shared = s
	c.mu.Unlock()
}

func (c *heldControl) leave() {
	c.mu.Lock()
	s := c.shared
	c.shared = nil
	c.mu.Unlock()
	c.pool.leave(c.key, s)
}

// held is the connection, nil while there is none.
func (c *heldControl) held() *heldOpen {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shared == nil {
		return nil
	}
	return c.shared.heldOpen
}

// lane is what the connection shows, by the name that this target has for the host.
func (c *heldControl) lane() *Lane {
	h := c.held()
	if h == nil {
		return nil
	}
	l := h.lane()
	if l != nil {
		l.Hop, l.Role = c.spec.hop, c.spec.role
	}
	return l
}
