package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// run runs a target until the test ends.
func run(t testing.TB, target *Target) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- target.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestRoundOrder: lanes stand in the order of the plan, however long they take.
func TestRoundOrder(t *testing.T) {
	t.Parallel()
	slow := serveHTTP(t, nil, func(http.ResponseWriter, *http.Request) { time.Sleep(50 * time.Millisecond) })
	fast := serveHTTP(t, nil, answerOK)
	target := newTestTarget(t, `front: {url: "http://%s/"}, via: [{name: p, role: proxy, address: "127.0.0.8:1", control: "%s"}],
		backends: [{name: a, url: "http://%s/"}, {name: b, url: "http://%s/"}]`, slow, fast, slow, fast)
	for i := range 3 {
		due := time.Now().Add(-time.Minute)
		r := target.Round(t.Context(), due, ByReprobe)
		var got []string
		for _, l := range r.Lanes {
			got = append(got, string(l.Lane)+"/"+l.Hop)
		}
		if diff := cmp.Diff([]string{"front/", "via/p", "backend/a", "backend/b", "control/p"}, got); diff != "" {
			t.Error(diff)
		}
		if r.Round != uint64(i+1) || r.Target != "demo" || r.Trigger != ByReprobe || !r.Due.Equal(due) || r.Self.Late.Std() < time.Minute || r.Ended.Before(r.Started) {
			t.Errorf("%+v", r)
		}
		for _, l := range r.Lanes {
			for _, s := range l.Stages {
				if s.Outcome != Skipped && (s.Started.Before(r.Started) || s.Ended().After(r.Ended) || s.Started.Location() != time.UTC) {
					t.Errorf("%s/%s: from %v to %v in a round from %v to %v", l.Lane, s.Stage, s.Started, s.Ended(), r.Started, r.Ended)
				}
			}
		}
	}
}

// TestRoundHopAtFront: the box at the front's own address is connected to once a round, and beside the front only when the
// front's name does not lead to it.
func TestRoundHopAtFront(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	at := serveHTTP(t, nil, func(w http.ResponseWriter, q *http.Request) {
		asked.Add(1)
		if q.Host != fmt.Sprintf("demo.test:%d", q.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr).Port) {
			t.Errorf("Host %q", q.Host)
		}
	})
	var broken atomic.Bool
	server := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg {
		if broken.Load() {
			return rcode(q, dns.RcodeServerFailure)
		}
		return reply(q, "127.0.0.1")
	})
	cfg, env := load(t, `dns: {servers: ["%s"]}`+"\ntargets: "+`[{name: demo, front: {url: "http://demo.test:%d/", addresses: [127.0.0.1]},
		via: [{name: p, role: proxy, address: "%s"}]}]`, server, at.Port(), at)
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	r := target.Round(t.Context(), time.Now(), ByCheck)
	if l := &r.Lanes[0]; len(r.Lanes) != 1 || l.Hop != "p" || l.Role != RoleProxy || l.Name != "demo.test" || asked.Load() != 1 {
		t.Errorf("asked %d times: %+v", asked.Load(), r.Lanes)
	}
	wantGood(t, &r.Lanes[0])

	broken.Store(true)
	r = target.Round(t.Context(), time.Now(), ByCheck)
	wantFailed(t, &r.Lanes[0], StageResolve, DNSFailed)
	standIn := laneNamed(t, &r, LaneVia, "p")
	wantGood(t, standIn)
	looks := slices.DeleteFunc(slices.Clone(r.Lanes), func(l Lane) bool { return l.Look == "" })
	if !standIn.Extra || len(r.Lanes) != 2+len(looks) || asked.Load() != 2 {
		t.Errorf("asked %d times: %+v", asked.Load(), r.Lanes)
	}
	if v := Attribute(&r, nil); v.State != Down || v.Layer != LayerDNS {
		t.Errorf("verdict %+v", v)
	}
}

