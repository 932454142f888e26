package probe

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// lookRound is a round of a target in which looks may be made, and its front's attempt, which has got as far as an address.
func lookRound(t *testing.T, text string, args ...any) (*round, *attempt) {
	t.Helper()
	r := &round{t: newTestTarget(t, text, args...), ctx: t.Context(), looking: looking{left: maxLooks}}
	a := r.newAttempt(r.t.plan.front)
	t.Cleanup(a.end)
	a.setAddr(r.t.plan.front.addrs[0])
	return r, a
}

// tally counts the connections that a listener takes.
type tally struct {
	*net.TCPListener
	mu   sync.Mutex
	from []string
}

func tallied(ln *net.TCPListener) *tally { return &tally{TCPListener: ln} }

// Accept implements net.Listener.
func (c *tally) Accept() (net.Conn, error) {
	conn, err := c.TCPListener.Accept()
	if err == nil {
		c.mu.Lock()
		c.from = append(c.from, conn.RemoteAddr().String())
		c.mu.Unlock()
	}
	return conn, err
}

// taken is how many connections came since the last call. One of its own, behind all others, shows that there are no more.
func (c *tally) taken(t *testing.T) (n int) {
	t.Helper()
	last, err := net.Dial("tcp", c.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	eventually(t, "the last connection", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n = slices.Index(c.from, last.LocalAddr().String())
		if n >= 0 {
			c.from = nil
		}
		return n >= 0
	})
	return n
}

func takenBy(t *testing.T, servers []*tally) (n int) {
	t.Helper()
	for _, s := range servers {
		n += s.taken(t)
	}
	return n
}

// inTime makes a look, which must not take long.
func inTime(t *testing.T, look func() Lane) Lane {
	t.Helper()
	start := time.Now()
	l := look()
	if took := time.Since(start); took > lookTime+200*time.Millisecond {
		t.Errorf("took %v: %+v", took, l)
	}
	return l
}

// looksOf are the looks of a round.
func looksOf(r *Result) (out []Look) {
	for i := range r.Lanes {
		if k := r.Lanes[i].Look; k != "" {
			out = append(out, k)
		}
	}
	return out
}

// TestNoLookAtHealthy: each server of a healthy round gets one connection and no more.
func TestNoLookAtHealthy(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	var servers []*tally
	for i, cfg := range []bool{true, true, false} {
		ln := tallied(listenAt(t, fmt.Sprintf("127.0.0.%d:0", i+1)))
		servers = append(servers, ln)
		if cfg {
			serveHTTPOn(t, ln, p.server("demo.test"), answerOK)
		} else {
			serveHTTPOn(t, ln, nil, answerOK)
		}
	}
	control := tallied(listenAt(t, "127.0.0.1:0"))
	serveOn(t, control, silence)
	front, via, backend := addrOf(servers[0]), addrOf(servers[1]), addrOf(servers[2])
	target := newTestTarget(t, `front: {url: "https://demo.test:%d/", resolve: ["127.0.0.1"], ca_file: %q},
		via: [{name: hop, role: proxy, address: "%s", control: "%s"}], backend: {url: "http://%s/"}`,
		front.Port(), p.caFile, via, control.Addr(), backend)
	for range 3 {
		r := target.Round(t.Context(), time.Now(), ByCheck)
		for i := range r.Lanes {
			wantGood(t, &r.Lanes[i])
		}
		if len(r.Lanes) != 4 || len(looksOf(&r)) > 0 {
			t.Errorf("%d lanes, looks %v", len(r.Lanes), looksOf(&r))
		}
	}
	for _, s := range append(servers, control) {
		if n := s.taken(t); n != 3 {
			t.Errorf("%s took %d connections in 3 rounds", s.Addr(), n)
		}
	}
}

// TestLooksAreBounded: a front whose name leads to four addresses that are all silent, with more hops than are looked at.
// A round makes at most eight connections more than a healthy one would, and is over soon after the front's own time.
func TestLooksAreBounded(t *testing.T) {
	t.Parallel()
	const stageTime = 300 * time.Millisecond
	first := tallied(listenAt(t, "127.0.0.1:0"))
	servers := []*tally{first}
	for i := 2; i <= 7; i++ {
		servers = append(servers, tallied(listenAt(t, fmt.Sprintf("127.0.0.%d:%d", i, addrOf(first).Port()))))
	}
	control := tallied(listenAt(t, "127.0.0.2:0"))
	servers = append(servers, control)
	for _, s := range servers {
		serveOn(t, s, silence)
	}
	target := newTestTarget(t, `timeouts: {tls: %v},
		front: {url: "https://demo.test:%d/", resolve: ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]},
		via: [{name: a, role: proxy, address: "%s", control: "%s"}, {name: b, role: proxy, address: "%s"}, {name: c, role: proxy, address: "%s"}]`,
		stageTime, addrOf(first).Port(), servers[4].Addr(), control.Addr(), servers[5].Addr(), servers[6].Addr())
	const usual = 5 // front, three hops, one control port
	for range 4 {
		start := time.Now()
		r := target.Round(t.Context(), start, ByCheck)
		if took := time.Since(start); took > stageTime+1500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		wantFailed(t, &r.Lanes[0], StageTLS, TLSTimedOut)
		if n := takenBy(t, servers); n > usual+maxLooks || n <= usual+maxExtraAddresses {
			t.Errorf("%d connections: %v", n, looksOf(&r))
		}
	}
}

