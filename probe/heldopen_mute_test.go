package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// startMute keeps a mute connection beside the front of a target until the test ends; it tries anew at once.
func startMute(t *testing.T, text string, args ...any) (h *heldOpen, events chan struct{}) {
	t.Helper()
	target := newTestTarget(t, text, args...)
	events = make(chan struct{}, 1000)
	h = newHeldOpen(target.plan.front, target.env, time.Second, func() { events <- struct{}{} })
	h.phase, h.retry = 0, beat
	runHeld(t, h)
	return h, events
}

func runHeld(t *testing.T, h *heldOpen) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.run(ctx) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
}

func muteAt(t *testing.T, at netip.AddrPort) (*heldOpen, chan struct{}) {
	t.Helper()
	return startMute(t, `front: {url: "tcp://%s"}`, at)
}

func shows(h *heldOpen) func() bool { return func() bool { return h.lane() != nil } }

// TestMuteBanner: what a server says by itself is read and dropped, and the kernel's word is what the lane shows.
func TestMuteBanner(t *testing.T) {
	t.Parallel()
	words := "SSH-2.0-test\r\n"
	h, events := muteAt(t, serve(t, say(words)))
	eventually(t, "the banner", func() bool {
		l := h.lane()
		return l != nil && l.Stages[0].TCPInfo.BytesReceived == uint64(len(words))
	})
	l := h.lane()
	s, f := l.Stages[0], l.HeldOpen
	if l.Lane != LaneHeldOpen || l.Of != "" || !f.Mute || s.Stage != StageRequest || s.Outcome != OK || len(events) != 0 {
		t.Errorf("%+v, %d events", l, len(events))
	}
	if f.Since.IsZero() || f.LastGoodAnswered.IsZero() || !f.LastGoodSent.Before(f.LastGoodAnswered) || !f.Pending.IsZero() || !f.Missed.IsZero() {
		t.Errorf("%+v", f)
	}
	if s.TCPInfo.BytesSent != 0 {
		t.Errorf("we said %d bytes", s.TCPInfo.BytesSent)
	}
}

// TestMuteDialogue: the dialogue is held once on each connection, over TLS too, and then nothing is said.
func TestMuteDialogue(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	var asked atomic.Int32
	ln := listenAt(t, "127.0.0.1:0")
	serveOn(t, tls.NewListener(ln, p.server("demo.test")), func(c net.Conn) {
		line, _ := bufio.NewReader(c).ReadString('\n')
		if line == "PING\r\n" {
			asked.Add(1)
			say("+PONG\r\n")(c)
		}
	})
	h, events := startMute(t, `front: {url: "tls://demo.test:%d", resolve: ["127.0.0.1"], ca_file: %q, dialogue: [{send: "PING\r\n"}, {expect: "^.PONG"}]}`,
		addrOf(ln).Port(), p.caFile)
	eventually(t, "a lane", shows(h))
	if l := h.lane(); !l.fine() || asked.Load() != 1 || len(events) != 0 {
		t.Errorf("%+v, asked %d times, %d events", l, asked.Load(), len(events))
	}
}

// TestMuteClosed: a server that ends a connection on which it hears nothing has not died: the lane is gone until there is a
// new one, and nobody is told. One that ends each at once keeps none.
func TestMuteClosed(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	h, events := muteAt(t, serve(t, func(c net.Conn) {
		conns.Add(1)
		io.WriteString(c, "go away\r\n")
	}))
	eventually(t, "it gives up", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.gaveUp })
	if n := conns.Load(); n != maxUnkept || h.lane() != nil || len(events) != 0 {
		t.Errorf("%d connections, lane %+v, %d events", n, h.lane(), len(events))
	}
}

// TestMuteChatter: a server that talks all the time is left alone.
func TestMuteChatter(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	h, events := muteAt(t, serve(t, func(c net.Conn) {
		conns.Add(1)
		for {
			if _, err := io.WriteString(c, strings.Repeat("chatter ", 100)); err != nil {
				return
			}
		}
	}))
	eventually(t, "it gives up", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.gaveUp })
	if n := conns.Load(); n != 1 || h.lane() != nil || len(events) != 0 {
		t.Errorf("%d connections, lane %+v, %d events", n, h.lane(), len(events))
	}
}

// TestMuteReset: a reset is a death, dated, until there is a new connection.
func TestMuteReset(t *testing.T) {
	t.Parallel()
	ends, conns := make(chan struct{}), make(chan struct{}, 10)
	ln := listenAt(t, "127.0.0.1:0")
	serveOn(t, ln, func(c net.Conn) {
		conns <- struct{}{}
		<-ends
		reset(c)
	})
	target := newTestTarget(t, `front: {url: "tcp://%s"}`, addrOf(ln))
	events := make(chan struct{}, 1000)
	h := newHeldOpen(target.plan.front, target.env, time.Second, func() { events <- struct{}{} })
	h.phase, h.retry = 0, 500*time.Millisecond
	runHeld(t, h)
	t.Cleanup(func() { close(ends) })
	<-conns
	eventually(t, "a lane", shows(h))
	at := time.Now()
	ends <- struct{}{}
	<-events
	f, s := h.shown()
	if s == nil || s.Outcome != Failed || s.Type != TCPReset || f.Died.Before(at) || f.Died.Sub(at) > time.Second {
		t.Errorf("reset at %v: %+v %+v", at, f, s)
	}
	<-conns
	<-events
	if f, s := h.shown(); s == nil || !s.Good() || !f.Died.IsZero() || f.GoodSince.Before(at) {
		t.Errorf("a new connection: %+v %+v", f, s)
	}
}