// pool serves HTTP at some addresses of loopback on one port.
func pool(t *testing.T, served []string, h http.HandlerFunc) (port uint16) {
	t.Helper()
	for range 20 {
		first := listenAt(t, served[0]+":0")
		port = addrOf(first).Port()
		listeners := []net.Listener{first}
		for _, a := range served[1:] {
			if ln, err := net.Listen("tcp", fmt.Sprintf("%s:%d", a, port)); err == nil {
				listeners = append(listeners, ln)
			}
		}
		if len(listeners) == len(served) {
			for _, ln := range listeners {
				serveHTTPOn(t, ln, nil, h)
			}
			return port
		}
		for _, ln := range listeners {
			ln.Close()
		}
	}
	t.Fatal("no port is free on all of ", served)
	return 0
}

// TestRoundPool: every address of a name has its turn; when it is a dead one's, the others are looked at beside it.
func TestRoundPool(t *testing.T) {
	t.Parallel()
	for name, dead := range map[string]func(t *testing.T, at string){
		"refused": func(*testing.T, string) {},
		"silent":  func(t *testing.T, at string) { neverAccepting(t, at) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := pool(t, []string{"127.0.0.31", "127.0.0.32"}, answerOK)
			dead(t, fmt.Sprintf("127.0.0.33:%d", port))
			server := serveDNS(t, func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "127.0.0.33", "127.0.0.31", "127.0.0.32") })
			cfg, env := load(t, `dns: {servers: ["%s"]}`+"\ntargets: "+`[{name: demo, timeouts: {connect: 200ms}, front: {url: "http://demo.test:%d/"}}]`, server, port)
			target, err := NewTarget(cfg.Targets[0], env)
			if err != nil {
				t.Fatal(err)
			}
			turns := map[string]int{}
			for range 6 {
				r := target.Round(t.Context(), time.Now(), ByCheck)
				l, v := &r.Lanes[0], Attribute(&r, nil)
				turns[l.Address]++
				if diff := cmp.Diff([]string{"127.0.0.31", "127.0.0.32", "127.0.0.33"}, l.Addresses); diff != "" {
					t.Error(diff)
				}
				if !strings.HasPrefix(l.Address, "127.0.0.33:") {
					wantGood(t, l)
					if v.State != Up || len(r.Lanes) != 1 {
						t.Errorf("at %s: %d lanes, %+v", l.Address, len(r.Lanes), v)
					}
					continue
				}
				if v.State != Degraded || len(r.Lanes) != 3 {
					t.Errorf("at the dead one: %d lanes, %+v", len(r.Lanes), v)
				}
				for _, x := range r.Lanes[1:] {
					wantGood(t, &x)
					if !x.Extra || x.Lane != LaneFront || x.Address == l.Address {
						t.Errorf("further look: %+v", x)
					}
				}
			}
			if len(turns) != 3 || turns[fmt.Sprintf("127.0.0.33:%d", port)] != 2 {
				t.Errorf("turns %v", turns)
			}
		})
	}
}

func TestPickAddress(t *testing.T) {
	a, b := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	for n := range uint64(4) {
		if got := pickAddress([]netip.Addr{a}, n); got != a {
			t.Errorf("one address, round %d: %v", n, got)
		}
		if got := pickAddress([]netip.Addr{a, b}, n); got != []netip.Addr{a, b}[n%2] {
			t.Errorf("two addresses, round %d: %v", n, got)
		}
	}
}

// TestRoundEnded: a round that is ended by its context says that we could not look, at once.
func TestRoundEnded(t *testing.T) {
	t.Parallel()
	at := serve(t, silence)
	target := newTestTarget(t, `front: {url: "http://%s/"}, backend: {url: "http://%s/"}`, at, at)
	run(t, target)
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	r := target.Round(ctx, time.Now(), ByCheck)
	if took := r.Ended.Sub(r.Started); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	for i := range r.Lanes {
		if s := wantFailed(t, &r.Lanes[i], StageRequest, SelfStopped); s.Outcome != NoData || r.Lanes[i].Hanging {
			t.Errorf("%+v", r.Lanes[i])
		}
	}
	if v := Attribute(&r, nil); v.State != Unknown || v.Layer != LayerProber {
		t.Errorf("verdict %+v", v)
	}
}

