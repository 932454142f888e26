//go:build linux

package probe

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoCarrier takes the far end of this host's only link down. It runs in a network namespace of its own.
func TestNoCarrier(t *testing.T) {
	t.Parallel()
	const child = "WHICHLAYER_TEST_NO_CARRIER"
	if os.Getenv(child) == "" {
		if os.Getuid() != 0 {
			t.Skip("SKIPPED: needs root, for a network namespace")
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoCarrier$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "--- SKIP") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	ip("link", "set", "lo", "up")
	ip("link", "add", "up0", "type", "veth", "peer", "name", "far0")
	ip("link", "add", "idle0", "type", "veth", "peer", "name", "idle1") // without a carrier and none of our business
	ip("addr", "add", "192.0.2.1/24", "dev", "up0")
	ip("addr", "add", "198.51.100.1/24", "dev", "idle0")
	for _, name := range []string{"up0", "far0", "idle0"} {
		ip("link", "set", name, "up")
	}
	there := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:443")}
	eventually(t, "a carrier", func() bool { return deadLinks(there) == nil })
	cfg, env := load(t, `targets: [{name: demo, timeouts: {connect: 800ms}, front: {url: "https://192.0.2.9/"}}]`)
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	if r := target.Round(t.Context(), time.Now(), ByCheck); len(r.Self.Links) != 0 {
		t.Errorf("with a carrier: %+v", r.Self)
	}
	ip("link", "set", "far0", "down")
	eventually(t, "no carrier", func() bool { return len(deadLinks(there)) == 1 })
	r := target.Round(t.Context(), time.Now(), ByCheck)
	v := Attribute(&r, nil)
	if v.State != Unknown || v.Layer != LayerProber || v.Cause != CauseNoCarrier || !strings.Contains(v.Evidence[0], "up0") {
		t.Errorf("%+v\n%+v", v, r)
	}
	mixed := append(there, netip.MustParseAddrPort("127.0.0.1:53"))
	if links := deadLinks(mixed); links != nil {
		t.Errorf("one of two ways is open: %v", links)
	}
}

// TestLinks: nothing is found on a host whose way is open, nor for an address to which there is none.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"127.0.0.1:80", "[::1]:80", "[2001:db8::1]:80"} {
		if links := deadLinks([]netip.AddrPort{netip.MustParseAddrPort(to)}); links != nil {
			t.Errorf("%s: %v", to, links)
		}
	}
	if links := deadLinks(nil); links != nil {
		t.Errorf("nowhere: %v", links)
	}
}
