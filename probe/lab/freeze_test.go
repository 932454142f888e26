package lab_test

import (
	"runtime"
	"testing"

	"github.com/whichlayer/whichlayer/probe/lab"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// TestFreezeAsTheKernelSeesIt looks at the counters that tell a frozen process from lost packets.
func TestFreezeAsTheKernelSeesIt(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the counters are Linux'")
	}
	c := start(t, lab.Options{})
	cfg := trust(t, c)
	old, w := call(t, c.Front(), cfg)
	if w != "" || old.get() != "ok" {
		t.Fatalf("healthy chain: %q", w)
	}
	before := info(t, old)
	breakIt(t, c, lab.ProxyFrozen)
	fresh, w := call(t, c.Front(), cfg)
	if w != "tls timeout" {
		t.Fatalf("handshake with a frozen proxy: %q", w)
	}
	if got := old.get(); got != "http timeout" {
		t.Fatalf("request to a frozen proxy: %q", got)
	}
	i := info(t, fresh)
	if i.State != tcpinfo.Established || !i.AckedAll() || i.BytesReceived != 0 || i.Timeouts() != 0 {
		t.Errorf("new connection: want all acknowledged and no answer, got %+v", i)
	}
	after := info(t, old)
	if !after.AckedAll() || after.BytesSent == before.BytesSent || after.BytesReceived != before.BytesReceived {
		t.Errorf("old connection: want the request acknowledged and no answer, got %+v", after)
	}
}

func info(t *testing.T, c *caller) *tcpinfo.Info {
	t.Helper()
	raw, err := c.raw.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	i := tcpinfo.Get(raw)
	if i == nil {
		t.Fatal("no TCP_INFO")
	}
	return i
}
