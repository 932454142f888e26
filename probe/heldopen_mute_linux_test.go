package probe

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMuteSilence: a peer whose kernel hears us no more is missed; it is found again by the next question that it
// answers. Once the lane itself has failed and is fine again, the old connection is given up.
func TestMuteSilence(t *testing.T) {
	t.Parallel()
	conns := make(chan *net.TCPConn, 10)
	h, events := muteAt(t, serve(t, func(c net.Conn) {
		conns <- c.(*net.TCPConn)
		silence(c)
	}))
	eventually(t, "a lane", shows(h))
	peer := <-conns
	before := h.lane().HeldOpen.LastGoodAnswered
	deafen(t, peer)
	from := time.Now()
	<-events
	f, s := h.shown()
	if s == nil || s.Outcome != Failed || s.Type != TCPTimedOut || s.TCPInfo.Probes < 2 || !f.Died.IsZero() || !strings.Contains(s.Error, "acknowledged nothing") {
		t.Fatalf("%+v %+v", f, s)
	}
	if f.LastGoodAnswered.Before(before.Add(-100*time.Millisecond)) || f.LastGoodAnswered.After(from.Add(100*time.Millisecond)) {
		t.Errorf("the last answer at %v, the last one seen before at %v, deaf from %v", f.LastGoodAnswered, before, from)
	}
	if wait := f.Missed.Sub(f.LastGoodAnswered); wait < h.mutePatience()-50*time.Millisecond || wait > h.mutePatience()+50*time.Millisecond {
		t.Errorf("missed after %v", wait)
	}
	onSocket(t, peer, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
	<-events
	if f, s := h.shown(); s == nil || !s.Good() || !f.Missed.IsZero() || !f.Pending.IsZero() || f.GoodSince.Before(from) {
		t.Errorf("it hears again: %+v %+v", f, s)
	}
	deafen(t, peer)
	<-events
	h.noteLane(true)
	h.noteLane(true)
	if f, s := h.shown(); s == nil || s.Good() || f.Tainted {
		t.Errorf("the lane never failed: %+v %+v", f, s)
	}
	h.noteLane(false)
	for range renewAfter {
		h.noteLane(true)
	}
	<-conns
	eventually(t, "a new connection", func() bool { _, s := h.shown(); return s != nil && s.Good() })
}

// deafen lets the kernel drop all that comes for a connection, as a broken path would.
func deafen(t *testing.T, c *net.TCPConn) {
	t.Helper()
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	onSocket(t, c, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
}

// onSocket does something with a connection's descriptor.
func onSocket(t *testing.T, c syscall.Conn, do func(fd int) error) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := errors.Join(raw.Control(func(fd uintptr) { failed = do(int(fd)) }), failed); err != nil {
		t.Fatal(err)
	}
}

// TestKeepAliveOptions: the kernel asks every period, and keeps an unanswered connection longer than its count of probes
// alone would let it.
func TestKeepAliveOptions(t *testing.T) {
	t.Parallel()
	c, err := net.Dial("tcp", listenAt(t, "127.0.0.1:0").Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, period := range []time.Duration{2 * time.Second, time.Hour} {
		if err := setKeepAlive(c.(*net.TCPConn), period); err != nil {
			t.Fatal(err)
		}
		want := map[int]int{unix.TCP_KEEPIDLE: int(period.Seconds()), unix.TCP_KEEPINTVL: int(period.Seconds()), unix.TCP_KEEPCNT: 127,
			unix.TCP_USER_TIMEOUT: max(600_000, 4*int(period.Milliseconds()))}
		for option, value := range want {
			onSocket(t, c.(*net.TCPConn), func(fd int) error {
				got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, option)
				if got != value {
					t.Errorf("period %v: option %d is %d, expected %d", period, option, got, value)
				}
				return err
			})
		}
	}
}
