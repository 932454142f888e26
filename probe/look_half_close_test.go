package probe

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// TestHalfClose: what a process does about a connection whose other side was closed at once.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	resetAfter := func(c net.Conn) { silence(c); reset(c) }
	silent := listenAt(t, "127.0.0.1:0") // its accept loop stands still
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, c := range map[string]struct {
		at   netip.AddrPort
		want Reaction
		lone bool // there is no stage but the connect
	}{
		"living":          {serve(t, silence), ReactionClosed, false},
		"stuck":           {addrOf(silent), ReactionNone, false},
		"resets":          {serve(t, resetAfter), ReactionReset, false},
		"says something":  {serve(t, say("220 hello\r\n")), ReactionData, false},
		"nobody listens":  {closedPort(t), "", true},
		"drops new conns": {addrOf(neverAccepting(t, "127.0.0.1:0")), "", true},
	} {
		r, a := lookRound(t, `front: {url: "https://%s/"}`, c.at)
		wg.Go(func() {
			l := inTime(t, r.lookHalfClose(a.spec, a.addr))
			if l.Reaction != c.want || l.Look != LookHalfClose || !l.Extra || l.Lane != LaneFront || (len(l.Stages) == 1) != c.lone {
				t.Errorf("%s: %q: %+v", name, l.Reaction, l)
			}
			if fine := c.want != ReactionNone && c.want != ""; l.fine() != fine {
				t.Errorf("%s: fine: %v, %+v", name, l.fine(), failedStage(&l))
			}
		})
	}
}

// TestHalfCloseOfResetter: who resets at once is seen to do so, by the connect already or by what follows, and is not taken
// for stuck.
func TestHalfCloseOfResetter(t *testing.T) {
	t.Parallel()
	r, a := lookRound(t, `front: {url: "https://%s/"}`, serve(t, reset))
	for range 20 {
		l := r.lookHalfClose(a.spec, a.addr)()
		if s := failedStage(&l); l.Reaction != ReactionReset && (l.Reaction != "" || s == nil || s.Stage != StageConnect || s.Type != TCPReset) {
			t.Errorf("%q: %+v", l.Reaction, l)
		}
	}
}

// TestStalledReacts: a stalled connection is closed on our side, or ended by an alert, to see whether its process reacts.
func TestStalledReacts(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	defer wg.Wait()
	records := func(c net.Conn) { // takes a ClientHello and what follows it
		head := make([]byte, recordHeader)
		for range 2 {
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint16(head[3:])))
		}
	}
	for name, c := range map[string]struct {
		look Look
		at   netip.AddrPort
		want Reaction
	}{
		"half-closed, living":   {LookSmallSegments, serve(t, silence), ReactionClosed},
		"half-closed, stuck":    {LookSmallSegments, addrOf(listenAt(t, "127.0.0.1:0")), ReactionNone},
		"half-closed, resets":   {LookSmallSegments, serve(t, func(c net.Conn) { silence(c); reset(c) }), ReactionReset},
		"alert, living":         {LookSmallHello, serve(t, records), ReactionClosed},
		"alert, stuck":          {LookSmallHello, addrOf(listenAt(t, "127.0.0.1:0")), ReactionNone},
		"alert, resets":         {LookSmallHello, serve(t, func(c net.Conn) { records(c); reset(c) }), ReactionReset},
		"alert, takes no heed":  {LookSmallHello, serve(t, silence), ReactionNone},
		"alert, ends on itself": {LookSmallHello, serve(t, func(c net.Conn) { c.Read(make([]byte, 1)) }), ""},
	} {
		r, a := lookRound(t, `front: {url: "https://%s/"}`, c.at)
		wg.Go(func() {
			l := inTime(t, r.lookSmall(a, c.look))
			if stalled := c.want != ""; l.Reaction != c.want || l.failedWith(TLSTimedOut) != stalled {
				t.Errorf("%s: %q: %+v", name, l.Reaction, l)
			}
		})
	}
}
