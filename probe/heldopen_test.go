package probe

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// beat is the interval of requests in these tests.
const beat = 20 * time.Millisecond

// startHeld holds a connection open to a server until the test ends; events has room for all.
func startHeld(t *testing.T, at netip.AddrPort, keys string) (h *heldOpen, events chan struct{}) {
	t.Helper()
	target := newTestTarget(t, `front: {url: "http://%s/"}%s`, at, keys)
	events = make(chan struct{}, 1000)
	h = newHeldOpen(target.plan.front, target.env, beat, func() { events <- struct{}{} })
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.run(ctx) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return h, events
}

// facts are what the lane shows, zero while there is none.
func (h *heldOpen) shown() (HeldOpenFacts, *Stage) {
	l := h.lane()
	if l == nil {
		return HeldOpenFacts{}, nil
	}
	return *l.HeldOpen, &l.Stages[0]
}

func answeredTimes(h *heldOpen, n uint64) func() bool {
	return func() bool { f, _ := h.shown(); return f.Answered >= n }
}

// httpConn serves requests of one connection by hand: what it says to the n-th, from 1 on; false ends it.
func httpConn(say func(c net.Conn, n int) bool) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for n := 1; ; n++ {
			if _, err := http.ReadRequest(r); err != nil || !say(c, n) {
				return
			}
		}
	}
}

const keptOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func sayOK(c net.Conn, _ int) bool { io.WriteString(c, keptOK); return true }

func TestHeldOpenServes(t *testing.T) {
	t.Parallel()
	var peers sync.Map
	h, events := startHeld(t, serveHTTP(t, nil, func(w http.ResponseWriter, q *http.Request) {
		peers.Store(q.RemoteAddr, q.Header.Get("Connection"))
		answerOK(w, q)
	}), ", expect: {body: ok}")
	eventually(t, "some answers", answeredTimes(h, 4))
	l := h.lane()
	f, s := l.HeldOpen, l.Stages[0]
	if l.Lane != LaneHeldOpen || len(l.Stages) != 1 || s.Stage != StageRequest || s.Outcome != OK || s.TCPInfo == nil || !l.fine() {
		t.Errorf("%+v", l)
	}
	if f.Since.IsZero() || f.LastGoodAnswered.Before(f.LastGoodSent) || !f.Missed.IsZero() || !f.Died.IsZero() || len(events) != 0 {
		t.Errorf("%+v, %d events", f, len(events))
	}
	n := 0
	peers.Range(func(peer, connection any) bool {
		if n++; peer != l.Local || connection != "keep-alive" {
			t.Errorf("a request from %s, connection %q; the lane is %s", peer, connection, l.Local)
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestHeldOpenUnkept: a server that closes after each answer is left alone, and says nothing about later failures.
func TestHeldOpenUnkept(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"connection: close": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
		"HTTP/1.0":          "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"until the end":     "HTTP/1.1 200 OK\r\n\r\nok",
	} {
		var conns atomic.Int32
		h, events := startHeld(t, serve(t, httpConn(func(c net.Conn, _ int) bool {
			conns.Add(1)
			io.WriteString(c, answer)
			return false
		})), "")
		eventually(t, "it gives up", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.gaveUp })
		if n := conns.Load(); n != maxUnkept || h.lane() != nil || len(events) != 0 {
			t.Errorf("%s: %d connections, %d events, lane %+v", name, n, len(events), h.lane())
		}
	}
}

// TestHeldOpenClosedAfterErrors: a balancer that answers 503 and closes, because nobody is behind it, is not one that keeps
// no connection. It is asked rarely until it serves again.
func TestHeldOpenClosedAfterErrors(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	h, events := startHeld(t, serve(t, httpConn(func(c net.Conn, n int) bool {
		if asked.Add(1) == 1 {
			return sayOK(c, n)
		}
		io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return false
	})), "")
	<-events
	f, s := h.shown()
	if s == nil || s.Outcome != Failed || s.Type != HTTPStatus || f.Missed.Before(f.LastGoodSent) {
		t.Errorf("%+v %+v", f, s)
	}
	time.Sleep(10 * beat)
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// TestHeldOpenIdleEnd: a server may end a connection between two requests. A new one is made, and nothing has died.
func TestHeldOpenIdleEnd(t *testing.T) {
	t.Parallel()
	var conns, asked atomic.Int32
	h, events := startHeld(t, serve(t, func(c net.Conn) {
		conns.Add(1)
		httpConn(func(c net.Conn, n int) bool { asked.Add(1); sayOK(c, n); return n < 2 })(c)
	}), "")
	eventually(t, "several connections", func() bool { return conns.Load() > maxUnkept+2 })
	eventually(t, "an answer", answeredTimes(h, 1))
	if f, s := h.shown(); s == nil || !s.Good() || !f.Died.IsZero() || !f.Missed.IsZero() || len(events) != 0 {
		t.Errorf("%+v %+v, %d events", f, s, len(events))
	}
}

// TestHeldOpenIdleEndForGood: the same, but nobody takes a new connection: then the end between two requests was one,
// and a reset is not told as a close in good order, which only the peer itself can make.
func TestHeldOpenIdleEndForGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(net.Conn)
		want Type
	}{
		"closed": {func(net.Conn) {}, HTTPClosed},
		"reset":  {reset, HTTPReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln := listenAt(t, "127.0.0.1:0")
			ended := make(chan time.Time, 1)
			serveOn(t, ln, httpConn(func(conn net.Conn, n int) bool {
				sayOK(conn, n)
				if n < 3 {
					return true
				}
				ln.Close()
				ended <- time.Now()
				<-time.After(5 * time.Millisecond) // the answer is read before the connection ends
				c.end(conn)
				return false
			}))
			h, events := startHeld(t, addrOf(ln), "")
			at := <-ended
			<-events
			f, s := h.shown()
			if s == nil || s.Outcome != Failed || s.Type != c.want || f.Died.Before(at.Add(-time.Millisecond)) || f.Died.Sub(at) > time.Second ||
				f.LastGoodAnswered.After(f.Died) {
				t.Errorf("ended at %v: %+v %+v", at, f, s)
			}
		})
	}
}

