package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/whichlayer/whichlayer/config"
)

// serveDNS answers queries over UDP and TCP; nil is no answer.
func serveDNS(t testing.TB, answer func(q *dns.Msg, overTCP bool) *dns.Msg) string {
	t.Helper()
	return serveDNSRaw(t, func(w dns.ResponseWriter, q *dns.Msg) {
		_, overTCP := w.RemoteAddr().(*net.TCPAddr)
		if m := answer(q, overTCP); m != nil {
			w.WriteMsg(m)
		}
	})
}

func serveDNSRaw(t testing.TB, h dns.HandlerFunc) string {
	t.Helper()
	for range 20 {
		ln := listenAt(t, "127.0.0.1:0")
		pc, err := net.ListenPacket("udp", ln.Addr().String())
		if err != nil {
			ln.Close()
			continue
		}
		for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: ln, Handler: h}} {
			started, done := make(chan struct{}), make(chan struct{})
			s.NotifyStartedFunc = func() { close(started) }
			go func() {
				defer close(done)
				s.ActivateAndServe()
			}()
			<-started
			t.Cleanup(func() {
				s.Shutdown()
				<-done
			})
		}
		return ln.Addr().String()
	}
	t.Fatal("no port is free for UDP and TCP")
	return ""
}

// reply answers with those of the addresses that were asked for.
func reply(q *dns.Msg, addrs ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	for _, a := range addrs {
		ip, head := netip.MustParseAddr(a), dns.RR_Header{Name: q.Question[0].Name, Class: dns.ClassINET, Ttl: 1}
		switch qtype := q.Question[0].Qtype; {
		case ip.Is4() && qtype == dns.TypeA:
			head.Rrtype = dns.TypeA
			m.Answer = append(m.Answer, &dns.A{Hdr: head, A: ip.AsSlice()})
		case ip.Is6() && qtype == dns.TypeAAAA:
			head.Rrtype = dns.TypeAAAA
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: head, AAAA: ip.AsSlice()})
		}
	}
	return m
}

func rcode(q *dns.Msg, code int) *dns.Msg { return new(dns.Msg).SetRcode(q, code) }

// many are n addresses, enough of which fit no datagram.
func many(n int) (out []string) {
	for i := range n {
		out = append(out, netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}).String())
	}
	return out
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  func(q *dns.Msg, overTCP bool) *dns.Msg
		version config.IPVersion
		want    []string
		typ     Type
		text    string
	}{
		"both families, sorted, each once": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg {
				return reply(q, "2001:db8::1", "192.0.2.9", "192.0.2.1", "192.0.2.9")
			},
			want: []string{"192.0.2.1", "192.0.2.9", "2001:db8::1"}},
		"only version 4": {
			answer:  func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "2001:db8::1", "192.0.2.1") },
			version: 4, want: []string{"192.0.2.1"}},
		"only version 6": {
			answer:  func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "2001:db8::1", "192.0.2.1") },
			version: 6, want: []string{"2001:db8::1"}},
		"the wanted version is missing": {
			answer:  func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "192.0.2.1") },
			version: 6, typ: DNSNotResolved, text: "demo.test: the name exists and has no address"},
		"an alias": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg {
				m := reply(q, "192.0.2.1")
				alias := &dns.CNAME{Hdr: dns.RR_Header{Name: "demo.test.", Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: "cdn.test."}
				for _, rr := range m.Answer {
					rr.Header().Name = "cdn.test."
				}
				m.Answer = append([]dns.RR{alias}, m.Answer...)
				return m
			},
			want: []string{"192.0.2.1"}},
		"one family fails": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg {
				if q.Question[0].Qtype == dns.TypeAAAA {
					return rcode(q, dns.RcodeServerFailure)
				}
				return reply(q, "192.0.2.1")
			},
			want: []string{"192.0.2.1"}},
		"no data": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg { return reply(q) },
			typ:    DNSNotResolved, text: "demo.test: the name exists and has no address"},
		"no such name": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeNameError) },
			typ:    DNSNotResolved, text: "NXDOMAIN"},
		"server failure": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeServerFailure) },
			typ:    DNSFailed, text: "SERVFAIL"},
		"another code": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeNotImplemented) },
			typ:    DNSFailed, text: "NOTIMP"},
		"refused": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg { return rcode(q, dns.RcodeRefused) },
			typ:    DNSRefused, text: "REFUSED"},
		"truncated: asked again over TCP, bounded": {
			answer: func(q *dns.Msg, overTCP bool) *dns.Msg {
				if !overTCP {
					m := reply(q)
					m.Truncated = true
					return m
				}
				return reply(q, many(500)...)
			},
			version: 4, want: many(maxAddresses)},
		"another question": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg {
				m := reply(q, "192.0.2.1")
				m.Question[0].Name = "other.test."
				return m
			},
			typ: DNSInvalid, text: "another question"},
		"another type": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg {
				m := reply(q)
				m.Question[0].Qtype = dns.TypeMX
				return m
			},
			typ: DNSInvalid, text: "another question"},
		"no question": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg {
				m := reply(q, "192.0.2.1")
				m.Question = nil
				return m
			},
			typ: DNSInvalid, text: "another question"},
		"the case of the name does not matter": {
			answer: func(q *dns.Msg, _ bool) *dns.Msg {
				m := reply(q, "192.0.2.1")
				m.Question[0].Name = "DEMO.test."
				return m
			},
			want: []string{"192.0.2.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkLookup(t, serveDNS(t, c.answer), 10*time.Second, c.version, c.want, c.typ, c.text)
		})
	}
}

