package probe

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counted serves connections that stay open and counts those that do now.
func counted(t *testing.T) (at net.Addr, open *atomic.Int32, ever *atomic.Int32) {
	t.Helper()
	open, ever = new(atomic.Int32), new(atomic.Int32)
	ln := listenAt(t, "127.0.0.1:0")
	serveOn(t, ln, func(c net.Conn) {
		ever.Add(1)
		open.Add(1)
		defer open.Add(-1)
		silence(c)
	})
	return ln.Addr(), open, ever
}

// start runs a target; the function that is returned ends it and waits.
func start(t *testing.T, target *Target) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- target.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// heldLane is the held-open lane beside another one; nil if there is none.
func heldLane(r *Result, of LaneKind, hop string) *Lane {
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Lane == LaneHeldOpen && l.Of == of && (of == "" || l.Hop == hop) {
			return l
		}
	}
	return nil
}

// TestControlIsShared: targets behind one proxy keep one connection to its control port, each by its own name of it, and
// the last one to leave ends it.
func TestControlIsShared(t *testing.T) {
	t.Parallel()
	at, open, ever := counted(t)
	cfg, env := load(t, `targets:
- {name: a, heldopen: 100ms, front: {url: "http://127.0.0.1:1/"}, via: [{name: p, role: proxy, address: "127.0.0.9:1", control: "%s"}]}
- {name: b, heldopen: 100ms, front: {url: "http://127.0.0.1:1/"}, backend: {name: q, url: "http://127.0.0.9:1", control: "%s"}}
`, at, at)
	var targets []*Target
	for i := range cfg.Targets {
		target, err := NewTarget(cfg.Targets[i], env)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	stopA, stopB := start(t, targets[0]), start(t, targets[1])
	for i, want := range []struct {
		hop  string
		role Role
	}{{"p", RoleProxy}, {"q", RoleBackend}} {
		var l *Lane
		eventually(t, "a lane", func() bool {
			r := targets[i].Round(t.Context(), time.Now(), ByCheck)
			l = heldLane(&r, LaneControl, want.hop)
			return l != nil
		})
		if l.Role != want.role || !l.fine() || !l.HeldOpen.Mute || l.Address != at.String() {
			t.Errorf("%+v", l)
		}
	}
	if len(env.held.conns) != 1 {
		t.Errorf("%d connections are kept for controls", len(env.held.conns))
	}
	stopA()
	if l := targets[0].held.lanes(); len(l) != 0 {
		t.Errorf("a target that has ended shows %+v", l)
	}
	if l := targets[1].held.lanes(); len(l) != 1 || len(env.held.conns) != 1 {
		t.Errorf("the other one shows %+v", l)
	}
	var shared *heldShared
	for _, shared = range env.held.conns {
	}
	stopB()
	select {
	case <-shared.ended:
	default:
		t.Error("the connection goes on when its last target has ended")
	}
	eventually(t, "all connections to be closed", func() bool { return open.Load() == 0 })
	if len(env.held.conns) != 0 || ever.Load() < 3 {
		t.Errorf("%d kept, %d connections were made", len(env.held.conns), ever.Load())
	}
	stopA = start(t, targets[0])
	eventually(t, "a lane after a new start", func() bool { return len(targets[0].held.lanes()) == 1 })
	stopA()
}

// TestControlsNeverWake: a control that dies is shown and asks for no round.
func TestControlsNeverWake(t *testing.T) {
	t.Parallel()
	ln := listenAt(t, "127.0.0.1:0")
	conns := make(chan net.Conn, 10)
	serveOn(t, ln, func(c net.Conn) {
		conns <- c
		silence(c)
	})
	target := newTestTarget(t, `heldopen: 100ms, front: {url: "http://127.0.0.1:1/"}, via: [
		{name: p, role: proxy, address: "127.0.0.9:1", control: "%s"}]`, ln.Addr())
	run(t, target)
	c := <-conns
	eventually(t, "a lane", func() bool { return len(target.held.lanes()) == 1 })
	ln.Close()
	reset(c)
	eventually(t, "its end", func() bool { l := target.held.lanes(); return len(l) == 1 && l[0].failedWith(TCPReset) })
	select {
	case by := <-target.Wake():
		t.Errorf("woken by %s", by)
	case <-time.After(50 * time.Millisecond):
	}
}

// TestHeldWakes: the front's connection asks for a round whenever it has news, those of hops and backends together once in
// a while.
func TestHeldWakes(t *testing.T) {
	cfg, env := load(t, `targets: [{name: a, heldopen: 1s, front: {url: "http://127.0.0.1:1/"}, via: [{name: p, role: proxy, address: "127.0.0.9:1"}],
		backend: {name: q, url: "http://127.0.0.9:2"}}]`)
	p, err := newPlan(&cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 1, 1} {
		n := 0
		held := newHeldOpens(p, &cfg.Targets[0], env, func() { n++ })
		held.own[i].tell()
		held.own[max(i, 1)].tell()
		held.own[i].tell()
		if i == 0 {
			want++ // the second one was a hop's
		}
		if n != want {
			t.Errorf("%s: %d rounds asked for, expected %d", held.own[i].besides(), n, want)
		}
	}
}

func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		f := seldom(sideWakes, func() { n++ })
		for range 100 { // 20 s
			f()
			time.Sleep(200 * time.Millisecond)
		}
		if n != 4 {
			t.Errorf("called %d times", n)
		}
	})
}

// TestHeldPhases: the first connections of a process are spread.
func TestHeldPhases(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		h := newHeldOpen(&laneSpec{connect: true}, nil, time.Hour, nil)
		if h.phase < 0 || h.phase >= maxPhase {
			t.Fatal(h.phase)
		}
		seen[h.phase.Truncate(10*time.Millisecond)] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d instants", len(seen))
	}
}

// TestHeldNote: each connection hears of its own lane, not of a further look at it or of another one.
func TestHeldNote(t *testing.T) {
	target := newTestTarget(t, `heldopen: 1s, front: {url: "http://127.0.0.1:1/"}, via: [
		{name: x, role: proxy, address: "127.0.0.9:1"}], backend: {name: y, url: "http://127.0.0.9:2/"}`)
	var got [3]bool
	failed := []Stage{{Stage: StageConnect, Outcome: Failed}}
	good := []Stage{{Stage: StageConnect, Outcome: OK}}
	for _, h := range target.held.own {
		h.attempt, h.facts.Pending = &attempt{}, noon
	}
	target.held.note([]Lane{
		{Lane: LaneFront, Stages: good}, {Lane: LaneVia, Hop: "x", Stages: failed}, {Lane: LaneBackend, Hop: "y", Stages: good},
		{Lane: LaneFront, Extra: true, Stages: failed}, {Lane: LaneBackend, Hop: "y", Extra: true, Stages: failed},
	})
	for i, h := range target.held.own {
		got[i] = h.tainted
	}
	if want := [3]bool{false, true, false}; got != want {
		t.Errorf("tainted %v, expected %v", got, want)
	}
}
