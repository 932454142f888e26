package tcpinfo

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is a connection over loopback, both ends.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func get(t *testing.T, c syscall.Conn) *Info {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	i := Get(raw)
	if i == nil {
		t.Skip("no TCP_INFO on this system")
	}
	return i
}

// send writes n bytes on one end and reads them on the other.
func send(t *testing.T, from, to net.Conn, n int) {
	t.Helper()
	if _, err := io.WriteString(from, strings.Repeat("x", n)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// TestCounts: bytes are those of the payload, as both ends sent them, neither SYN nor FIN among them.
func TestCounts(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	if i := get(t, near); i.State != Established || i.BytesSent != 0 || i.BytesAcked != 0 || i.BytesReceived != 0 || i.AckedAll() {
		t.Errorf("fresh: %+v", i)
	}
	send(t, near, far, 1000)
	send(t, far, near, 500)
	i := get(t, near)
	if i.State != Established || i.BytesSent != 1000 || i.BytesAcked != 1000 || i.BytesReceived != 500 || !i.AckedAll() {
		t.Errorf("after 1000 and 500 bytes: %+v", i)
	}
	if i.Unacked != 0 || i.NotSent != 0 || i.TotalRetrans != 0 || i.RcvOOO != 0 || i.Timeouts() != 0 || i.Unheard() || i.HeldBack() {
		t.Errorf("a healthy connection: %+v", i)
	}
	if i.RTT == 0 || i.RTT > 1e6 || i.RTO < 1000 || i.Retransmission() < time.Millisecond || i.SndMSS < 500 || i.PMTU < 576 || i.LastDataRecv > 10_000 {
		t.Errorf("times and sizes: %+v", i)
	}
	if j := get(t, far); j.BytesReceived != i.BytesAcked || j.BytesSent != i.BytesReceived {
		t.Errorf("the other end: %+v", j)
	}
	far.CloseWrite()
	if n, err := near.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
	if i := get(t, near); i.State != CloseWait || i.BytesReceived != 500 {
		t.Errorf("the peer has closed: %+v", i)
	}
}

// TestUnread: what the peer's process never reads is acknowledged by its kernel until that is full; then it waits here.
func TestUnread(t *testing.T) {
	t.Parallel()
	near, _ := pair(t)
	send := func(n int) {
		near.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		near.Write(make([]byte, n))
	}
	send(100)
	for end := time.Now().Add(5 * time.Second); !get(t, near).AckedAll() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if i := get(t, near); !i.AckedAll() || i.BytesAcked != 100 || i.BytesReceived != 0 || i.LastDataRecv != 0 {
		t.Errorf("100 bytes to a process that does not read: %+v", i)
	}
	near.SetWriteBuffer(64 << 10)
	send(32 << 20)
	if i := get(t, near); tells().sndWnd && (!i.NoWindow || i.HeldBack() || !i.Waiting()) {
		t.Errorf("32 MiB to a process that does not read: %+v", i)
	}
	if i := get(t, near); i.AckedAll() || i.NotSent == 0 || i.BytesAcked <= 100 {
		t.Errorf("more than its kernel takes: %+v", i)
	}
}

func TestSynSent(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: ln.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	for range 4 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Connect(fd, to); err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		i := GetFD(fd)
		if i == nil {
			t.Skip("no TCP_INFO on this system")
		}
		if i.State == Established {
			continue // the queue has room still
		}
		if i.State != SynSent || i.BytesAcked != 0 || i.AckedAll() || i.Unheard() || i.HeldBack() || i.MinRTT != 0 {
			t.Errorf("%+v", i)
		}
		return
	}
	t.Error("the accept queue does not fill")
}

func TestNoSocket(t *testing.T) {
	if i := GetFD(-1); i != nil {
		t.Errorf("%+v", i)
	}
	near, _ := pair(t)
	raw, err := near.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	near.Close()
	if i := Get(raw); i != nil {
		t.Errorf("of a closed connection: %+v", i)
	}
}

// TestTimeouts, like the tables below: what counters mean, by their documentation in tcpinfo.go.
func TestTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		info *Info
		want int
	}{
		"nothing known":                        {nil, 0},
		"healthy":                              {&Info{HasTotalRTO: true}, 0},
		"a tail-loss probe, counted":           {&Info{HasTotalRTO: true, TotalRetrans: 1}, 0},
		"counted":                              {&Info{HasTotalRTO: true, TotalRTO: 3, Retransmits: 1, TotalRetrans: 9}, 3},
		"counted, and the timer runs":          {&Info{HasTotalRTO: true, Retransmits: 2}, 0},
		"older kernel, the timer runs":         {&Info{Retransmits: 2, TotalRetrans: 5}, 2},
		"older kernel, the timer is over":      {&Info{TotalRetrans: 5, DSACKDups: 2}, 3},
		"older kernel, a tail-loss probe":      {&Info{TotalRetrans: 1, DSACKDups: 1}, 0},
		"older kernel, more duplicates":        {&Info{TotalRetrans: 1, DSACKDups: 2}, 0},
		"older kernel, it counts nothing here": {&Info{TotalRTO: 7}, 0},
	} {
		if got := c.info.Timeouts(); got != c.want {
			t.Errorf("%s: %d, expected %d", name, got, c.want)
		}
	}
}