// TestThirdRoundLooksNoMore: nor does any of those that follow at once, whatever the address that the name led to.
func TestThirdRoundLooksNoMore(t *testing.T) {
	t.Parallel()
	first := tallied(listenAt(t, "127.0.0.1:0"))
	second := tallied(listenAt(t, fmt.Sprintf("127.0.0.2:%d", addrOf(first).Port())))
	serveOn(t, first, silence)
	serveOn(t, second, silence)
	target := newTestTarget(t, `timeouts: {tls: 150ms}, front: {url: "https://demo.test:%d/", resolve: ["127.0.0.1", "127.0.0.2"]}`, addrOf(first).Port())
	for i := range 6 {
		r := target.Round(t.Context(), time.Now(), ByCheck)
		looks, n := looksOf(&r), takenBy(t, []*tally{first, second})
		if want := 2 + len(looks); n != want || (len(looks) > 0) != (i < 4) {
			t.Errorf("round %d: looks %v, %d connections", i+1, looks, n)
		}
	}
}

// TestLooksDue: two rounds of a failure are looked at, and another one after a while.
func TestLooksDue(t *testing.T) {
	t.Parallel()
	at := func(address string) *Lane { return &Lane{Lane: LaneFront, Address: address} }
	here, there := at("10.0.0.1:443"), at("10.0.0.2:443")
	var k looks
	for i, c := range []struct {
		after time.Duration // since the beginning
		lane  *Lane
		stage StageName
		due   bool
		fine  bool // the round ended well
	}{
		{0, here, StageTLS, true, false},
		{2 * time.Second, here, StageTLS, true, false},
		{4 * time.Second, here, StageTLS, false, false},
		{4 * time.Second, there, StageTLS, true, false}, // the name led elsewhere, and back
		{6 * time.Second, here, StageTLS, false, false},
		{8 * time.Second, here, StageConnect, true, false}, // its queue has filled
		{10 * time.Second, here, StageTLS, false, false},
		{31 * time.Second, here, StageTLS, false, false},
		{32 * time.Second, here, StageTLS, true, false}, // 30 s after the last look
		{34 * time.Second, here, StageTLS, false, false},
		{61 * time.Second, here, StageTLS, false, false},
		{62 * time.Second, here, StageTLS, true, true},
		{64 * time.Second, here, StageTLS, true, false}, // a new failure
		{66 * time.Second, here, StageTLS, true, false},
		{68 * time.Second, here, StageTLS, false, false},
	} {
		if due := k.due(c.lane, c.stage, noon.Add(c.after)); due != c.due {
			t.Errorf("row %d, after %v: due %v", i, c.after, due)
		}
		k.ended(c.fine)
	}
	for i := range 1000 {
		k.due(at(fmt.Sprint(i)), StageTLS, noon)
	}
	if len(k.made) > maxLookedAt {
		t.Errorf("remembers %d failures", len(k.made))
	}
}

// TestTTLBounds: the TTL of a host that is not far away is found within the tries of one round, of a host further away
// within two, and every other one at last.
func TestTTLBounds(t *testing.T) {
	t.Parallel()
	for ttl := 1; ttl <= 255; ttl++ {
		b, demands := ttlBounds{0, 256}, 0
		for ; !b.known() && demands < 30; demands++ {
			if n := b.next(); n <= b.low || n >= b.high {
				t.Fatalf("TTL %d: %+v demands %d", ttl, b, n)
			} else if ttl >= n {
				b.low = n
			} else {
				b.high = n
			}
		}
		if b.low != ttl {
			t.Fatalf("TTL %d: %+v", ttl, b)
		}
		const perRound = farResetTries - 2 // the others use what is found and check it
		for _, c := range []struct{ begin, hops, rounds int }{{64, 14, 1}, {128, 6, 1}, {255, 6, 1}, {128, 14, 2}, {255, 14, 2}} {
			if hops := c.begin - ttl; hops >= 0 && hops <= c.hops && demands > c.rounds*perRound {
				t.Errorf("%d hops from %d: %d demands", hops, c.begin, demands)
			}
		}
		if demands > 25 {
			t.Errorf("TTL %d: %d demands", ttl, demands)
		}
	}
}