// TestMuteEndForGood: the same end is one when nobody takes a new connection.
func TestMuteEndForGood(t *testing.T) {
	t.Parallel()
	ln := listenAt(t, "127.0.0.1:0")
	serveOn(t, ln, func(c net.Conn) {
		ln.Close()
		<-time.After(50 * time.Millisecond)
	})
	h, events := muteAt(t, addrOf(ln))
	<-events
	if f, s := h.shown(); s == nil || s.Outcome != Failed || s.Type != AppClosed || f.Died.IsZero() || !strings.Contains(s.Error, "takes no new one") {
		t.Errorf("%+v %+v", f, s)
	}
}

// TestMuteEnds: which ends of a mute connection are told, and which servers keep connections.
func TestMuteEnds(t *testing.T) {
	reset := fmt.Errorf("read: %w", syscall.ECONNRESET)
	for name, c := range map[string]struct {
		err    error
		life   time.Duration
		usual  time.Duration // how long the one before lived
		want   Type          // empty: nothing to tell
		unkept int
	}{
		"sshd closes after LoginGraceTime": {io.EOF, 2 * time.Minute, 0, "", 0},
		"closes at once":                   {io.EOF, time.Second, 0, "", 2},
		"a reset":                          {reset, time.Hour, 0, TCPReset, 0},
		"a reset soon":                     {reset, time.Second, 0, TCPReset, 1},
		"a reset as always":                {reset, time.Minute, 61 * time.Second, "", 0},
		"a reset much earlier":             {reset, 20 * time.Second, time.Minute, TCPReset, 0},
		"our kernel gave up":               {syscall.ETIMEDOUT, time.Hour, 0, TCPTimedOut, 0},
		"the way is gone":                  {syscall.EHOSTUNREACH, time.Hour, 0, TCPUnreachable, 0},
		"no memory here":                   {syscall.ENOBUFS, time.Hour, 0, SelfOutOfBuffers, 0},
		"an alert":                         {errors.New("remote error: tls: user canceled"), time.Hour, 0, "", 0},
	} {
		h := newHeldOpen(&laneSpec{connect: true}, nil, time.Second, nil)
		h.facts.Since, h.usualLife, h.unkept = time.Now().Add(-c.life), c.usual, 1
		err := h.muteEnded(c.err, nil)
		var f *failure
		var got Type
		if errors.As(err, &f) {
			got = f.typ
		}
		if got != c.want || h.unkept != c.unkept || h.idleEnd.IsZero() != (got != "") {
			t.Errorf("%s: type %q, unkept %d, idle end %v", name, got, h.unkept, h.idleEnd)
		}
	}
}

// TestMuteHears: when the kernel's counters accuse.
func TestMuteHears(t *testing.T) {
	age := func(ack time.Duration, probes uint8) *tcpinfo.Info {
		return &tcpinfo.Info{State: tcpinfo.Established, LastAckRecv: uint32(ack / time.Millisecond), Probes: probes}
	}
	for name, c := range map[string]struct {
		info    *tcpinfo.Info
		overdue bool // before
		failing bool
	}{
		"no such counters":                        {nil, false, false},
		"asked and answered":                      {age(990*time.Millisecond, 0), false, false},
		"one question lost":                       {age(1700*time.Millisecond, 1), false, false},
		"two questions lost":                      {age(2600*time.Millisecond, 2), false, true},
		"suspended, not asked again yet":          {age(time.Hour, 0), false, false},
		"so many questions that the byte is full": {age(256*time.Second, 0), true, true},
		"answered again":                          {age(100*time.Millisecond, 0), true, false},
		"data came, which is a sign of life": {&tcpinfo.Info{LastAckRecv: 9000, Probes: 1, BytesReceived: 5, LastDataRecv: 100},
			true, false},
	} {
		h := newHeldOpen(&laneSpec{connect: true}, nil, time.Second, nil)
		h.overdue, h.failing = c.overdue, c.overdue
		news := h.hear(c.info, noon)
		if h.failing != c.failing || news != (c.failing != c.overdue) || h.facts.Missed.IsZero() == c.failing {
			t.Errorf("%s: failing %v, news %v, %+v", name, h.failing, news, h.facts)
		}
	}
	// A later look at the same silence moves nothing.
	h := newHeldOpen(&laneSpec{connect: true}, nil, 1500*time.Millisecond, nil)
	h.hear(age(6*time.Second, 2), noon)
	first := h.facts
	h.hear(age(8*time.Second+3*time.Millisecond, 3), noon.Add(2*time.Second))
	if h.facts != first || first.Missed != noon.Add(-time.Second) || first.Pending != noon.Add(-4*time.Second) || !first.LastGoodSent.IsZero() {
		t.Errorf("%+v, before %+v", h.facts, first)
	}
}

func TestMutePeriod(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{
		time.Millisecond: time.Second, time.Second: time.Second, 1001 * time.Millisecond: 2 * time.Second, 24 * time.Hour: maxKeepIdle,
	} {
		h := newHeldOpen(&laneSpec{connect: true}, nil, interval, nil)
		if got := h.period(); got != want {
			t.Errorf("%v: %v, expected %v", interval, got, want)
		}
		ln := listenAt(t, "127.0.0.1:0")
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := setKeepAlive(c.(*net.TCPConn), h.period()); err != nil {
			t.Errorf("%v: the kernel does not take it: %v", interval, err)
		}
	}
}