func checkLookup(t *testing.T, server string, wait time.Duration, version config.IPVersion, want []string, typ Type, text string) {
	t.Helper()
	var at config.Address
	if err := at.UnmarshalText([]byte(server)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	r := resolver{servers: []config.Address{at}, version: version}
	addrs, err := r.lookup(ctx, "demo.test")
	var got []string
	for _, a := range addrs {
		got = append(got, a.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var f *failure
	if typ == "" && err != nil || typ != "" && (!errors.As(err, &f) || f.typ != typ || !strings.Contains(f.Error(), text)) {
		t.Errorf("error %v (%+v), expected %s with %q", err, f, typ, text)
	}
}

func TestResolveBrokenServers(t *testing.T) {
	t.Parallel()
	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	garbage := serveDNSRaw(t, func(w dns.ResponseWriter, q *dns.Msg) {
		w.Write(append([]byte{byte(q.Id >> 8), byte(q.Id)}, strings.Repeat("\xff\xc0?", 40)...))
	})
	noTCP := serveDNSRaw(t, func(w dns.ResponseWriter, q *dns.Msg) {
		if _, overTCP := w.RemoteAddr().(*net.TCPAddr); overTCP {
			w.Close()
			return
		}
		m := reply(q)
		m.Truncated = true
		w.WriteMsg(m)
	})
	checkLookup(t, mute.LocalAddr().String(), 100*time.Millisecond, 0, nil, DNSTimedOut, "no answer")
	checkLookup(t, closed.LocalAddr().String(), 10*time.Second, 0, nil, DNSUnreachable, "connection refused")
	checkLookup(t, garbage, 10*time.Second, 0, nil, DNSInvalid, "")
	checkLookup(t, noTCP, 10*time.Second, 0, nil, DNSInvalid, "EOF")
}

// TestResolveStage goes through whole rounds: what the lane shows of its first stage.
func TestResolveStage(t *testing.T) {
	t.Parallel()
	web := serveHTTP(t, nil, answerOK)
	good := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "127.0.0.1") })
	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	look := func(servers, keys string) (Result, *Lane) {
		cfg, env := load(t, "dns: {servers: [%s]}\ntargets: [{name: demo, front: {url: \"http://demo.test:%d/\", addresses: [%s]}, %s}]", servers, web.Port(), "127.0.0.0/24", keys)
		target, err := NewTarget(cfg.Targets[0], env)
		if err != nil {
			t.Fatal(err)
		}
		r := target.Round(t.Context(), time.Now(), ByCheck)
		return r, &r.Lanes[0]
	}
	quoted := func(s ...string) string { return `"` + strings.Join(s, `", "`) + `"` }

	r, l := look(quoted(good), "timeouts: {}")
	wantGood(t, l)
	if s := l.Stages[0]; s.Outcome != OK || s.TCPInfo != nil || l.Name != "demo.test" || l.Address != web.String() || len(l.Addresses) != 1 {
		t.Errorf("%+v of %+v", s, l)
	}
	if v := Attribute(&r, nil); v.State != Up {
		t.Errorf("verdict %+v", v)
	}

	r, l = look(quoted(mute.LocalAddr().String(), good), "timeouts: {resolve: 800ms}")
	wantGood(t, l)
	if s := l.Stages[0]; s.Outcome != Slow || s.Duration.Std() < 190*time.Millisecond || !strings.Contains(s.Error, "sent again") {
		t.Errorf("second server: %+v", s)
	}
	want := []Asked{{mute.LocalAddr().String(), 2, 2}, {good, 2, 0}}
	if diff := cmp.Diff(want, l.Stages[0].Asked); diff != "" {
		t.Error(diff)
	}
	if v := Attribute(&r, nil); v.State != Up {
		t.Errorf("lost once: verdict %+v", v)
	}
	r.Paths = []Path{{Address: mute.LocalAddr().String(), Names: true, Tries: 6, Resent: 2}}
	if v := Attribute(&r, nil); v.State != Degraded || v.Layer != LayerDNS || v.Confidence != Ambiguous {
		t.Errorf("lost often: verdict %+v", v)
	}

	r, l = look(quoted(mute.LocalAddr().String()), "timeouts: {resolve: 100ms}")
	s := wantFailed(t, l, StageResolve, DNSTimedOut)
	if s.Duration.Std() < 90*time.Millisecond || l.Stages[1].Outcome != Skipped || l.Address != "" {
		t.Errorf("silent server: %+v of %+v", s, l)
	}
	if v := Attribute(&r, nil); v.State != Down || v.Layer != LayerDNS {
		t.Errorf("verdict %+v", v)
	}
}

