package probe

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// lookAtNames makes the looks of a round whose name does not resolve at the server.
func lookAtNames(t *testing.T, server string) map[Look]Lane {
	t.Helper()
	cfg, env := load(t, "dns: {servers: [\"%s\"]}\ntargets: [{name: demo, front: {url: \"http://demo.test/\"}}]", server)
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	r := &round{t: target, ctx: t.Context()}
	out := map[Look]Lane{}
	start := time.Now()
	lanes := make(chan Lane)
	looks := r.dnsLooks(target.plan.front)
	for _, look := range looks {
		go func() { lanes <- look() }()
	}
	for range looks {
		l := <-lanes
		if l.Lane != LaneFront || !l.Extra || l.Look == "" || l.Address == "" {
			t.Errorf("%+v", l)
		}
		out[l.Look] = l
	}
	if took := time.Since(start); took > dnsLookTime+time.Second {
		t.Errorf("took %v", took)
	}
	return out
}

func TestDNSLooks(t *testing.T) {
	t.Parallel()
	silent := func(*dns.Msg, bool) *dns.Msg { return nil }
	type seen struct {
		tcp, other Type
		at         StageName // where the one over TCP failed
	}
	for name, c := range map[string]struct {
		server func(*testing.T) string
		want   seen
	}{
		"datagrams are dropped": {func(t *testing.T) string {
			return serveDNS(t, func(q *dns.Msg, overTCP bool) *dns.Msg {
				if !overTCP {
					return nil
				}
				return reply(q, "192.0.2.1")
			})
		}, seen{"", DNSTimedOut, ""}},
		"a frozen process": {func(t *testing.T) string { return serveDNS(t, silent) }, seen{DNSTimedOut, DNSTimedOut, StageResolve}},
		"one name fails": {func(t *testing.T) string {
			return serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg {
				if q.Question[0].Name == "." {
					return reply(q)
				}
				return rcode(q, dns.RcodeServerFailure)
			})
		}, seen{DNSFailed, "", StageResolve}},
		"all is refused": {func(t *testing.T) string {
			return serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeRefused) })
		}, seen{DNSRefused, DNSRefused, StageResolve}},
		"nobody listens": {func(t *testing.T) string { return closedPort(t).String() }, seen{TCPRefused, DNSUnreachable, StageConnect}},
		"it hangs up": {func(t *testing.T) string {
			return serve(t, func(c net.Conn) { readUntil(c, "test") }).String()
		}, seen{DNSInvalid, DNSUnreachable, StageResolve}},
		"nothing gets there": {func(t *testing.T) string { return neverAccepting(t, "127.0.0.1:0").Addr().String() },
			seen{TCPTimedOut, DNSUnreachable, StageConnect}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lanes := lookAtNames(t, c.server(t))
			tcp, other := lanes[LookDNSOverTCP], lanes[LookOtherName]
			var got seen
			if s := failedStage(&tcp); s != nil {
				got.tcp, got.at = s.Type, s.Stage
			}
			if s := failedStage(&other); s != nil {
				got.other = s.Type
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(seen{})); diff != "" {
				t.Errorf("%s\n%+v", diff, lanes)
			}
			if tcp.Name != "demo.test" || other.Name != "." || len(tcp.Stages) != 2 || len(other.Stages) != 1 {
				t.Errorf("%+v", lanes)
			}
			if got.tcp == "" && (len(tcp.Addresses) != 1 || tcp.Addresses[0] != "192.0.2.1") {
				t.Errorf("%+v", tcp)
			}
			if info := tcp.Stages[1].TCPInfo; got.tcp == DNSTimedOut && !info.AckedAll() {
				t.Errorf("the question was not acknowledged: %+v", info)
			}
		})
	}
}

// TestDNSLookAtSystem: the servers of resolv.conf are asked too, all together.
func TestDNSLookAtSystem(t *testing.T) {
	t.Parallel()
	good := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "192.0.2.1") })
	r := &round{t: newTestTarget(t, `front: {url: "http://demo.test/"}`), ctx: t.Context()}
	l := r.lookOtherServers(r.t.plan.front, LookSystemResolver, []string{closedPort(t).String(), good})
	wantGood(t, &l)
	if l.Look != LookSystemResolver || len(l.Addresses) != 1 {
		t.Errorf("%+v", l)
	}
}

func TestSystemServers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# by hand\nnameserver 192.0.2.53\nnameserver what?\nnameserver fe80::1%lo\nsearch x.test\noptions timeout:1\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"192.0.2.53:53", "[fe80::1%lo]:53"}, systemServers(file)); diff != "" {
		t.Error(diff)
	}
	if got := systemServers(filepath.Join(t.TempDir(), "none")); got != nil {
		t.Errorf("%v", got)
	}
}