// TestHeldOpenDies: the end of the connection in place of an answer is dated, and a new connection that serves ends it.
func TestHeldOpenDies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(net.Conn)
		want Type
	}{
		"closed": {func(net.Conn) {}, HTTPClosed},
		"reset":  {reset, HTTPReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var conns atomic.Int32
			died, again := make(chan time.Time, 1), make(chan struct{})
			h, events := startHeld(t, serve(t, func(conn net.Conn) {
				first := conns.Add(1) == 1
				httpConn(func(conn net.Conn, n int) bool {
					if first && n == 3 {
						died <- time.Now()
						c.end(conn)
						return false
					}
					if !first {
						<-again
					}
					return sayOK(conn, n)
				})(conn)
			}), "")
			at := <-died
			<-events
			f, s := h.shown()
			if s == nil || s.Outcome != Failed || s.Type != c.want || f.Died.Before(at) || f.Died.Sub(at) > time.Second || f.LastGoodSent.After(f.Died) {
				t.Errorf("died at %v: %+v %+v", at, f, s)
			}
			close(again)
			<-events
			if f, s := h.shown(); s == nil || !s.Good() || !f.Died.IsZero() || conns.Load() != 2 {
				t.Errorf("with a new connection: %+v %+v", f, s)
			}
		})
	}
}

