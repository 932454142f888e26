package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newTestVantage looks at controls; no gateway is asked, whatever the machine has.
func newTestVantage(t *testing.T, text string, args ...any) (*Vantage, *Env) {
	t.Helper()
	cfg, env := load(t, "controls: [%s]\ntargets: [{name: demo, front: {url: \"http://127.0.0.1:1\"}}]", fmt.Sprintf(text, args...))
	v := NewVantage(cfg.Controls, env)
	v.gateway = func() (netip.Addr, bool) { return netip.Addr{}, false }
	return v, env
}

// TestVantageFresh: whoever asks within a second gets the same look, and those who ask at once share one.
func TestVantageFresh(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	at := serve(t, func(c net.Conn) { asked.Add(1); silence(c) })
	v, _ := newTestVantage(t, `{name: a, address: "%s"}, {name: b, address: "%s"}`, at, closedPort(t))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			lanes := v.Look(t.Context())
			if len(lanes) != 2 || !lanes[0].fine() || lanes[0].Hop != "a" || lanes[0].Lane != LaneVantage || lanes[0].Role != RoleControl {
				t.Errorf("%+v", lanes)
				return
			}
			wantFailed(t, &lanes[1], StageConnect, TCPRefused)
			if !lanes[1].answered() {
				t.Error("a refusal is an answer")
			}
		})
	}
	wg.Wait()
	eventually(t, "the control was asked", func() bool { return asked.Load() > 0 })
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	v.at = v.at.Add(-vantageFresh)
	v.Look(t.Context())
	eventually(t, "the control was asked again", func() bool { return asked.Load() == 2 })
}

// TestVantageEnded: a look that was ended by its round is not given to others.
func TestVantageEnded(t *testing.T) {
	t.Parallel()
	v, _ := newTestVantage(t, `{name: a, address: "%s"}`, addrOf(neverAccepting(t, "127.0.0.1:0")))
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	start := time.Now()
	lanes := v.Look(ctx)
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if s := failedStage(&lanes[0]); s == nil || s.Type != SelfStopped || s.Outcome != NoData || v.last != nil {
		t.Errorf("%+v, kept %+v", lanes, v.last)
	}
}

// TestVantageOnFailure: controls are looked at when the front fails, and only then.
func TestVantageOnFailure(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	v, env := newTestVantage(t, `{name: a, address: "%s"}`, serve(t, func(c net.Conn) { asked.Add(1); silence(c) }))
	gateway := netip.MustParseAddr("127.0.0.77")
	v.gateway = func() (netip.Addr, bool) { return gateway, true }
	env.Vantage = v
	good, _ := load(t, `targets: [{name: good, front: {url: "http://%s"}}, {name: bad, front: {url: "http://%s"}}]`, serveHTTP(t, nil, answerOK), closedPort(t))
	var results []Result
	for _, cfg := range good.Targets {
		target, err := NewTarget(cfg, env)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, target.Round(t.Context(), time.Now(), ByCheck))
	}
	if r := results[0]; len(r.Lanes) != 1 {
		t.Errorf("%+v", r.Lanes)
	}
	r := results[1]
	wantGood(t, laneNamed(t, &r, LaneVantage, "a"))
	gw := laneNamed(t, &r, LaneVantage, "default gateway")
	wantFailed(t, gw, StageConnect, TCPRefused)
	if gw.Role != RoleGateway || gw.Address != "127.0.0.77:9" || len(r.Lanes) != 3 {
		t.Errorf("%+v", r.Lanes)
	}
	if v := Attribute(&r, nil); v.Layer == LayerProber || v.State != Down {
		t.Errorf("verdict %+v", v)
	}
}

// TestVantageDown: when no control answers either, the trouble is ours.
func TestVantageDown(t *testing.T) {
	t.Parallel()
	silent := addrOf(neverAccepting(t, "127.0.0.1:0"))
	v, env := newTestVantage(t, `{name: a, address: "%s"}`, silent)
	v.specs[0].timeouts.Connect = 1e8
	env.Vantage = v
	cfg, _ := load(t, `targets: [{name: demo, timeouts: {connect: 100ms}, front: {url: "http://%s"}}]`, silent)
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	r := target.Round(t.Context(), time.Now(), ByCheck)
	if v := Attribute(&r, nil); v.Layer != LayerProber || v.State != Unknown || v.Cause != CauseVantageDown {
		t.Errorf("verdict %+v", v)
	}
}

const routeHead = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

// TestGateway reads tables of routes as /proc/net/route has them: addresses are in the order of the machine's bytes.
func TestGateway(t *testing.T) {
	if runtime.GOOS != "linux" || binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the tables below are those of little-endian Linux")
	}
	for name, c := range map[string]struct{ table, want string }{
		"no table":         {"", ""},
		"no route":         {routeHead, ""},
		"no default route": {routeHead + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", ""},
		"default route": {routeHead + "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" +
			"eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", "192.0.2.1"},
		"the least metric": {routeHead + "wlan0\t00000000\t016433C6\t0003\t0\t0\t600\t00000000\t0\t0\t0\n" +
			"eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" +
			"tun0\t00000000\t090200C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n", "192.0.2.1"},
		"a device without a gateway": {routeHead + "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n", ""},
		"half of the world":          {routeHead + "tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n", ""},
		"junk":                       {strings.Repeat("\xff what is this\n", 3), ""},
	} {
		dir := t.TempDir()
		if c.table != "" {
			if err := os.Mkdir(filepath.Join(dir, "net"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "net", "route"), []byte(c.table), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		gw, ok := gatewayIn(dir)
		if ok != (c.want != "") || ok && gw.String() != c.want {
			t.Errorf("%s: %v %v, expected %q", name, gw, ok, c.want)
		}
	}
	if _, ok := gatewayIn("/nowhere"); ok {
		t.Error("a gateway from nowhere")
	}
}
