package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options of a chain; the zero value serves.
type Options struct {
	// Name of the service; default demo.test.
	Name string
	// Dir holds the CA's file; default a temporary directory that Close removes.
	Dir string
	// Backlog of the proxy's and the balancer's listening socket; default the system's. On Linux one more waits.
	Backlog int
	// Balancer puts a TCP balancer before the proxy; it is the front then.
	Balancer bool
	// ProxyProtocol is the version (1 or 2) of the PROXY header between balancer and proxy; 0 is none.
	ProxyProtocol byte
	// Delay of a slow backend; default 4 s.
	Delay time.Duration
	// ConnectTimeout is the proxy's patience with its backend; default 10 s, as stunnel's TIMEOUTconnect.
	ConnectTimeout time.Duration
}

func (o *Options) defaults() {
	if o.Name == "" {
		o.Name = "demo.test"
	}
	if o.Delay == 0 {
		o.Delay = 4 * time.Second
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 10 * time.Second
	}
}

// Chain is a running lab.
type Chain struct {
	name   string
	caFile string
	delay  time.Duration
	certs  *certificates

	dns      *nameServer
	balancer *balancer // nil without one
	proxy    *proxy
	backend  *backend
	controls map[string]*process // by the name of the part whose host they stand for

	stop func() bool // forgets the context

	mu      sync.Mutex
	closed  bool
	cleanup []func() error // in reverse order
}

// Start brings up a chain that lives until ctx ends or Close is called.
func Start(ctx context.Context, o Options) (*Chain, error) {
	o.defaults()
	c := &Chain{name: o.Name, delay: o.Delay, controls: map[string]*process{}}
	for _, step := range []func(*Options) error{c.startPKI, c.startBackend, c.startProxy, c.startBalancer, c.startDNS} {
		if err := step(&o); err != nil {
			return nil, fmt.Errorf("start the lab: %w", errors.Join(err, c.Close()))
		}
	}
	c.stop = context.AfterFunc(ctx, func() { _ = c.shutdown() })
	return c, nil
}

// Close ends the chain; it returns when all of its sockets are closed and its goroutines have ended.
func (c *Chain) Close() error {
	if c.stop != nil {
		c.stop()
	}
	return c.shutdown()
}

func (c *Chain) shutdown() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for _, clean := range slices.Backward(c.cleanup) {
		errs = append(errs, clean())
	}
	c.cleanup = nil
	return errors.Join(errs...)
}

func (c *Chain) startPKI(o *Options) error {
	ca, err := newAuthority("Lab")
	if err != nil {
		return err
	}
	if c.certs, err = newCertificates(ca, o.Name); err != nil {
		return err
	}
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "whichlayer-lab-*"); err != nil {
			return err
		}
		c.cleanup = append(c.cleanup, func() error { return os.RemoveAll(dir) })
	}
	c.caFile = filepath.Join(dir, "ca.pem")
	return os.WriteFile(c.caFile, ca.pem(), 0o600)
}

func (c *Chain) startBackend(*Options) (err error) {
	c.backend = &backend{mode: healthyBackend}
	err = c.process("backend", loopback(2), 0, func(p *process) handler {
		c.backend.process = p
		return c.backend.handle
	})
	if err != nil {
		return err
	}
	return c.control("backend", loopback(2))
}

func (c *Chain) startProxy(o *Options) (err error) {
	ip := loopback(1)
	if o.Balancer {
		ip = loopback(3)
	}
	c.proxy = &proxy{
		backend: c.backend.addr, connectTimeout: o.ConnectTimeout, link: newLink(),
		proxyProtocol: o.Balancer && o.ProxyProtocol != 0, mode: proxyMode{cert: c.certs.good},
	}
	err = c.process("proxy", ip, o.Backlog, func(p *process) handler {
		c.proxy.process = p
		return c.proxy.handle
	})
	if err != nil {
		return err
	}
	return c.control("proxy", ip)
}

func (c *Chain) startBalancer(o *Options) (err error) {
	if !o.Balancer {
		return nil
	}
	c.balancer = &balancer{to: c.proxy.addr, version: o.ProxyProtocol}
	err = c.process("balancer", loopback(1), o.Backlog, func(p *process) handler {
		c.balancer.process = p
		return c.balancer.handle
	})
	if err != nil {
		return err
	}
	return c.control("balancer", loopback(1))
}

func (c *Chain) startDNS(o *Options) (err error) {
	if c.dns, err = newNameServer(o.Name, loopback(1), c.Front().Addr()); err != nil {
		return err
	}
	c.cleanup = append(c.cleanup, func() error { c.dns.close(); return nil })
	return nil
}

func (c *Chain) process(name string, ip netip.Addr, backlog int, bind func(*process) handler) error {
	p, err := newProcess(name, ip, backlog, bind)
	if err != nil {
		return err
	}
	c.cleanup = append(c.cleanup, func() error { p.kill(); return nil })
	return nil
}

// control starts another port of a part's host; it says a word and waits for the client to leave.
func (c *Chain) control(host string, ip netip.Addr) error {
	return c.process(host+"'s control port", ip, 0, func(p *process) handler {
		c.controls[host] = p
		return greetAndWait
	})
}

func greetAndWait(_ context.Context, s *conn) {
	if _, err := s.Write([]byte("SSH-2.0-lab\r\n")); err != nil {
		return
	}
	_, _ = s.Read(make([]byte, 256))
}

// Break sets a fault. It holds from before Break returns, until Mend.
func (c *Chain) Break(f Fault) error {
	return c.change(f, func(row fault) error { row.inject(c); return nil })
}

// Mend ends a fault, and with it every other one of the same kind of the same part.
func (c *Chain) Mend(f Fault) error {
	return c.change(f, func(row fault) error { return row.mend(c) })
}

// MendAll ends every fault.
func (c *Chain) MendAll() error {
	var errs []error
	for _, f := range faults() {
		if f.truth.Layer != "balancer" || c.balancer != nil {
			errs = append(errs, c.Mend(f.Fault))
		}
	}
	return errors.Join(errs...)
}

func (c *Chain) change(f Fault, apply func(fault) error) error {
	row, err := c.row(f)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	return apply(row)
}

var errClosed = errors.New("the lab is closed")

func (c *Chain) row(f Fault) (fault, error) {
	row, err := f.row()
	if err == nil && row.truth.Layer == "balancer" && c.balancer == nil {
		err = fmt.Errorf("fault %q needs a balancer", f)
	}
	return row, err
}

// Front is where users connect.
func (c *Chain) Front() netip.AddrPort {
	if c.balancer != nil {
		return c.balancer.addr
	}
	return c.proxy.addr
}

// Proxy is where the TLS proxy listens.
func (c *Chain) Proxy() netip.AddrPort { return c.proxy.addr }

// Backend is where the backend listens.
func (c *Chain) Backend() netip.AddrPort { return c.backend.addr }

// Control is the control port on the host of "balancer", "proxy" or "backend"; invalid when there is no such part.
func (c *Chain) Control(part string) netip.AddrPort {
	if p := c.controls[part]; p != nil {
		return p.addr
	}
	return netip.AddrPort{}
}

// NameServer answers for the service's name, over UDP and TCP.
func (c *Chain) NameServer() netip.AddrPort { return c.dns.addr }

// Name is the service's DNS name.
func (c *Chain) Name() string { return c.name }

// CAFile holds the root as PEM.
func (c *Chain) CAFile() string { return c.caFile }

// SetAddresses is what the name resolves to from now on.
func (c *Chain) SetAddresses(addresses ...netip.Addr) { c.dns.setAddresses(addresses) }
