package lab_test

import (
	"context"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/lab"
)

// sight is what a plain client sees of a fault. "reset" and "eof" are often a race of two packets, so that a row may
// allow both, divided by |.
type sight struct {
	fault    lab.Fault
	front    []string
	backend  string
	heldOpen []string // a request on a connection from before the fault
}

func sights() []sight {
	ok, timeout, over := []string{"ok"}, []string{"http timeout"}, []string{"http eof", "http reset"}
	return []sight{
		{lab.ProxyFrozen, []string{"tls timeout"}, "ok", timeout},
		{lab.ProxyKilled, []string{"connect refused"}, "ok", over},
		{lab.ProxyCloses, []string{"tls eof", "tls reset"}, "ok", ok},
		{lab.ProxyResets, []string{"tls reset", "connect reset"}, "ok", ok}, // the RST may come before connect(2) is asked
		{lab.ProxyAlert, []string{"tls alert"}, "ok", ok},
		{lab.ProxyPlainHTTP, []string{"tls no record"}, "ok", ok},
		{lab.ProxyGarbage, []string{"tls no record"}, "ok", ok},
		{lab.ProxyTLS11, []string{"tls alert"}, "ok", ok},
		{lab.ProxyDeaf, timeout, "ok", ok},
		{lab.CertExpired, []string{"tls date"}, "ok", ok},
		{lab.CertEarly, []string{"tls date"}, "ok", ok},
		{lab.CertWrongName, []string{"tls name"}, "ok", ok},
		{lab.CertUnknownCA, []string{"tls authority"}, "ok", ok},
		{lab.CertNoChain, []string{"tls authority"}, "ok", ok},
		{lab.LinkDropped, timeout, "ok", timeout},
		{lab.LinkRefused, []string{"http reset"}, "ok", over},
		{lab.BackendKilled, []string{"http reset"}, "connect refused", over},
		{lab.BackendFrozen, timeout, "http timeout", timeout},
		{lab.Backend404, []string{"404"}, "404", []string{"404"}},
		{lab.Backend500, []string{"500"}, "500", []string{"500"}},
		{lab.Backend503, []string{"503"}, "503", []string{"503"}},
		{lab.BackendSlow, timeout, "http timeout", timeout},
		{lab.BackendTrickle, []string{"body timeout"}, "body timeout", []string{"body timeout"}},
		{lab.BackendStalls, []string{"body timeout"}, "body timeout", []string{"body timeout"}},
		{lab.BackendTruncates, []string{"body eof"}, "body eof", []string{"body eof"}},
		{lab.BackendWrongBody, []string{"wrong body"}, "wrong body", []string{"wrong body"}},
		{lab.BackendCloses, []string{"http eof"}, "http eof", []string{"http eof"}},
		{lab.BackendResets, []string{"http eof"}, "http reset", []string{"http eof"}},
	}
}

func TestFaultsAreSeenAndEnd(t *testing.T) {
	for _, s := range sights() {
		t.Run(string(s.fault), func(t *testing.T) {
			t.Parallel()
			c := start(t, lab.Options{})
			cfg := trust(t, c)
			old, w := call(t, c.Front(), cfg)
			if w != "" || old.get() != "ok" {
				t.Fatalf("healthy chain: %q", w)
			}
			breakIt(t, c, s.fault)
			if got := look(t, c.Front(), cfg); !slices.Contains(s.front, got) {
				t.Errorf("front: %q, want one of %q", got, s.front)
			}
			if got := look(t, c.Backend(), nil); got != s.backend {
				t.Errorf("backend: %q, want %q", got, s.backend)
			}
			if got := old.get(); !slices.Contains(s.heldOpen, got) {
				t.Errorf("held-open connection: %q, want one of %q", got, s.heldOpen)
			}
			for _, part := range []string{"proxy", "backend"} {
				if _, w := call(t, c.Control(part), nil); w != "" {
					t.Errorf("control port of the %s: %s", part, w)
				}
			}
			mend(t, c, s.fault)
			if got := look(t, c.Front(), cfg); got != "ok" {
				t.Errorf("front after mending: %q", got)
			}
			if got := look(t, c.Backend(), nil); got != "ok" {
				t.Errorf("backend after mending: %q", got)
			}
		})
	}
}

func TestEveryFaultIsTried(t *testing.T) {
	tried := map[lab.Fault]bool{}
	for _, s := range sights() {
		tried[s.fault] = true
	}
	for _, d := range dnsSights() {
		tried[d.fault] = true
	}
	for _, f := range lab.Faults() {
		if !tried[f] {
			t.Errorf("no test looks at %s", f)
		}
		if f.Truth()[0].Layer == "" || f.Truth()[0].Cause == "" {
			t.Errorf("%s: the truth %v is not whole", f, f.Truth())
		}
	}
	if lab.Fault("no-such").Truth() != nil {
		t.Error("an unknown fault has a truth")
	}
}

func TestUnknownFault(t *testing.T) {
	c := start(t, lab.Options{})
	for _, f := range []lab.Fault{"no-such", lab.BalancerFrozen} {
		if c.Break(f) == nil || c.Mend(f) == nil {
			t.Errorf("%s was accepted by a chain that cannot have it", f)
		}
	}
}

