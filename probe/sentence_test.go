package probe

import (
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

func TestSentenceCountsSYNs(t *testing.T) {
	for retransmitted, want := range map[uint32]string{
		0: "front/connect: no answer in 1s to 1 SYN",
		2: "front/connect: no answer in 1s to 3 SYNs",
	} {
		l := Lane{Lane: LaneFront, Stages: []Stage{{
			Stage: StageConnect, Outcome: Failed, Type: TCPTimedOut, Duration: Seconds(time.Second),
			TCPInfo: &tcpinfo.Info{State: tcpinfo.SynSent, TotalRetrans: retransmitted},
		}}}
		if got := sentence(&l); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestHeldOpenSentences: what the held-open connections say, those beside other lanes only when something is wrong.
func TestHeldOpenSentences(t *testing.T) {
	ok := Stage{Stage: StageRequest, Outcome: OK}
	lost := Stage{Stage: StageRequest, Outcome: Failed, Type: TCPTimedOut, Duration: Seconds(4e9),
		TCPInfo: &tcpinfo.Info{State: tcpinfo.Established, LastAckRecv: 5000, Probes: 4}}
	held := func(of LaneKind, role Role, s Stage, f HeldOpenFacts) *Lane {
		return &Lane{Lane: LaneHeldOpen, Of: of, Hop: "x", Role: role, Stages: []Stage{s}, HeldOpen: &f}
	}
	for want, l := range map[string]*Lane{
		"heldopen: answers on the connection of 2026-11-22 12:00:00.000 UTC":                   held("", RoleProxy, ok, HeldOpenFacts{Since: noon}),
		"heldopen: the peer's kernel answers on the connection of 2026-11-22 12:00:00.000 UTC": held("", RoleFront, ok, HeldOpenFacts{Since: noon, Mute: true}),
		"": held(LaneControl, RoleProxy, ok, HeldOpenFacts{Since: noon, Mute: true}),
		"heldopen to control of x: the peer's kernel has acknowledged nothing for 5s on the old connection": held(LaneControl, RoleProxy, lost,
			HeldOpenFacts{Mute: true, Pending: noon}),
		"heldopen to proxy x: the old connection ended at 2026-11-22 12:00:00.000 UTC: the peer closed the connection": held(LaneVia, RoleProxy,
			Stage{Stage: StageRequest, Outcome: Failed, Type: HTTPClosed, Error: "the peer closed the connection"}, HeldOpenFacts{Died: noon}),
	} {
		if got := sentence(l); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}
