package probe

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// dropLonger lets the kernel drop what comes for a listener, and is longer than so many bytes of TCP, header included.
func dropLonger(t *testing.T, ln *net.TCPListener, size uint32) {
	t.Helper()
	drop := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: size, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
	}
	onSocket(t, ln, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(drop)), Filter: &drop[0]})
	})
}

// TestExchangeIsLost: what is not acknowledged is lost, whether or not the process would answer.
func TestExchangeIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size  uint32
		small Type
		lost  bool
	}{
		"all arrives":        {60000, "", false},
		"large ones do not":  {600, "", true},
		"no data gets there": {50, AppTimedOut, false},
	} {
		var plain net.ListenConfig
		plain.SetMultipathTCP(false) // which has no filters
		ln, err := plain.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		dropLonger(t, ln.(*net.TCPListener), c.size)
		serveOn(t, ln, silence)
		f, l := exchangeWith(t, addrOf(ln))()
		if f.largeLost() != c.lost || l.stage(StageRequest) == nil || l.stage(StageRequest).Type != c.small {
			t.Errorf("%s: lost: %v, %+v", name, f.largeLost(), l.Stages)
		}
	}
}
