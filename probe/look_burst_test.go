package probe

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestBurst: a front that was served after a SYN had been sent again makes one burst of connects.
func TestBurst(t *testing.T) {
	t.Parallel()
	full := neverAccepting(t, "127.0.0.1:0")
	control := tallied(listenAt(t, "127.0.0.1:0"))
	serveOn(t, control, silence)
	target := newTestTarget(t, `front: {url: "tcp://%s"}, via: [{name: p, role: proxy, address: "%s", control: "%s"}]`,
		full.Addr(), full.Addr(), control.Addr())
	timer := time.AfterFunc(300*time.Millisecond, func() {
		onSocket(t, full, func(fd int) error { return unix.Listen(fd, 100) })
		serveOn(t, full, silence)
	})
	defer timer.Stop()
	r := target.Round(t.Context(), time.Now(), ByCheck)
	wantGood(t, &r.Lanes[0])
	if !resent(&r.Lanes[0]) {
		t.Fatalf("no SYN was sent again: %+v", r.Lanes[0])
	}
	i := slices.IndexFunc(r.Lanes, func(l Lane) bool { return l.Look == LookBurst })
	if i < 0 || len(looksOf(&r)) != 1 {
		t.Fatalf("looks: %v", looksOf(&r))
	}
	l := &r.Lanes[i]
	wantGood(t, l)
	if len(l.Stages) != burstSize || l.Lane != LaneFront || l.Address != full.Addr().String() {
		t.Errorf("%+v", l)
	}
	if n := control.taken(t); n != 1 {
		t.Errorf("%d connections to the control port", n)
	}
	port := slices.IndexFunc(r.Paths, func(p Path) bool { return p.Address == l.Address })
	if port < 0 || r.Paths[port].Tries != 1+burstSize || r.Paths[port].Resent != 1 {
		t.Errorf("%+v", r.Paths)
	}
}

// TestBurstDue: not more than one burst in five seconds, and none right after an outage.
func TestBurstDue(t *testing.T) {
	t.Parallel()
	var k looks
	for i, c := range []struct {
		after time.Duration
		due   bool
		fine  bool
	}{
		{0, true, true}, {time.Second, false, true}, {4999 * time.Millisecond, false, true}, {5 * time.Second, true, true},
		{9 * time.Second, false, false}, {20 * time.Second, false, true}, {21 * time.Second, true, true},
	} {
		if due := k.burstDue(noon.Add(c.after)); due != c.due {
			t.Errorf("row %d, after %v: due %v", i, c.after, due)
		}
		k.ended(c.fine)
	}
}
