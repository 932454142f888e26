package probe

import (
	"context"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/whichlayer/whichlayer/config"
)

// newTestNames watches servers; ours are those that are configured.
func newTestNames(t *testing.T, ours []string, system ...string) *SystemNames {
	t.Helper()
	s := &SystemNames{system: func() []string { return system }, every: 10 * time.Millisecond}
	var servers []config.Address
	for _, o := range ours {
		var a config.Address
		if err := a.UnmarshalText([]byte(o)); err != nil {
			t.Fatal(err)
		}
		servers = append(servers, a)
	}
	s.learn("demo.test", servers, nil)
	return s
}

// TestSystemNames: the system's servers are in trouble when they stay silent while ours answer, and only then.
func TestSystemNames(t *testing.T) {
	t.Parallel()
	good := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "192.0.2.1") })
	stranger := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeNameError) })
	failing := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeServerFailure) })
	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mute.Close() })
	silent, closed, other := mute.LocalAddr().String(), closedPort(t).String(), closedPort(t).String()
	for name, c := range map[string]struct {
		ours, system []string
		want         Type
	}{
		"an internal name":                {[]string{good}, []string{stranger}, ""},
		"a server that fails is there":    {[]string{good}, []string{failing}, ""},
		"nobody there":                    {[]string{good}, []string{closed}, DNSUnreachable},
		"silence":                         {[]string{good}, []string{silent}, DNSTimedOut},
		"all are dead":                    {[]string{good}, []string{silent, closed}, DNSUnreachable},
		"one of two answers":              {[]string{good}, []string{closed, stranger}, ""},
		"ours do not answer either":       {[]string{other}, []string{closed}, ""},
		"ours are the system's":           {[]string{closed}, []string{closed}, ""},
		"ours are those and one that is":  {[]string{good, closed}, []string{closed}, ""},
		"none configured":                 {nil, []string{closed}, ""},
		"one of the system's is ours too": {[]string{good}, []string{good, closed}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestNames(t, c.ours, c.system...)
			begin := time.Now()
			s.look(t.Context())
			trouble := s.Trouble()
			if c.want == "" {
				if trouble != nil {
					t.Errorf("%+v", trouble)
				}
				return
			}
			if trouble == nil || trouble.Type != c.want || trouble.Name != "demo.test" || trouble.Error == "" ||
				!slices.Equal(trouble.Servers, c.system) || trouble.Since.Before(begin.Add(-time.Second)) || trouble.Since.After(begin.Add(time.Second)) {
				t.Errorf("%+v", trouble)
			}
		})
	}
}

// TestSystemNamesCourse: a trouble keeps its start until it is over, and one silence alone is none.
func TestSystemNamesCourse(t *testing.T) {
	t.Parallel()
	good := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "192.0.2.1") })
	var drop atomic.Int64 // so many questions yet
	system := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg {
		if drop.Add(-1) >= 0 {
			return nil
		}
		return reply(q, "192.0.2.1")
	})
	s := newTestNames(t, []string{good}, system)
	drop.Store(2)
	if s.look(t.Context()); s.Trouble() != nil {
		t.Errorf("once: %+v", s.Trouble())
	}
	drop.Store(1 << 30)
	s.look(t.Context())
	first := s.Trouble()
	s.look(t.Context())
	if again := s.Trouble(); first == nil || again == nil || !again.Since.Equal(first.Since) {
		t.Errorf("%+v, then %+v", first, again)
	}
	drop.Store(0)
	if s.look(t.Context()); s.Trouble() != nil {
		t.Errorf("over: %+v", s.Trouble())
	}
}

// TestSystemNamesRun: rounds teach it the name, and show what it found; it ends when it is told to.
func TestSystemNamesRun(t *testing.T) {
	t.Parallel()
	web := serveHTTP(t, nil, answerOK)
	good := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "127.0.0.1") })
	cfg, env := load(t, "dns: {servers: [\"%s\"]}\ntargets: [{name: demo, front: {url: \"http://demo.test:%d/\"}}]", good, web.Port())
	env.Names = newTestNames(t, nil, closedPort(t).String())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- env.Names.Run(ctx) }()
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	eventually(t, "trouble", func() bool {
		r = target.Round(t.Context(), time.Now(), ByCheck)
		return r.Self.Resolver != nil
	})
	if v := Attribute(&r, nil); v.State != Up || v.Layer != LayerProber || v.Cause != CauseResolverConfig || v.Confidence != Confirmed {
		t.Errorf("%+v", v)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	(*SystemNames)(nil).learn("demo.test", nil, nil)
	if (*SystemNames)(nil).Trouble() != nil || (*SystemNames)(nil).answered() != nil {
		t.Error("nobody watches")
	}
}

func TestSystemNamesServers(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"127.0.0.1:53"}, atMost(nil)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, atMost([]string{"a", "b", "c", "d"})); diff != "" {
		t.Error(diff)
	}
}