// TestResolveElsewhere: an address outside the expected ones is a failure, and is looked at all the same.
func TestResolveElsewhere(t *testing.T) {
	t.Parallel()
	web := serveHTTP(t, nil, answerOK)
	server := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "127.0.0.1") })
	cfg, env := load(t, "dns: {servers: [\"%s\"]}\ntargets: [{name: demo, front: {url: \"http://demo.test:%d/\", addresses: [127.0.0.66]}}]", server, web.Port())
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	r := target.Round(t.Context(), time.Now(), ByCheck)
	l := &r.Lanes[0]
	wantFailed(t, l, StageResolve, DNSAddressChanged)
	if len(l.Stages) != 4 || !l.Stages[3].Good() || l.Address != web.String() {
		t.Errorf("%+v", l)
	}
	standIn := laneNamed(t, &r, LaneVia, "front")
	wantFailed(t, standIn, StageConnect, TCPRefused)
	if standIn.Address != netip.AddrPortFrom(netip.MustParseAddr("127.0.0.66"), web.Port()).String() {
		t.Errorf("stand-in at %s", standIn.Address)
	}
	if v := Attribute(&r, nil); v.State != Degraded || v.Layer != LayerDNS || v.Cause != CauseWrongAddress {
		t.Errorf("verdict %+v", v)
	}
}

// TestResolveFromSource: queries come from the source address; a server of the other family is asked all the same.
func TestResolveFromSource(t *testing.T) {
	t.Parallel()
	from := make(chan string, 2)
	server := serveDNSRaw(t, func(w dns.ResponseWriter, q *dns.Msg) {
		from <- w.RemoteAddr().String()
		w.WriteMsg(reply(q, "127.0.0.1", "::1"))
	})
	at := config.Address{Host: "127.0.0.1", Port: netip.MustParseAddrPort(server).Port()}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r := resolver{servers: []config.Address{at}, version: 4, source: netip.MustParseAddr("127.0.0.9")}
	if _, err := r.lookup(ctx, "demo.test"); err != nil {
		t.Error(err)
	}
	if got := <-from; !strings.HasPrefix(got, "127.0.0.9:") {
		t.Errorf("asked from %s", got)
	}
	r = resolver{servers: []config.Address{at}, version: 6, source: netip.MustParseAddr("::1")}
	if addrs, err := r.lookup(ctx, "demo.test"); err != nil || len(addrs) != 1 {
		t.Errorf("%v, %v", addrs, err)
	}
	if got := <-from; !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("asked from %s", got)
	}
	r = resolver{servers: []config.Address{at}, source: netip.MustParseAddr("192.0.2.77")}
	_, err := r.lookup(ctx, "demo.test")
	var f *failure
	if !errors.As(err, &f) || f.typ != SelfNoRoute {
		t.Errorf("a source that is not ours: %v", err)
	}
}

// TestResolveHostsFile: without configured servers the system's hosts file comes first.
func TestResolveHostsFile(t *testing.T) {
	t.Parallel()
	if data, err := os.ReadFile("/etc/hosts"); err != nil || !strings.Contains(string(data), "localhost") {
		t.Skip("SKIPPED: the hosts file does not know localhost")
	}
	at := serveHTTP(t, nil, answerOK)
	l := lookAt(t, `front: {url: "http://localhost:%d/", ip_version: 4}`, at.Port())
	wantGood(t, l)
	if l.Address != at.String() || l.Name != "localhost" || len(l.Addresses) != 1 {
		t.Errorf("%+v", l)
	}
}

// TestNamesComeAndGo: once no server answered, a question that has to be sent again after rounds that went well is the same
// trouble; one in the first round that goes well is its end, and one that nothing came before happens on any path.
func TestNamesComeAndGo(t *testing.T) {
	t.Parallel()
	resent := passing(StageResolve)
	resent.Outcome, resent.Duration = Slow, Seconds(1200*time.Millisecond)
	resent.Asked = []Asked{{Server: "10.0.0.53:53", Questions: 2, Resent: 1}}
	resent.Started = noon
	first := func(s Stage) *Result {
		l := fineLane(LaneFront, "", RoleFront, "10.0.0.1:443")
		if !s.Good() {
			l.Stages = nil
		}
		l.Stages = append([]Stage{s}, l.Stages...)
		return roundOf(l)
	}
	now, silent := first(resent), first(failing(StageResolve, DNSTimedOut))
	fine := roundOf(fineLane(LaneFront, "", RoleFront, "10.0.0.1:443"))
	if v := Attribute(now, []*Result{silent, fine}); v.State != Degraded || v.Layer != LayerDNS {
		t.Errorf("again: %s %s/%s by %s", v.State, v.Layer, v.Cause, v.Rule)
	}
	for name, past := range map[string][]*Result{"the end": {silent}, "nothing before": {fine}} {
		if v := Attribute(now, past); v.State != Up {
			t.Errorf("%s: %s %s/%s by %s", name, v.State, v.Layer, v.Cause, v.Rule)
		}
	}
}
