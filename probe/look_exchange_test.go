package probe

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// hears reads a few bytes and then more than that, which is the exchange's large packet.
func hears(c net.Conn, small func(line string), large func()) {
	in := bufio.NewReader(c)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	small(line)
	if _, err := in.ReadByte(); err == nil {
		large()
	}
}

// exchangeWith prepares a look at a control port at the address of a front that stalls, and what the rules see of it.
func exchangeWith(t *testing.T, control netip.AddrPort) func() (*facts, *Lane) {
	t.Helper()
	r, a := lookRound(t, `front: {url: "tcp://127.0.0.1:443"}, via: [{name: p, role: proxy, address: "127.0.0.1:443", control: "%s"}]`, control)
	look := r.lookExchange(a)
	return func() (*facts, *Lane) {
		l := inTime(t, look)
		if l.Look != LookExchange || l.Lane != LaneControl || l.Hop != "p" {
			t.Errorf("%+v", l)
		}
		front := laneOf(LaneFront, "p", RoleProxy, "127.0.0.1:443", failing(StageTLS, TLSTimedOut))
		return newFacts(roundOf(front, l), nil), &l
	}
}

// TestExchange: a large packet is lost when it is not acknowledged, or not echoed by one who echoes. Who does not read, does
// not answer or hangs up has lost nothing.
func TestExchange(t *testing.T) {
	t.Parallel()
	nothing := func() {}
	var wg sync.WaitGroup
	defer wg.Wait()
	echoLine := func(c net.Conn) func(string) { return func(line string) { io.WriteString(c, line) } }
	for name, c := range map[string]struct {
		handle func(net.Conn) // nil: nobody accepts
		lost   bool
		mute   string // nothing when it depends on who is faster
	}{
		"echo":             {func(c net.Conn) { io.Copy(c, c) }, false, "no"},
		"banner":           {say("SSH-2.0-OpenSSH_9.9\r\n"), false, "no"},
		"banner, hangs up": {func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n"); hears(c, func(string) {}, nothing) }, false, "no"},
		"reads only":       {silence, false, "yes"},
		"never reads":      {nil, false, "yes"},
		"hangs up on the large one": {
			func(c net.Conn) { hears(c, func(string) {}, nothing) }, false, ""},
		"resets on the large one": {
			func(c net.Conn) { hears(c, func(string) {}, func() { reset(c) }) }, false, ""},
		"hangs up on the small one": {
			func(c net.Conn) { bufio.NewReader(c).ReadString('\n') }, false, "no"},
		"resets on the small one": {
			func(c net.Conn) { bufio.NewReader(c).ReadString('\n'); reset(c) }, false, "no"},
		"echoes and hangs up on the large one": {
			func(c net.Conn) { hears(c, echoLine(c), nothing) }, false, "no"},
		"echoes and resets on the large one": {
			func(c net.Conn) { hears(c, echoLine(c), func() { reset(c) }) }, false, "no"},
		"echoes and swallows the large one": {
			func(c net.Conn) { hears(c, echoLine(c), func() { silence(c) }) }, true, "no"},
		"hangs up at once": {func(net.Conn) {}, false, "no"},
		"resets at once":   {reset, false, "no"},
	} {
		ln := listenAt(t, "127.0.0.1:0")
		if c.handle != nil {
			serveOn(t, ln, c.handle)
		}
		look := exchangeWith(t, addrOf(ln))
		wg.Go(func() {
			f, l := look()
			if says := sentence(l); strings.Contains(says, "when it is spoken to") != (l.Reaction != "") {
				t.Errorf("%s: %q: %s", name, l.Reaction, says)
			}
			if f.largeLost() != c.lost {
				t.Errorf("%s: lost: %v, %+v", name, f.largeLost(), l.Stages)
			}
			if mute := map[bool]string{true: "yes", false: "no"}[f.hostMute()]; c.mute != "" && mute != c.mute {
				t.Errorf("%s: mute: %v, %+v", name, f.hostMute(), l.Stages)
			}
		})
	}
}