// TestThawServesTheQueue is the essence of a freeze: what the kernel took meanwhile is answered afterwards.
func TestThawServesTheQueue(t *testing.T) {
	c := start(t, lab.Options{})
	cfg := trust(t, c)
	old, w := call(t, c.Front(), cfg)
	if w != "" || old.get() != "ok" {
		t.Fatalf("healthy chain: %q", w)
	}
	breakIt(t, c, lab.ProxyFrozen)
	answers := make(chan string, 4)
	wait := func(f func() string) { go func() { answers <- f() }() }
	for range 3 {
		nc, err := net.Dial("tcp", c.Front().String())
		if err != nil {
			t.Fatal(err)
		}
		wait(func() string { return patient(nc, cfg) })
	}
	wait(func() string {
		if _, err := old.Write([]byte("GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n")); err != nil {
			return err.Error()
		}
		line, err := old.r.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		return line
	})
	if err := old.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-answers:
		t.Fatalf("a frozen proxy answered: %q", a)
	case <-time.After(patience):
	}
	mend(t, c, lab.ProxyFrozen)
	for range 4 {
		if a := <-answers; a != "HTTP/1.1 200 OK\r\n" {
			t.Errorf("after the thaw: %q", a)
		}
	}
}

// TestKillWhileFrozen ends the sockets that the freeze left open.
func TestKillWhileFrozen(t *testing.T) {
	c := start(t, lab.Options{})
	cfg := trust(t, c)
	breakIt(t, c, lab.ProxyFrozen)
	nc, err := net.Dial("tcp", c.Front().String())
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() { answer <- patient(nc, cfg) }()
	breakIt(t, c, lab.ProxyKilled)
	if a := <-answer; a == "HTTP/1.1 200 OK\r\n" {
		t.Error("a dead proxy answered")
	}
	if got := look(t, c.Front(), cfg); got != "connect refused" {
		t.Errorf("front: %q", got)
	}
	if err := c.MendAll(); err != nil {
		t.Fatal(err)
	}
	if got := look(t, c.Front(), cfg); got != "ok" {
		t.Errorf("front after mending: %q", got)
	}
}

func TestLinkDroppedEndsWithReset(t *testing.T) {
	c := start(t, lab.Options{ConnectTimeout: patience / 3})
	breakIt(t, c, lab.LinkDropped)
	if got := look(t, c.Front(), trust(t, c)); got != "http reset" {
		t.Errorf("front: %q, want the reset that stunnel sends after TIMEOUTconnect", got)
	}
}

func TestBackendSlowAnswersLate(t *testing.T) {
	c := start(t, lab.Options{Delay: patience / 3})
	breakIt(t, c, lab.BackendSlow)
	began := time.Now()
	if got := look(t, c.Front(), trust(t, c)); got != "ok" {
		t.Errorf("front: %q", got)
	}
	if took := time.Since(began); took < patience/3 {
		t.Errorf("a slow backend answered after %v", took)
	}
}

// TestFullQueue fills the accept queue of a frozen proxy: from then on its kernel drops SYNs.
func TestFullQueue(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: only Linux drops a SYN because the accept queue is full")
	}
	c := start(t, lab.Options{Backlog: 2})
	breakIt(t, c, lab.ProxyFrozen)
	// Three wait, one more than the backlog says. A fourth may slip in while the third one's last ACK is on its way.
	for i := range 6 {
		_, w := call(t, c.Front(), nil)
		if w == "" {
			continue
		}
		if w != "connect timeout" || i < 3 {
			t.Errorf("connection %d: %q, want a dropped SYN after the third", i+1, w)
		}
		return
	}
	t.Error("the queue never filled")
}

func TestBalancer(t *testing.T) {
	for _, version := range []byte{0, 1, 2} {
		c := start(t, lab.Options{Balancer: true, ProxyProtocol: version})
		cfg := trust(t, c)
		if got := look(t, c.Front(), cfg); got != "ok" {
			t.Fatalf("PROXY protocol %d: front: %q", version, got)
		}
		for _, s := range []struct {
			fault lab.Fault
			front []string
		}{
			{lab.BalancerFrozen, []string{"tls timeout"}},
			{lab.BalancerKilled, []string{"connect refused"}},
			{lab.ProxyFrozen, []string{"tls timeout"}},
			{lab.ProxyKilled, []string{"tls eof", "tls reset"}},
		} {
			breakIt(t, c, s.fault)
			if got := look(t, c.Front(), cfg); !slices.Contains(s.front, got) {
				t.Errorf("%s: front: %q, want one of %q", s.fault, got, s.front)
			}
			mend(t, c, s.fault)
		}
		if version == 0 {
			if got := look(t, c.Proxy(), cfg); got != "ok" {
				t.Errorf("proxy directly: %q", got)
			}
		}
	}
}

func TestContextEndsTheChain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := lab.Start(ctx, lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ca := c.CAFile()
	breakIt(t, c, lab.ProxyFrozen)
	if _, w := call(t, c.Front(), nil); w != "" {
		t.Fatal(w)
	}
	cancel()
	if err := c.Close(); err != nil { // waits for what the context has begun
		t.Fatal(err)
	}
	if _, w := call(t, c.Front(), nil); w != "connect refused" {
		t.Errorf("after the end: %q", w)
	}
	if _, err := os.Stat(ca); !os.IsNotExist(err) {
		t.Errorf("the temporary directory is still there: %v", err)
	}
	if c.Break(lab.ProxyKilled) == nil || c.Mend(lab.ProxyKilled) == nil {
		t.Error("a closed chain can be changed")
	}
}

func breakIt(t *testing.T, c *lab.Chain, f lab.Fault) {
	t.Helper()
	if err := c.Break(f); err != nil {
		t.Fatal(err)
	}
}

func mend(t *testing.T, c *lab.Chain, f lab.Fault) {
	t.Helper()
	if err := c.Mend(f); err != nil {
		t.Fatal(err)
	}
}
