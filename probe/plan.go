package probe

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/whichlayer/whichlayer/config"
)

// plan is which lanes a target has. It is made once.
type plan struct {
	front *laneSpec
	// lanes run beside the front in every round.
	lanes []*laneSpec
	// standIn are hops at the front's own address. The front's lane looks at them already; they are looked at by
	// themselves only when the front's name does not lead there.
	standIn []*laneSpec
}

func newPlan(cfg *config.Target, env *Env) (*plan, error) {
	front, err := frontSpec(cfg, env)
	if err != nil {
		return nil, fmt.Errorf("target %q: front: %w", cfg.Name, err)
	}
	p := &plan{front: front}
	p.addHops(cfg)
	if err := p.addBackends(cfg, env); err != nil {
		return nil, fmt.Errorf("target %q: %w", cfg.Name, err)
	}
	p.addControls(cfg, env)
	return p, nil
}

func frontSpec(cfg *config.Target, env *Env) (*laneSpec, error) {
	ep := cfg.Front
	s := &laneSpec{
		kind: LaneFront, role: frontRole(cfg), name: ep.URL.Hostname(), port: ep.URL.PortNumber(), addrs: ep.Resolve,
		expected: ep.Addresses, ep: ep, host: ep.URL.Host, expect: cfg.Expect, timeouts: cfg.Timeouts,
		version: env.Version, dns: env.DNS,
	}
	if ep.Request.Host != "" {
		s.host = ep.Request.Host
	}
	if a, ok := literal(s.name); ok {
		s.addrs = []netip.Addr{a}
	}
	if err := s.pin(); err != nil {
		return nil, err
	}
	s.setTLS(or(ep.ServerName, ep.URL.Hostname()))
	return s, nil
}

// frontRole is what stands at the front's address when no hop says so: a proxy, when the front speaks TLS and the
// backend does not.
func frontRole(cfg *config.Target) Role {
	if len(cfg.Via) == 0 && cfg.Front.URL.TLS() && len(cfg.Backends) > 0 && !cfg.Backends[0].URL.TLS() {
		return RoleProxy
	}
	return RoleFront
}

// pin makes DNS needless where the addresses are fixed. Those that the endpoint cannot be reached at from here are left
// out.
func (s *laneSpec) pin() error {
	if len(s.addrs) == 0 {
		return nil
	}
	usable := allowed(s.addrs, family(&s.ep))
	if len(usable) == 0 {
		return fmt.Errorf("none of the addresses %v has the IP version of the source and of ip_version", s.addrs)
	}
	s.name, s.addrs = "", usable
	return nil
}

// family is the IP version that an endpoint is limited to: by its own word, or because it is probed from one address.
func family(ep *config.Endpoint) config.IPVersion {
	switch {
	case ep.IPVersion != 0 || !ep.Source.IsValid() || ep.ForwardProxy != nil:
		return ep.IPVersion
	case ep.Source.Unmap().Is4():
		return 4
	}
	return 6
}

// allowed are the addresses of a version.
func allowed(addrs []netip.Addr, v config.IPVersion) (out []netip.Addr) {
	for _, a := range addrs {
		if v.Allows(a) {
			out = append(out, a)
		}
	}
	return out
}

func (s *laneSpec) setTLS(serverName string) {
	if s.ep.URL.TLS() {
		s.tls = clientTLS(&s.ep, serverName)
	}
}

func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

// addHops makes a lane for each hop. It keeps the front's SNI, Host and path. A hop that is all there is at the front's
// address lends the front its role.
func (p *plan) addHops(cfg *config.Target) {
	for _, h := range cfg.Via {
		s := *p.front
		s.kind, s.hop, s.role, s.expected = LaneVia, h.Name, Role(h.Role), nil
		s.setHost(h.Address)
		s.ep.ProxyProtocol = h.ProxyProtocol
		if !p.atFront(h.Address) {
			p.lanes = append(p.lanes, &s)
			continue
		}
		s.ep.ProxyProtocol = p.front.ep.ProxyProtocol
		p.front.hop, p.front.role = h.Name, s.role
		if len(p.front.addrs) == 0 {
			p.standIn = append(p.standIn, &s)
		}
	}
	if len(cfg.Via) == 0 && len(p.front.addrs) == 0 {
		p.addImpliedHop()
	}
}

// addImpliedHop stands in for a front whose name does not resolve, when the configuration says where it should lead.
func (p *plan) addImpliedHop() {
	addrs := singles(p.front.expected)
	if len(addrs) == 0 {
		return
	}
	s := *p.front
	s.kind, s.hop, s.expected, s.addrs, s.name = LaneVia, "front", nil, addrs[:1], ""
	p.standIn = append(p.standIn, &s)
}

