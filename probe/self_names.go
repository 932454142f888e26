package probe

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/whichlayer/whichlayer/config"
)

const (
	// namesEvery is the time between two looks at the system's name servers, of which a fifth is left to chance.
	namesEvery = 3 * time.Second
	// namesPatience bounds one look: two tries.
	namesPatience = 1500 * time.Millisecond
	// maxServers is how many name servers of resolv.conf programs ask (MAXNS of resolv.h).
	maxServers = 3
)

// SystemNames watches the name servers that this host's other programs ask, and this one when it delivers an alert, while
// probing asks those of the configuration: a resolv.conf that was broken would be found out by the first alert that does
// not get out. It asks for a name that a target's own servers know.
type SystemNames struct {
	// system gives the servers of resolv.conf.
	system func() []string
	every  time.Duration

	mu      sync.Mutex
	name    string
	servers []config.Address // those of the configuration
	former  []string         // those of the system that answered last, when none are configured
	trouble *ResolverTrouble
}

// NewSystemNames prepares a watch.
func NewSystemNames() *SystemNames {
	return &SystemNames{system: func() []string { return atMost(systemServers(resolvConf)) }, every: namesEvery}
}

// Run looks every few seconds until ctx ends.
func (s *SystemNames) Run(ctx context.Context) error {
	for {
		wait := s.every - time.Duration(rand.Int64N(int64(s.every/5)+1))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
			s.look(ctx)
		}
	}
}

// learn takes a name that the configured servers have just resolved. Without configured servers there is nothing to
// watch, since every round sees those of the system; who answered is kept then.
func (s *SystemNames) learn(name string, servers []config.Address, asked []Asked) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.servers = name, servers
	if len(servers) > 0 || len(asked) == 0 {
		return
	}
	s.former = nil
	for _, a := range asked {
		if a.Resent < a.Questions {
			s.former = append(s.former, a.Server)
		}
	}
}

// answered are the servers of the system that answered last, when none are configured.
func (s *SystemNames) answered() []string {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.former
}

// Trouble is what is wrong with the system's name servers; nil when nothing is known to be.
func (s *SystemNames) Trouble() *ResolverTrouble {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

func (s *SystemNames) set(t *ResolverTrouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t != nil && s.trouble != nil {
		t.Since = s.trouble.Since
	}
	s.trouble = t
}

// look asks the system's servers. Silence counts when it is there twice and the configured servers answer meanwhile; any
// answer is one: that an internal name is not known there is why others are configured.
func (s *SystemNames) look(ctx context.Context) {
	s.mu.Lock()
	name, configured := s.name, hostPorts(s.servers)
	s.mu.Unlock()
	system := s.system()
	if len(configured) == 0 || !slices.ContainsFunc(system, func(x string) bool { return !slices.Contains(configured, x) }) {
		s.set(nil)
		return
	}
	begin := time.Now()
	var silence *failure
	for range 2 {
		if silence = silentTo(ctx, name, system); silence == nil {
			s.set(nil)
			return
		}
	}
	if ctx.Err() != nil || silence.typ.Self() && silence.typ != SelfNoRoute || silentTo(ctx, name, configured) != nil {
		return // that says something of us, or of the way out
	}
	s.set(&ResolverTrouble{Servers: system, Name: name, Type: silence.typ, Error: clip(silence.Error(), 300), Since: begin.UTC()})
}

// atMost are the servers that programs ask. Where resolv.conf names none, that is this host (resolv.conf(5)).
func atMost(servers []string) []string {
	if len(servers) == 0 {
		return []string{"127.0.0.1:53"}
	}
	return servers[:min(len(servers), maxServers)]
}

// silentTo tells why none of the servers has an answer; nil if one has, whatever it says.
func silentTo(ctx context.Context, name string, servers []string) *failure {
	ctx, cancel := context.WithTimeout(ctx, namesPatience)
	defer cancel()
	h := hedge{resolver: &resolver{}, fqdn: dns.Fqdn(name), qtype: dns.TypeA, servers: servers}
	_, err := h.run(ctx)
	var f *failure
	if !errors.As(err, &f) || f.typ != DNSTimedOut && f.typ != DNSUnreachable && !f.typ.Self() {
		return nil
	}
	return f
}
