package probe

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// connected is a control lane's round at a time, with a SYN that was sent again or without.
func connected(host string, at time.Time, timeouts uint16) Lane {
	s := passing(StageConnect)
	s.TCPInfo = &tcpinfo.Info{State: tcpinfo.Established, HasTotalRTO: true, TotalRTO: timeouts}
	l := laneOf(LaneControl, "c", RoleProxy, host+":22", s)
	l.Stages[0].Started = at
	return l
}

// TestPathsWindow: what is older than the window, or more than is kept, does not count, and a way without loss is no fact.
func TestPathsWindow(t *testing.T) {
	t.Parallel()
	var p paths
	front := fineLane(LaneFront, "", RoleProxy, "10.0.0.9:443")
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	p.note([]Lane{front, connected("10.0.0.1", at(0), 2)})
	for i := 1; i <= 10; i++ {
		p.note([]Lane{front, connected("10.0.0.1", at(i), uint16(i%5/4))})
	}
	want := []Path{{Address: "10.0.0.1:22", Since: at(0), Tries: 11, Resent: 3}}
	if diff := cmp.Diff(want, p.facts(at(180))); diff != "" {
		t.Error(diff)
	}
	want = []Path{{Address: "10.0.0.1:22", Since: at(1), Tries: 10, Resent: 2, Clean: at(3)}}
	if diff := cmp.Diff(want, p.facts(at(181))); diff != "" {
		t.Error(diff)
	}
	if got := p.facts(at(300)); got != nil || len(p.ways) != 0 {
		t.Errorf("long after: %v, %d ways are remembered", got, len(p.ways))
	}
	for i := range 2 * pathTries {
		p.note([]Lane{front, connected("10.0.0.1", at(400), uint16(i%2))})
	}
	want = []Path{{Address: "10.0.0.1:22", Since: at(400), Tries: pathTries, Resent: pathTries / 2, Clean: at(400)}}
	if diff := cmp.Diff(want, p.facts(at(400))); diff != "" {
		t.Error(diff)
	}
	for i := range recentTries {
		p.note([]Lane{front, connected("10.0.0.2", at(400+i), 0)})
	}
	for i := range recentTries {
		p.note([]Lane{front, connected("10.0.0.2", at(430+i), uint16(i%2))})
	}
	want = []Path{{Address: "10.0.0.2:22", Since: at(430), Tries: recentTries, Resent: recentTries / 2, Clean: at(430)}}
	if diff := cmp.Diff(want, p.facts(at(450))[1:]); diff != "" {
		t.Errorf("what has just begun: %s", diff)
	}
	for i := range 1000 {
		p.note([]Lane{front, connected(fmt.Sprintf("10.1.%d.%d", i/250, i%250), at(400), 1)})
	}
	if got := p.facts(at(400)); len(got) > maxPaths || len(got) < maxPaths/2 {
		t.Errorf("%d paths", len(got))
	}
}

// TestPathsAfterOutage: what was sent again in the round in which the front came back was lost in the outage, and what ended
// in a timeout is no loss either.
func TestPathsAfterOutage(t *testing.T) {
	t.Parallel()
	var p paths
	good, bad := fineLane(LaneFront, "", RoleProxy, "10.0.0.1:443"), laneOf(LaneFront, "", RoleProxy, "10.0.0.1:443", failing(StageTLS, TLSTimedOut))
	asking := fineLane(LaneFront, "", RoleProxy, "10.0.0.1:443")
	asking.Stages = append([]Stage{{Stage: StageResolve, Outcome: Slow, Started: noon, Asked: []Asked{{"10.0.0.53:53", 3, 1}}}}, asking.Stages...)
	resent := connected("10.0.0.1", noon, 1)
	never := laneOf(LaneControl, "c", RoleProxy, "10.0.0.1:22", failing(StageConnect, TCPTimedOut))
	never.Stages[0].TCPInfo = unansweredSYN()

	p.note([]Lane{bad, never})
	if got := p.facts(noon); got != nil {
		t.Errorf("in the outage: %v", got)
	}
	p.note([]Lane{asking, resent})
	if got := p.facts(noon); got != nil {
		t.Errorf("as it ended: %v", got)
	}
	p.note([]Lane{good, never})
	if got := p.facts(noon); got != nil {
		t.Errorf("a control port that is silent: %v", got)
	}
	p.note([]Lane{asking, resent})
	want := []Path{
		{Address: "10.0.0.1", Since: noon, Tries: 3, Resent: 1, Clean: noon},
		{Address: "10.0.0.1:22", Since: noon, Tries: 1, Resent: 1},
		{Address: "10.0.0.53:53", Names: true, Since: noon, Tries: 3, Resent: 1},
	}
	if diff := cmp.Diff(want, p.facts(noon)); diff != "" {
		t.Errorf("afterwards: %s", diff)
	}
}

// TestPathsCountBursts: each connect of a burst is a try, and other looks are none.
func TestPathsCountBursts(t *testing.T) {
	t.Parallel()
	burst := connected("10.0.0.1", noon, 0)
	burst.Look, burst.Extra = LookBurst, true
	again, lost := burst.Stages[0], failing(StageConnect, TCPTimedOut)
	again.TCPInfo = &tcpinfo.Info{State: tcpinfo.Established, HasTotalRTO: true, TotalRTO: 1}
	lost.Started = noon
	burst.Stages = append(burst.Stages, again, lost, burst.Stages[0], burst.Stages[0])
	small := connected("10.0.0.1", noon, 1)
	small.Look, small.Extra = LookSmallSegments, true
	held := oldConnection(passing(StageRequest))
	held.Address, held.Stages[0].TCPInfo = "10.0.0.1:443", again.TCPInfo
	var p paths
	p.note([]Lane{fineLane(LaneFront, "", RoleProxy, "10.0.0.1:443"), burst, small, held})
	want := []Path{
		{Address: "10.0.0.1", Since: noon, Tries: 6, Resent: 2, Clean: noon},
		{Address: "10.0.0.1:22", Since: noon, Tries: 5, Resent: 2, Clean: noon},
	}
	if diff := cmp.Diff(want, p.facts(noon)); diff != "" {
		t.Error(diff)
	}
}

// TestPathsOfOneHost: what two ports of a host saw too little of each for a verdict is enough for both together.
func TestPathsOfOneHost(t *testing.T) {
	t.Parallel()
	var p paths
	for i := range 12 {
		at := noon.Add(time.Duration(i) * time.Second)
		front := fineLane(LaneFront, "", RoleProxy, "10.0.0.1:443")
		front.Stages[0].Started = at
		front.Stages[len(front.Stages)-1].TCPInfo = &tcpinfo.Info{State: tcpinfo.Established, HasTotalRTO: true, TotalRTO: uint16(i % 3 / 2)}
		p.note([]Lane{front, connected("10.0.0.1", at, uint16((i+1)%3/2))})
	}
	r := Result{Started: noon.Add(12 * time.Second), Paths: p.facts(noon.Add(12 * time.Second)), Lanes: []Lane{fineLane(LaneFront, "", RoleProxy, "10.0.0.1:443")}}
	var seen []string
	for _, path := range r.Paths {
		seen = append(seen, fmt.Sprintf("%s %d/%d", path.Address, path.Resent, path.Tries))
	}
	if diff := cmp.Diff([]string{"10.0.0.1 8/24", "10.0.0.1:22 4/12", "10.0.0.1:443 4/12"}, seen); diff != "" {
		t.Fatal(diff)
	}
	if v := Attribute(&r, nil); v.State != Degraded || v.Layer != LayerNetwork {
		t.Errorf("%+v", v)
	}
}