// TestStagePanic: a defect of ours is a failed stage of ours.
func TestStagePanic(t *testing.T) {
	a := &attempt{spec: &laneSpec{}, lane: &Lane{}}
	pending, ok := a.stage(t.Context(), StageRequest, time.Second, func(context.Context) error { panic("oops") })
	if s := a.lane.Stages[0]; ok || pending != nil || s.Type != SelfFailed || !strings.Contains(s.Error, "oops") {
		t.Errorf("%+v", s)
	}
}

func TestStageJudge(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		took    time.Duration
		outcome Outcome
		typ     Type
		text    string
	}{
		"good":    {nil, 900 * time.Millisecond, OK, "", ""},
		"timeout": {errStageTimeout, time.Second, Failed, TLSTimedOut, "no answer in 1s"},
		"typed":   {fmt.Errorf("x: %w", fail(TLSClosed, "gone")), 1, Failed, TLSClosed, "gone"},
		"untyped": {errors.New("what"), 1, Failed, SelfFailed, "what"},
		"stopped": {fail(SelfStopped, "bye"), 1, NoData, SelfStopped, "bye"},
		"foreign": {fail(HTTPInvalid, "a\x00\x1b[31m\xff%s", strings.Repeat("é", 400)), 1, Failed, HTTPInvalid, "a??[31m?" + strings.Repeat("é", 292) + "…"},
	} {
		s := Stage{Duration: Seconds(c.took)}
		s.judge(c.err, time.Second, TLSTimedOut)
		if s.Outcome != c.outcome || s.Type != c.typ || s.Error != c.text || s.Code != c.typ.Code() {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestRoundLeavesNothing: when a target has ended, so have its goroutines and those of its rounds, whatever hung.
func TestRoundLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("rounds", func(t *testing.T) {
		text := `dns: {servers: ["%s"]}` + "\ntargets: " + `[{name: demo, heldopen: 100ms,
			timeouts: {resolve: 50ms, connect: 50ms, tls: 50ms, request: 50ms, response: 50ms}, front: {url: "%s"}, backend: {url: "http://%s"}}]`
		ok := serveHTTP(t, nil, answerOK)
		mute := serve(t, silence)
		noDNS, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer noDNS.Close()
		var wg sync.WaitGroup
		for _, front := range []string{
			"http://" + ok.String(), "http://" + mute.String(), "https://" + mute.String(), "http://demo.test",
			"http://" + addrOf(neverAccepting(t, "127.0.0.1:0")).String(), "http://" + closedPort(t).String(),
			"http://" + serve(t, say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbut")).String(),
		} {
			cfg, env := load(t, text, noDNS.LocalAddr(), front, mute)
			target, err := NewTarget(cfg.Targets[0], env)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- target.Run(ctx) }()
				for range 3 {
					target.Round(ctx, time.Now(), ByCheck)
				}
				stop()
				<-done
			})
		}
		wg.Wait()
		buf := make([]byte, 1<<20)
		eventually(t, "the engine's goroutines have ended", func() bool {
			stacks := string(buf[:runtime.Stack(buf, true)])
			return !slices.ContainsFunc([]string{"probe.(*attempt)", "probe.(*heldOpen)", "probe.(*leftOpen)", "probe.(*dialing)"},
				func(of string) bool { return strings.Contains(stacks, of) })
		})
	})
	eventually(t, "goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

// TestServed: a lane says when it last went well, before the round that it is in.
func TestServed(t *testing.T) {
	t.Parallel()
	broken := atomic.Bool{}
	at := serveHTTP(t, nil, func(w http.ResponseWriter, q *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	target := newTestTarget(t, `front: {url: "http://%s/"}, backend: {name: never, url: "http://%s/"}`, at, closedPort(t))
	var served []time.Time
	for _, b := range []bool{false, true, true} {
		broken.Store(b)
		r := target.Round(t.Context(), time.Now(), ByCheck)
		served = append(served, laneNamed(t, &r, LaneFront, "").Served)
		if never := laneNamed(t, &r, LaneBackend, "never"); !never.Served.IsZero() {
			t.Errorf("a lane that never went well did at %v", never.Served)
		}
	}
	if !served[0].IsZero() || served[1].IsZero() || !served[2].Equal(served[1]) {
		t.Errorf("served: %v", served)
	}
}