// setHost points a lane at a fixed address or at a name of its own.
func (s *laneSpec) setHost(a config.Address) {
	s.port, s.name, s.addrs = a.Port, a.Host, nil
	if ap, ok := a.AddrPort(); ok {
		s.name, s.addrs = "", []netip.Addr{ap.Addr()}
	}
}

// atFront tells whether the front's name, or its pinned addresses, lead to this address and no other.
func (p *plan) atFront(a config.Address) bool {
	if a.Port != p.front.port {
		return false
	}
	ap, ok := a.AddrPort()
	if !ok {
		return a.Host == p.front.name
	}
	addrs := p.front.addrs
	if len(addrs) == 0 {
		addrs = singles(p.front.expected)
		if len(addrs) != len(p.front.expected) {
			return false
		}
	}
	return len(addrs) == 1 && addrs[0] == ap.Addr()
}

// singles are the prefixes that hold one address.
func singles(ps []config.Prefix) (out []netip.Addr) {
	for _, p := range ps {
		if p.IsSingleIP() {
			out = append(out, p.Addr())
		}
	}
	return out
}

// addBackends makes a lane for each backend. It keeps the front's Host and path unless told otherwise.
func (p *plan) addBackends(cfg *config.Target, env *Env) error {
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		s := &laneSpec{
			kind: LaneBackend, hop: b.Name, role: RoleBackend, name: b.URL.Hostname(), port: b.URL.PortNumber(), addrs: b.Resolve,
			expected: b.Addresses, ep: b.Endpoint, host: p.front.host, expect: cfg.Expect, timeouts: cfg.Timeouts,
			version: env.Version, dns: env.DNS,
		}
		if b.Expect != nil {
			s.expect = *b.Expect
		}
		s.inherit(p.front)
		if a, ok := literal(s.name); ok {
			s.addrs = []netip.Addr{a}
		}
		if err := s.pin(); err != nil {
			return fmt.Errorf("backend %q: %w", b.Name, err)
		}
		s.setTLS(or(b.ServerName, or(cfg.Front.ServerName, cfg.Front.URL.Hostname())))
		p.lanes = append(p.lanes, s)
	}
	return nil
}

// inherit takes over what the front's request says and this endpoint does not.
func (s *laneSpec) inherit(front *laneSpec) {
	q, f := &s.ep.Request, front.ep.Request
	if q.Host != "" {
		s.host = q.Host
	}
	if q.Headers == nil {
		q.Headers = f.Headers
	}
	if q.BasicAuth == nil && q.BearerToken.IsZero() {
		q.BasicAuth, q.BearerToken = f.BasicAuth, f.BearerToken
	}
	if q.Method == "" || q.Method == http.MethodGet && q.Body == "" {
		q.Method, q.Body = f.Method, f.Body
	}
	if s.http() && front.http() && (s.ep.URL.Path == "" || s.ep.URL.Path == "/") && s.ep.URL.RawQuery == "" {
		u := *s.ep.URL.URL
		u.Path, u.RawPath, u.RawQuery = front.ep.URL.Path, front.ep.URL.RawPath, front.ep.URL.RawQuery
		s.ep.URL.URL = &u
	}
	if !s.http() && len(s.ep.Dialogue) == 0 && s.ep.StartTLS == "" && !front.http() && s.ep.URL.Scheme == front.ep.URL.Scheme {
		s.ep.Dialogue, s.ep.StartTLS = front.ep.Dialogue, front.ep.StartTLS
	}
}

// addControls makes a connect lane for each distinct control port.
func (p *plan) addControls(cfg *config.Target, env *Env) {
	seen := map[config.Address]bool{}
	add := func(hop string, role Role, a *config.Address) {
		if a == nil || seen[*a] {
			return
		}
		seen[*a] = true
		s := controlSpec(LaneControl, hop, role, *a, env)
		s.timeouts = cfg.Timeouts
		s.ep.Source, s.ep.IPVersion = cfg.Front.Source, cfg.Front.IPVersion
		p.lanes = append(p.lanes, s)
	}
	for _, h := range cfg.Via {
		add(h.Name, Role(h.Role), h.Control)
	}
	for _, b := range cfg.Backends {
		add(b.Name, RoleBackend, b.Control)
	}
}

func controlSpec(kind LaneKind, hop string, role Role, a config.Address, env *Env) *laneSpec {
	s := &laneSpec{kind: kind, hop: hop, role: role, connect: true, version: env.Version, dns: env.DNS}
	s.setHost(a)
	return s
}

// hostOf is the host part of a lane's address, to see which lanes look at one host.
func hostOf(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return h
}

func joinHostPort(a netip.Addr, port uint16) string {
	return net.JoinHostPort(a.String(), strconv.Itoa(int(port)))
}