// TestHeldOpenBadAnswers: an answer that is not what is expected is a failure, from its own instant on.
func TestHeldOpenBadAnswers(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	h, events := startHeld(t, serve(t, httpConn(func(c net.Conn, n int) bool {
		if broken.Load() {
			_, err := io.WriteString(c, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
			return err == nil
		}
		return sayOK(c, n)
	})), "")
	eventually(t, "some answers", answeredTimes(h, 2))
	from := time.Now()
	broken.Store(true)
	<-events
	f, s := h.shown()
	if s == nil || s.Outcome != Failed || s.Type != HTTPStatus || s.Error != "HTTP 500" || f.Missed.Before(from.UTC()) || !f.Died.IsZero() {
		t.Errorf("%+v %+v", f, s)
	}
	missed := f.Missed
	eventually(t, "more bad answers", answeredTimes(h, f.Answered+2))
	if f, _ := h.shown(); !f.Missed.Equal(missed) || len(events) != 0 {
		t.Errorf("%+v, %d events; the first bad answer came at %v", f, len(events), missed)
	}
	broken.Store(false)
	<-events
	if f, s := h.shown(); !s.Good() || !f.Missed.IsZero() || f.LastGoodAnswered.Before(missed) {
		t.Errorf("%+v %+v", f, s)
	}
}

// TestHeldOpenMiss: an answer that is late by far is missed at once; the next answer in time ends the miss, and all was
// good since the late one.
func TestHeldOpenMiss(t *testing.T) {
	t.Parallel()
	var frozen atomic.Bool
	thaw := make(chan struct{})
	h, events := startHeld(t, serve(t, httpConn(func(c net.Conn, n int) bool {
		if frozen.Load() {
			<-thaw
		}
		return sayOK(c, n)
	})), "")
	eventually(t, "some answers", answeredTimes(h, 3))
	frozen.Store(true)
	<-events
	f, s := h.shown()
	if s == nil || s.Outcome != Failed || s.Type != HTTPTimedOut || !s.TCPInfo.AckedAll() || f.Pending.IsZero() || s.Duration.Std() < missSlack {
		t.Errorf("%+v %+v", f, s)
	}
	if after := f.Missed.Sub(f.Pending); after < 2*f.Usual.Std()+missSlack || after > 2*f.Usual.Std()+missSlack+time.Second || f.Usual <= 0 {
		t.Errorf("missed after %v, usual is %v", after, f.Usual.Std())
	}
	frozen.Store(false)
	thawed := time.Now()
	close(thaw)
	eventually(t, "an answer in time", func() bool { f, _ := h.shown(); return f.Missed.IsZero() })
	if f, s := h.shown(); !s.Good() || f.GoodSince.Before(thawed.UTC()) || f.GoodSince.After(f.LastGoodAnswered) {
		t.Errorf("thawed at %v: %+v %+v", thawed, f, s)
	}
}

// TestHeldOpenGivenUp: a request that waits since before a failure of the front is given up when the front is fine again.
func TestHeldOpenGivenUp(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	h, events := startHeld(t, serve(t, func(c net.Conn) {
		first := conns.Add(1) == 1
		httpConn(func(c net.Conn, n int) bool {
			if first && n == 3 {
				silence(c)
				return false
			}
			return sayOK(c, n)
		})(c)
	}), "")
	<-events
	h.noteLane(true)
	h.noteLane(true)
	if f, s := h.shown(); s == nil || s.Type != HTTPTimedOut || f.Tainted {
		t.Fatalf("before the front failed: %+v %+v", f, s)
	}
	h.noteLane(false)
	if f, _ := h.shown(); !f.Tainted {
		t.Errorf("the front failed meanwhile: %+v", f)
	}
	for range renewAfter {
		h.noteLane(true)
	}
	eventually(t, "a new connection serves", func() bool { f, s := h.shown(); return s != nil && s.Good() && !f.Tainted && f.Answered > 0 })
	if f, _ := h.shown(); !f.Died.IsZero() || conns.Load() != 2 {
		t.Errorf("%+v, %d connections", f, conns.Load())
	}
}

// held is a held-open connection without a socket, for what is decided between two answers.
func held() (h *heldOpen, events *int) {
	events = new(int)
	h = newHeldOpen(&laneSpec{}, nil, beat, func() { *events++ })
	h.mute, h.spec.timeouts.Request = false, 5e9
	h.attempt = &attempt{}
	return h, events
}

// answerAfter goes through one request whose answer took so long.
func (h *heldOpen) answerAfter(d time.Duration) (waits time.Duration) {
	_, waits = h.begin()
	h.mu.Lock()
	h.sent = h.sent.Add(-d)
	h.facts.Pending = h.sent
	h.mu.Unlock()
	if d > waits {
		h.miss(h.sent)
	}
	h.answered(nil)
	return waits
}

// TestHeldOpenUsual: what is usual is learned from the answers, from late ones step by step, and not from a freeze.
func TestHeldOpenUsual(t *testing.T) {
	h, events := held()
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want || got > want+100*time.Millisecond {
			t.Errorf("%s: waits %v, expected %v", what, got, want)
		}
	}
	if h.lane() != nil {
		t.Error("a lane before there was an answer")
	}
	near("before any answer", h.answerAfter(400*time.Millisecond), 5*time.Second)
	near("after one of 400 ms", h.answerAfter(10*time.Millisecond), 2*400*time.Millisecond+missSlack)
	if *events != 0 {
		t.Errorf("%d events without a miss", *events)
	}
	for range usualWindow {
		h.answerAfter(0)
	}
	near("after many at once", h.answerAfter(time.Second), missSlack)
	if *events != 2 {
		t.Errorf("%d events, expected a miss and its end", *events)
	}
	near("after a late one", h.answerAfter(0), 2*2*missSlack+missSlack)
	for range usualWindow {
		h.answerAfter(0)
	}
	h.answerAfter(10 * time.Minute)
	near("after a freeze", h.answerAfter(0), missSlack)
}

// TestHeldOpenSlowService: a service that always takes its time is not late.
func TestHeldOpenSlowService(t *testing.T) {
	h, events := held()
	for range 10 {
		h.answerAfter(time.Second)
	}
	if *events != 0 {
		t.Errorf("%d events", *events)
	}
	// One that becomes slow for good is late a few times and then as usual.
	h, events = held()
	for range 10 {
		h.answerAfter(time.Millisecond)
	}
	for range 20 {
		h.answerAfter(3 * time.Second)
	}
	if *events == 0 || *events > 10 {
		t.Errorf("%d events", *events)
	}
}

