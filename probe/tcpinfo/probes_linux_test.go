package tcpinfo

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProbes: keep-alive probes that a deaf peer leaves unanswered are counted, and one that is answered is an
// acknowledgement, also when no data was ever sent.
func TestProbes(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	if err := near.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 9}); err != nil {
		t.Fatal(err)
	}
	until := func(what string, is func(*Info) bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); !is(get(t, near)); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, get(t, near))
			}
		}
	}
	until("an age that grows", func(i *Info) bool { return i.LastAckRecv > 900 && i.Probes == 0 })
	until("an answered probe", func(i *Info) bool { return i.LastAckRecv < 900 && i.Probes == 0 && i.BytesSent == 0 })
	raw, err := far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	if err != nil {
		t.Fatal(err)
	}
	until("two unanswered probes", func(i *Info) bool { return i.Probes == 2 && i.LastAckRecv >= 1900 && i.Unacked == 0 })
}
