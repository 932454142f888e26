package probe

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// These tests look through a router at a host behind it. Each runs once more in a process of its own, whose network
// namespace is ours; router and host have namespaces beside it, which end with the process.

const (
	routerIP, hostIP   = "10.0.1.1", "10.0.2.2"
	routerIP6, hostIP6 = "2001:db8:1::1", "2001:db8:2::2"
	ownIP, ownIP6      = "10.0.1.2", "2001:db8:1::2"
)

// routed makes a router and a host behind it. Port 22 of the host is open.
func routed(t *testing.T) (own, router, host *namespace) {
	t.Helper()
	own, router, host = &namespace{t: t}, newNamespace(t), newNamespace(t)
	own.prepare()
	own.run("ip link add eth0 type veth peer name near netns "+router.path,
		"ip link add far netns "+router.path+" type veth peer name eth0 netns "+host.path,
		"ip addr add "+ownIP+"/24 dev eth0", "ip -6 addr add "+ownIP6+"/64 dev eth0 nodad", "ip link set eth0 up",
	)
	router.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0",
		"ip addr add "+routerIP+"/24 dev near", "ip -6 addr add "+routerIP6+"/64 dev near nodad", "ip link set near up",
		"ip addr add 10.0.2.1/24 dev far", "ip -6 addr add 2001:db8:2::1/64 dev far nodad", "ip link set far up")
	host.run("ip addr add "+hostIP+"/24 dev eth0", "ip -6 addr add "+hostIP6+"/64 dev eth0 nodad", "ip link set eth0 up",
		"ip route add default via 10.0.2.1", "ip -6 route add default via 2001:db8:2::1")
	own.run("ip route add default via "+routerIP, "ip -6 route add default via "+routerIP6)
	for _, ip := range []string{hostIP, hostIP6} {
		at := net.JoinHostPort(ip, "22")
		host.listen(at, silence)
		eventually(t, "a way to the host", func() bool {
			c, err := net.DialTimeout("tcp", at, 20*time.Millisecond) // less than a SYN that is sent again takes
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return own, router, host
}

// frontBehind is a round of a target at port 443 of an address, whose control port is 22.
func frontBehind(t *testing.T, ip string) (*round, *attempt) {
	t.Helper()
	at := net.JoinHostPort(ip, "443")
	return lookRound(t, `front: {url: "tcp://%s"}, via: [{name: p, role: proxy, address: "%s", control: "%s"}]`, at, at, net.JoinHostPort(ip, "22"))
}

// factsWith are the facts of a round whose front failed and that looked.
func factsWith(ip string, failed Stage, looks ...Lane) *facts {
	front := laneOf(LaneFront, "p", RoleProxy, net.JoinHostPort(ip, "443"), failed)
	return newFacts(roundOf(append([]Lane{front}, looks...)...), nil)
}

// TestFirstHop: the first router says that a SYN goes no further, unless our own host keeps it back or there is no router.
func TestFirstHop(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	own, router, _ := routed(t)
	router.listen(routerIP+":443", silence)
	look := func(ip string) (*facts, Lane, Lane) {
		t.Helper()
		r, a := frontBehind(t, ip)
		there := inTime(t, r.lookFirstHop(a, LookFirstHop))
		beside := inTime(t, r.lookFirstHop(a, LookFirstHopBeside))
		if there.Address != net.JoinHostPort(ip, "443") || beside.Address != net.JoinHostPort(ip, "22") {
			t.Errorf("%+v %+v", there, beside)
		}
		return factsWith(ip, failing(StageConnect, TCPTimedOut), there, beside), there, beside
	}
	for ip, want := range map[string]ICMP{
		hostIP:  {Type: 11, From: routerIP},
		hostIP6: {Type: 3, From: routerIP6, V6: true},
	} {
		own.filter("output")
		f, there, beside := look(ip)
		if f.firstHop(LookFirstHop) != hopExpired || f.firstHop(LookFirstHopBeside) != hopExpired || f.heldAtFirstHop() {
			t.Errorf("%s: %+v %+v", ip, there, beside)
		}
		for _, l := range []Lane{there, beside} {
			if diff := cmp.Diff(&want, l.Stages[0].ICMP); diff != "" {
				t.Errorf("%s: %s", ip, diff)
			}
		}
		own.filter("output", "tcp dport 443 drop")
		f, there, beside = look(ip)
		if f.firstHop(LookFirstHop) != hopSilent || f.firstHop(LookFirstHopBeside) != hopExpired || !f.heldAtFirstHop() {
			t.Errorf("%s, held back here: %+v %+v", ip, there, beside)
		}
	}
	own.filter("output")
	if f, there, beside := look(routerIP); f.firstHop(LookFirstHop) != hopConnected || f.firstHop(LookFirstHopBeside) != hopRefused {
		t.Errorf("no router between: %+v %+v", there, beside)
	}
	if r, a := frontBehind(t, "127.0.0.1"); r.lookFirstHop(a, LookFirstHop) != nil {
		t.Error("a look at the way to loopback")
	}
}

// TestICMPErrors: who sent the error that ended a connect, and which one it was, stands in the stage.
func TestICMPErrors(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	own, router, host := routed(t)
	type row struct {
		at   *namespace
		hook string
		ip   string
		with string
		typ  Type
		want ICMP
	}
	rows := []row{
		{router, "forward", hostIP, "icmp type admin-prohibited", TCPUnreachable, ICMP{Type: 3, Code: 13, From: routerIP}},
		{router, "forward", hostIP, "icmp type host-prohibited", TCPUnreachable, ICMP{Type: 3, Code: 10, From: routerIP}},
		{router, "forward", hostIP, "icmp type host-unreachable", TCPUnreachable, ICMP{Type: 3, Code: 1, From: routerIP}},
		{router, "forward", hostIP, "icmp type port-unreachable", TCPRefused, ICMP{Type: 3, Code: 3, From: routerIP}},
		{host, "input", hostIP, "icmp type admin-prohibited", TCPUnreachable, ICMP{Type: 3, Code: 13, From: hostIP}},
		{router, "forward", hostIP6, "icmpv6 type admin-prohibited", TCPUnreachable, ICMP{Type: 1, Code: 1, From: routerIP6, V6: true}},
		{router, "forward", hostIP6, "icmpv6 type addr-unreachable", TCPUnreachable, ICMP{Type: 1, Code: 3, From: routerIP6, V6: true}},
		{router, "forward", hostIP6, "icmpv6 type port-unreachable", TCPRefused, ICMP{Type: 1, Code: 4, From: routerIP6, V6: true}},
		{host, "input", hostIP6, "icmpv6 type port-unreachable", TCPRefused, ICMP{Type: 1, Code: 4, From: hostIP6, V6: true}},
		{own, "output", hostIP, "icmp type admin-prohibited", TCPUnreachable, ICMP{Type: 3, Code: 13, From: ownIP}},
		{own, "output", hostIP6, "icmpv6 type admin-prohibited", TCPUnreachable, ICMP{Type: 1, Code: 1, From: ownIP6, V6: true}},
	}
	for _, c := range rows {
		c.at.filter(c.hook, "tcp dport 443 reject with "+c.with)
		l := lookAt(t, `timeouts: {connect: 2s}, front: {url: "tcp://%s"}`, net.JoinHostPort(c.ip, "443"))
		s := wantFailed(t, l, StageConnect, c.typ)
		if diff := cmp.Diff(&c.want, s.ICMP); diff != "" {
			t.Errorf("%s %s %s: %s", c.hook, c.ip, c.with, diff)
		}
		if prohibited := strings.Contains(c.with, "prohibited"); s.ICMP.prohibited() != prohibited || s.ICMP.ourselves(l) != (c.at == own) {
			t.Errorf("%s %s %s: prohibited %v, by ourselves %v, from %s", c.hook, c.ip, c.with, s.ICMP.prohibited(), s.ICMP.ourselves(l), l.Local)
		}
		c.at.filter(c.hook)
	}
	if l := lookAt(t, `front: {url: "tcp://%s:443"}`, hostIP); wantFailed(t, l, StageConnect, TCPRefused).ICMP != nil {
		t.Errorf("a reset is no ICMP error: %+v", l.Stages)
	}
}

// farReset looks whose reset ended the front at a stage.
func farReset(t *testing.T, r *round, a *attempt, failed Stage) (l Lane, nearer, itself bool) {
	t.Helper()
	a.lane.Stages = []Stage{failed}
	look, tries := r.lookFarReset(a, maxLooks)
	if tries > farResetTries {
		t.Errorf("%d tries", tries)
	}
	l = inTime(t, look)
	if l.Look != LookFarReset || l.Address != a.addr.String() {
		t.Errorf("%+v", l)
	}
	nearer, itself = factsWith(a.addr.Addr().String(), failed, l).resetBy()
	return l, nearer, itself
}

// TestFarReset: a reset that the router makes is told from the host's own, by what is known of the TTL with which the host's
// packets arrive; in answer to a SYN and in the middle of a handshake.
func TestFarReset(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	_, router, host := routed(t)
	refused, cut := failing(StageConnect, TCPRefused), failing(StageTLS, TLSReset)
	for _, c := range []struct {
		ip     string
		begin  string // with what TTL the host's packets begin; those of the router begin with 64
		failed Stage
		forge  string // what the router resets
		ttl    int
		rounds int  // that it takes until the TTL is known
		nearer bool // the router's reset arrives with a higher TTL
	}{
		{hostIP, "net.ipv4.ip_default_ttl=64", refused, "tcp dport 443", 63, 1, true},
		{hostIP, "net.ipv4.ip_default_ttl=118", refused, "tcp dport 443", 117, 2, false}, // as from 11 hops away
		{hostIP, "net.ipv4.ip_default_ttl=64", cut, "tcp dport 443 meta length > 200", 63, 1, true},
		{hostIP6, "net.ipv6.conf.eth0.hop_limit=128", cut, "tcp dport 443 meta length > 200", 127, 1, false},
	} {
		name := fmt.Sprintf("%s, %s", c.begin, c.failed.Type)
		host.run("sysctl -qw " + c.begin)
		r, a := frontBehind(t, c.ip)
		stop := func() {}
		if c.failed.Stage == StageTLS {
			ln := host.listen(a.addr.String(), func(c net.Conn) {
				c.Read(make([]byte, 1))
				reset(c)
			})
			stop = func() { ln.Close() }
			r.t.plan.front.tls = clientTLS(&r.t.plan.front.ep, "demo.test")
			a.spec.tls = r.t.plan.front.tls
		}
		for range c.rounds - 1 {
			if l, _, _ := farReset(t, r, a, c.failed); l.Stages[0].Outcome != NoData {
				t.Errorf("%s: found at once: %+v", name, l)
			}
		}
		if l, nearer, itself := farReset(t, r, a, c.failed); nearer || !itself {
			t.Errorf("%s: the host resets: nearer %v, %+v", name, nearer, l.Stages)
		}
		for at, got := range r.t.looks.ttl {
			if got != (ttlBounds{c.ttl, c.ttl + 1}) || at.Addr() != a.addr.Addr() {
				t.Errorf("%s: %s %+v, expected %d", name, at, got, c.ttl)
			}
		}
		if _, tries := r.lookFarReset(a, maxLooks); tries != leastTTLTries {
			t.Errorf("%s: %d tries although the TTL is known", name, tries)
		}
		router.filter("forward", c.forge+" reject with tcp reset")
		if l, nearer, itself := farReset(t, r, a, c.failed); nearer != c.nearer || itself {
			t.Errorf("%s: the router resets: nearer %v, itself %v, %+v", name, nearer, itself, l.Stages)
		}
		router.filter("forward")
		stop()
	}
}

// TestFarResetForgets: what is known of a host's TTL is not used once its packets arrive with another one.
func TestFarResetForgets(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	_, _, host := routed(t)
	r, a := frontBehind(t, hostIP)
	at := netip.AddrPortFrom(a.addr.Addr(), 22)
	for _, c := range []struct {
		begin int
		known ttlBounds
	}{
		{70, ttlBounds{63, 64}},
		{60, ttlBounds{63, 64}},
		{64, ttlBounds{60, 61}}, // a packet got lost when the TTL was searched
	} {
		host.run(fmt.Sprintf("sysctl -qw net.ipv4.ip_default_ttl=%d", c.begin))
		r.t.looks.ttl = map[netip.AddrPort]ttlBounds{at: c.known}
		l, _, _ := farReset(t, r, a, failing(StageConnect, TCPRefused))
		if b := r.t.looks.ttl[at]; l.Stages[0].Outcome != NoData || b.known() {
			t.Errorf("%+v: %+v, %+v", c, l.Stages, r.t.looks.ttl)
		}
	}
}

// TestConnectLooks: SYNs to two addresses of a name are dropped. Their timeouts run beside each other, and so do the looks.
func TestConnectLooks(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	_, router, host := routed(t)
	host.run("ip addr add 10.0.2.3/24 dev eth0")
	router.filter("forward", "tcp dport 443 drop")
	const stageTime = 1800 * time.Millisecond
	target := newTestTarget(t, `timeouts: {connect: %v}, front: {url: "https://demo.test/", resolve: ["10.0.2.2", "10.0.2.3"]},
		via: [{name: p, role: proxy, address: "10.0.2.3:443", control: "10.0.2.3:22"}]`, stageTime)
	start := time.Now()
	r := target.Round(t.Context(), start, ByCheck)
	if took := time.Since(start); took > stageTime+lookTime+100*time.Millisecond {
		t.Errorf("took %v", took)
	}
	wantFailed(t, &r.Lanes[0], StageConnect, TCPTimedOut)
	looks := looksOf(&r)
	slices.Sort(looks)
	if diff := cmp.Diff([]Look{LookFirstHop, LookFirstHopBeside}, looks); diff != "" {
		t.Error(diff)
	}
	others := 0
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Lane == LaneFront && l.Extra && l.Look == "" {
			if s := wantFailed(t, l, StageConnect, TCPTimedOut); s.Duration.Std() < stageTime-10*time.Millisecond {
				t.Errorf("the other address had %v", s.Duration.Std())
			}
			others++
		}
	}
	if others != 1 {
		t.Errorf("%d other addresses: %+v", others, r.Lanes)
	}
}