// TestHeldOpenMissBesideAnswer: a timer that fires when its answer has come says nothing.
func TestHeldOpenMissBesideAnswer(t *testing.T) {
	h, events := held()
	sent, _ := h.begin()
	h.answered(nil)
	h.miss(sent)
	next, _ := h.begin()
	h.miss(sent)
	if !h.facts.Missed.IsZero() || *events != 0 {
		t.Errorf("%+v, %d events", h.facts, *events)
	}
	h.miss(next)
	h.miss(next)
	if h.facts.Missed.IsZero() || *events != 1 {
		t.Errorf("%+v, %d events", h.facts, *events)
	}
}

// TestHeldOpenOverTLS: reading between two requests, to see the peer leave, does no harm to the TLS connection.
func TestHeldOpenOverTLS(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	at := serveHTTP(t, p.server("demo.test"), answerOK)
	target := newTestTarget(t, "heldopen: 100ms, "+tlsFront, at.Port(), p.caFile, "", "")
	run(t, target)
	eventually(t, "some answers", answeredTimes(target.held.own[0], 4))
	r := target.Round(t.Context(), time.Now(), ByCheck)
	l := laneNamed(t, &r, LaneHeldOpen, "")
	wantGood(t, l)
	if l.HeldOpen.Answered < 4 || l.Address != at.String() || l.Local == r.Lanes[0].Local {
		t.Errorf("%+v", l)
	}
}

// TestHeldOpenPlan: there is one connection beside each lane, and none where it is off. Where no HTTP is spoken, it is
// mute, and behind a forward proxy it would be a connection to that one.
func TestHeldOpenPlan(t *testing.T) {
	for text, want := range map[string]string{
		`front: {url: "http://192.0.2.1"}`:                                                               "", // off by default in these tests
		`heldopen: 1s, front: {url: "http://192.0.2.1"}`:                                                 "front asks",
		`heldopen: off, front: {url: "https://192.0.2.1"}`:                                               "",
		`heldopen: 1s, front: {url: "tcp://192.0.2.1:6379"}`:                                             "front mute",
		`heldopen: 1s, front: {url: "tcp://192.0.2.1:6379", forward_proxy: {address: "192.0.2.9:3128"}}`: "",
		`heldopen: 1s, front: {url: "https://192.0.2.1"}, via: [
			{name: p1, role: proxy, address: "192.0.2.2:443", control: "192.0.2.2:22"}], backends: [
			{name: a1, url: "http://192.0.2.3:8080", control: "192.0.2.3:22"},
			{name: a2, url: "tcp://192.0.2.4:9000", control: "192.0.2.3:22"}]`: "front asks, via/p1 asks, backend/a1 asks, backend/a2 mute, control/p1, control/a1",
	} {
		held := newTestTarget(t, "%s", text).held
		var got []string
		for _, h := range held.own {
			who := string(h.besides())
			if h.of != "" {
				who += "/" + h.spec.hop
			}
			got = append(got, who+map[bool]string{true: " mute", false: " asks"}[h.mute])
		}
		for _, c := range held.controls {
			got = append(got, c.spec.key())
		}
		if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// TestHeldOpenUsualEnd: a server that ends idle connections after their time did not die with the last one.
func TestHeldOpenUsualEnd(t *testing.T) {
	t.Parallel()
	ended := noon
	for name, c := range map[string]struct {
		usual, lived time.Duration
		dead         bool
	}{
		"never seen before": {0, time.Minute, true},
		"as always":         {time.Minute, 61 * time.Second, false},
		"much earlier":      {time.Minute, 20 * time.Second, true},
		"much later":        {time.Minute, time.Hour, true},
	} {
		h, events := held()
		h.attempt = nil
		h.facts.LastGoodAnswered, h.facts.Since = ended, ended.Add(-c.lived)
		h.usualLife, h.idleEnd, h.idleErr = c.usual, ended, fail(HTTPClosed, "the peer closed the connection")
		h.renewFailed(t.Context())
		if _, s := h.shown(); (s != nil) != c.dead || *events != 1 {
			t.Errorf("%s: stage %+v, %d events", name, s, *events)
		}
	}
}

// TestHeldOpenTriesAgain: a server that keeps no connection now, such as one under load, may keep one later.
func TestHeldOpenTriesAgain(t *testing.T) {
	t.Parallel()
	keeps := atomic.Bool{}
	at := serve(t, httpConn(func(c net.Conn, _ int) bool {
		if keeps.Load() {
			return sayOK(c, 0)
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
		return false
	}))
	target := newTestTarget(t, `front: {url: "http://%s/"}`, at)
	h := newHeldOpen(target.plan.front, target.env, beat, func() {})
	h.tryAgain = 50 * time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.run(ctx) })
	defer wg.Wait()
	defer stop()
	eventually(t, "the lane to be given up", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.gaveUp })
	if l := h.lane(); l != nil {
		t.Errorf("a lane although no connection is kept: %+v", l)
	}
	keeps.Store(true)
	eventually(t, "answers on a connection that is kept", answeredTimes(h, 3))
}
