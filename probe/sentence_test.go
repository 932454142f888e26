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
