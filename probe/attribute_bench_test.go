package probe

import (
	"strconv"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// silentPeer is what the kernel knows of a connection whose peer took our words and is silent.
func silentPeer() *tcpinfo.Info {
	return &tcpinfo.Info{State: tcpinfo.Established, BytesSent: 517, BytesAcked: 517, SegsOut: 4, HasTotalRTO: true, LastAckRecv: 2900}
}

// unansweredSYN is what it knows of a connect that nobody answers.
func unansweredSYN() *tcpinfo.Info {
	return &tcpinfo.Info{State: tcpinfo.SynSent, Unacked: 1, SegsOut: 4, TotalRetrans: 3, Retransmits: 3, HasTotalRTO: true, TotalRTO: 3}
}

// failingAs is a failed stage with what the kernel knew.
func failingAs(n StageName, t Type, took time.Duration, info *tcpinfo.Info) Stage {
	s := failing(n, t)
	s.Duration, s.TCPInfo = Seconds(took), info
	return s
}

// failingRound is a round of a service whose two proxies fail, of which the front is one: what stands beside them serves,
// and all is known to have served before. Every lane has its old connection.
func failingRound(front, old Stage) *Result {
	r := roundOf(
		laneOf(LaneFront, "stunnel", RoleProxy, "10.0.1.11:443", front),
		laneOf(LaneVia, "stunnel-2", RoleProxy, "10.0.1.12:443", front),
		fineLane(LaneBackend, "app", RoleBackend, "10.0.2.21:8080"),
		fineLane(LaneControl, "stunnel", RoleProxy, "10.0.1.11:22"),
		fineLane(LaneControl, "app", RoleBackend, "10.0.2.21:22"),
	)
	for i := range r.Lanes {
		r.Lanes[i].Served = noon.Add(-time.Minute)
	}
	for _, to := range []struct {
		of   LaneKind
		hop  string
		role Role
		last Stage
	}{
		{"", "stunnel", RoleProxy, old}, {LaneVia, "stunnel-2", RoleProxy, old},
		{LaneBackend, "app", RoleBackend, passing(StageRequest)},
		{LaneControl, "stunnel", RoleProxy, passing(StageRequest)}, {LaneControl, "app", RoleBackend, passing(StageRequest)},
	} {
		l := oldConnection(to.last)
		l.Of, l.Hop, l.Role = to.of, to.hop, to.role
		l.HeldOpen.Died, l.HeldOpen.Mute = time.Time{}, to.of == LaneControl
		r.Lanes = append(r.Lanes, l)
	}
	return r
}

// withLooks adds looks, as one of the first rounds of a failure has them.
func withLooks(r *Result, looks ...Lane) *Result {
	for _, l := range looks {
		l.Extra = true
		r.Lanes = append(r.Lanes, l)
	}
	return r
}

// frozenRound is a round of a frozen proxy, with looks or without.
func frozenRound(looks bool) *Result {
	const at = "10.0.1.11:443"
	stall := failingAs(StageTLS, TLSTimedOut, 3*time.Second, silentPeer())
	r := failingRound(stall, failingAs(StageRequest, HTTPTimedOut, 4*time.Second, silentPeer()))
	if !looks {
		return r
	}
	half := laneOf(LaneFront, "stunnel", RoleProxy, at, failingAs(StageRequest, AppTimedOut, time.Second, silentPeer()))
	half.Look, half.Reaction = LookHalfClose, ReactionNone
	via := half
	via.Lane, via.Hop, via.Address = LaneVia, "stunnel-2", "10.0.1.12:443"
	small := laneOf(LaneFront, "stunnel", RoleProxy, at, stall)
	small.Look = LookSmallSegments
	hello := small
	hello.Look = LookSmallHello
	said := laneOf(LaneControl, "stunnel", RoleProxy, "10.0.1.11:22", passing(StageResponse))
	said.Look = LookExchange
	return withLooks(r, half, small, hello, via, said)
}

// lostRound is a round in which nothing at all comes from the front's host.
func lostRound(looks bool) *Result {
	connect := failingAs(StageConnect, TCPTimedOut, 4*time.Second, unansweredSYN())
	r := failingRound(connect, failingAs(StageRequest, HTTPTimedOut, 4*time.Second, &tcpinfo.Info{State: tcpinfo.Established}))
	r.Lanes[3] = laneOf(LaneControl, "stunnel", RoleProxy, "10.0.1.11:22", connect)
	if !looks {
		return r
	}
	hop := laneOf(LaneFront, "stunnel", RoleProxy, "10.0.1.11:443", connect)
	hop.Look = LookFirstHop
	hop.Stages[0].ICMP = &ICMP{Type: 11, From: "10.0.9.1"}
	beside := hop
	beside.Look = LookFirstHopBeside
	return withLooks(r, hop, beside)
}

// pastOf is an incident of so many rounds, of which the first two and then every 15th made looks.
func pastOf(n int, round func(looks bool) *Result) []*Result {
	past := make([]*Result, n)
	for i := range past {
		past[i] = round(i < lookRounds || i%15 == 0)
		past[i].Started = noon.Add(time.Duration(i) * 2 * time.Second)
		past[i].Ended = past[i].Started.Add(time.Second)
	}
	return past
}

// neverServed is a round of proxies and a backend that never served and refuse everybody: who served before is asked of
// every earlier round.
func neverServed(bool) *Result {
	refused := failingAs(StageConnect, TCPRefused, time.Millisecond, &tcpinfo.Info{State: tcpinfo.Close})
	r := failingRound(refused, failingAs(StageRequest, HTTPClosed, time.Second, nil))
	r.Lanes[2] = laneOf(LaneBackend, "app", RoleBackend, "10.0.2.21:8080", refused)
	for i := range r.Lanes {
		r.Lanes[i].Served = time.Time{}
	}
	return r
}

// BenchmarkAttributeIncident judges a round behind 500 others of the same incident, four times as many as a tracker keeps.
func BenchmarkAttributeIncident(b *testing.B) {
	for name, c := range map[string]struct {
		round func(bool) *Result
		rule  string
	}{
		"frozen-proxy":     {frozenRound, "tls-silent-acked"},
		"connect-timeouts": {lostRound, "connect-silent-host"},
		"never-served":     {neverServed, "connect-refused"},
	} {
		for _, looks := range []bool{false, true} {
			b.Run(name+"/looks="+strconv.FormatBool(looks), func(b *testing.B) {
				now, past := c.round(looks), pastOf(500, c.round)
				if v := Attribute(now, past); v.Rule != c.rule {
					b.Fatalf("%+v", v)
				}
				b.ReportAllocs()
				for b.Loop() {
					Attribute(now, past)
				}
			})
		}
	}
}

// TestAttributeAllocations: a verdict on a healthy round costs little memory, and none more after many rounds. Not
// parallel, because it counts what the process allocates.
func TestAttributeAllocations(t *testing.T) {
	healthy := func(bool) *Result {
		ok := passing(StageRequest)
		r := failingRound(passing(StageResponse), ok)
		for i := range 2 {
			r.Lanes[i].HTTP = &HTTPFacts{Status: 200}
		}
		return r
	}
	now, past := healthy(false), pastOf(100, healthy)
	if v := Attribute(now, past); v.Rule != "up" || len(v.Evidence) != 6 {
		t.Fatalf("%+v", v)
	}
	if n := testing.AllocsPerRun(10, func() { Attribute(now, past) }); n > 20 {
		t.Errorf("%v allocations", n)
	}
	for name, round := range map[string]func(bool) *Result{"frozen": frozenRound, "lost": lostRound, "never served": neverServed} {
		now, few, many := round(false), pastOf(20, round), pastOf(200, round)
		less, more := testing.AllocsPerRun(10, func() { Attribute(now, few) }), testing.AllocsPerRun(10, func() { Attribute(now, many) })
		if more > less+50 { // fmt's pool forgets now and then
			t.Errorf("%s: %v allocations after 20 rounds, %v after 200", name, less, more)
		}
	}
}