func TestPredicates(t *testing.T) {
	for name, c := range map[string]struct {
		info                        *Info
		ackedAll, unheard, heldBack bool
	}{
		"nothing known":                 {nil, false, false, false},
		"nothing sent":                  {&Info{State: Established}, false, false, false},
		"all acknowledged":              {&Info{State: Established, BytesSent: 9, BytesAcked: 9}, true, false, false},
		"all acknowledged, peer closed": {&Info{State: CloseWait, BytesSent: 9, BytesAcked: 9}, true, false, false},
		"in flight":                     {&Info{State: Established, BytesSent: 9, BytesAcked: 5, Unacked: 1}, false, false, false},
		"in flight, and a timer fired":  {&Info{State: Established, BytesSent: 9, Unacked: 1, HasTotalRTO: true, TotalRTO: 1}, false, true, false},
		"recovered after a timer":       {&Info{State: Established, BytesSent: 9, BytesAcked: 9, HasTotalRTO: true, TotalRTO: 1}, true, false, false},
		"an unanswered SYN":             {&Info{State: SynSent, Unacked: 1, HasTotalRTO: true, TotalRTO: 2}, false, false, false},
		"data waits here":               {&Info{State: Established, BytesAcked: 5, NotSent: 4}, false, false, true},
		"data waits for the peer":       {&Info{State: Established, BytesAcked: 5, NotSent: 4, NoWindow: true}, false, false, false},
		"data waits behind data":        {&Info{State: Established, BytesAcked: 5, NotSent: 4, Unacked: 1}, false, false, false},
		"data waits for the handshake":  {&Info{State: SynSent, NotSent: 4}, false, false, false},
	} {
		if got := c.info.AckedAll(); got != c.ackedAll {
			t.Errorf("%s: AckedAll is %v", name, got)
		}
		if got := c.info.Unheard(); got != c.unheard {
			t.Errorf("%s: Unheard is %v", name, got)
		}
		if got := c.info.HeldBack(); got != c.heldBack {
			t.Errorf("%s: HeldBack is %v", name, got)
		}
	}
}

func TestStateNames(t *testing.T) {
	for s := Established; s <= Closing; s++ {
		b, err := json.Marshal(Info{State: s})
		if err != nil || !strings.Contains(string(b), `"state":"`+s.String()+`"`) || len(s.String()) < 5 {
			t.Errorf("%d: %s, %v", s, b, err)
		}
		var back Info
		if err := json.Unmarshal(b, &back); err != nil || back.State != s {
			t.Errorf("%s comes back as %s, %v", s, back.State, err)
		}
	}
	var i Info
	if err := json.Unmarshal([]byte(`{"state":"NEWER"}`), &i); err != nil || i.State != 0 {
		t.Errorf("%+v, %v", i, err)
	}
	if got := State(99).String(); got != "?" {
		t.Errorf("a state that nobody knows: %q", got)
	}
}
