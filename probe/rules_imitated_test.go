package probe

import (
	"slices"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// These are worlds in which something imitates the signature of another layer and that cannot be had on loopback: a
// packet filter that answers for hosts (RFC 4987, 3.6), kernels that drop what they have received.

// with gives a stage what the kernel counted.
func with(s Stage, i tcpinfo.Info) Stage {
	if i.State == 0 {
		i.State = tcpinfo.Established
	}
	i.HasTotalRTO = true
	s.TCPInfo = &i
	return s
}

// Kernel counters of a ClientHello of 1500 bytes.
func taken() tcpinfo.Info {
	return tcpinfo.Info{BytesSent: 1500, BytesAcked: 1500, LastAckRecv: 2900}
}
func dropped() tcpinfo.Info {
	return tcpinfo.Info{BytesSent: 4500, Unacked: 2, TotalRTO: 3, TotalRetrans: 4}
}
func noWindow() tcpinfo.Info { return tcpinfo.Info{NotSent: 1500, NoWindow: true} }

// stalledFront connects and waits for a ServerHello.
func stalledFront(i tcpinfo.Info) Lane {
	s := with(failing(StageTLS, TLSTimedOut), i)
	s.Duration = Seconds(3 * time.Second)
	return laneOf(LaneFront, "stunnel", RoleProxy, "10.0.0.1:443", s)
}

// looked is a look that ends with a stage.
func looked(k Look, kind LaneKind, address string, last Stage) Lane {
	l := laneOf(kind, "stunnel", RoleProxy, address, last)
	l.Look, l.Extra = k, true
	return l
}

func halfClosed(r Reaction) Lane {
	s := passing(StageRequest)
	if r == ReactionNone {
		s = failing(StageRequest, HTTPTimedOut)
	}
	l := looked(LookHalfClose, LaneFront, "10.0.0.1:443", s)
	l.Reaction = r
	return l
}

// spoken is an exchange with the control port, which takes a few bytes and then a full packet, or not.
func spoken(small, large Stage) Lane {
	l := looked(LookExchange, LaneControl, "10.0.0.1:22", passing(StageConnect))
	l.Stages = append(l.Stages, small)
	if small.Good() {
		l.Stages = append(l.Stages, large)
	}
	return l
}

// heldWaiting is an old connection whose request has waited for a while.
func heldWaiting(i tcpinfo.Info) Lane {
	s := with(failing(StageRequest, HTTPTimedOut), i)
	s.Duration = Seconds(5 * time.Second)
	l := oldConnection(s)
	l.HeldOpen.Died, l.HeldOpen.Pending = time.Time{}, noon.Add(-5*time.Second)
	return l
}

func tainted(l Lane) Lane { l.HeldOpen.Tainted = true; return l }

func mute() Stage { return with(passing(StageRequest), tcpinfo.Info{BytesSent: 20, BytesAcked: 20}) }
func talks() Stage {
	return with(passing(StageRequest), tcpinfo.Info{BytesSent: 20, BytesAcked: 20, BytesReceived: 15})
}

// TestFilterAnswersForTheHost: the host is dead or cut off, and a box before it takes every connection. It takes the data
// too and says nothing, or opens no window for it.
func TestFilterAnswersForTheHost(t *testing.T) {
	t.Parallel()
	control := fineLane(LaneControl, "stunnel", RoleProxy, "10.0.0.1:22")
	unheard := failing(StageRequest, AppTimedOut)
	for name, round := range map[string][]Lane{
		"no window": {stalledFront(noWindow()), control, halfClosed(ReactionNone),
			spoken(with(unheard, noWindow()), Stage{}), heldWaiting(dropped())},
		"no window, nothing else is looked at": {stalledFront(noWindow())},
		"no data gets through": {stalledFront(dropped()), control, halfClosed(ReactionNone),
			spoken(with(unheard, dropped()), Stage{}), heldWaiting(dropped())},
		"takes all": {stalledFront(taken()), control, halfClosed(ReactionNone),
			spoken(mute(), passing(StageResponse)), heldWaiting(dropped())},
		"takes all, later": {stalledFront(taken()), control, halfClosed(ReactionNone),
			spoken(mute(), passing(StageResponse)), tainted(heldWaiting(dropped()))},
		"takes all, no control port":                    {stalledFront(taken()), halfClosed(ReactionNone), tainted(heldWaiting(dropped()))},
		"takes all, neither control nor old connection": {stalledFront(taken()), halfClosed(ReactionNone)},
		"takes all, for the balancer and the proxy": {
			laneOf(LaneFront, "f5", RoleBalancer, "10.0.0.10:443", with(failing(StageTLS, TLSTimedOut), taken())),
			laneOf(LaneVia, "stunnel", RoleProxy, "10.0.0.1:443", with(failing(StageTLS, TLSTimedOut), taken())),
			halfClosed(ReactionNone), viaHalfClosed(), tainted(heldWaiting(dropped()))},
	} {
		v := Attribute(roundOf(round...), nil)
		if v.Confidence == Confirmed || !slices.ContainsFunc(v.Suspects, func(s Suspect) bool {
			return s.Layer == LayerHost || s.Layer == LayerNetwork
		}) {
			t.Errorf("%s: %s %v by %s", name, v.Confidence, v.Suspects, v.Rule)
		}
	}
}

func viaHalfClosed() Lane {
	l := halfClosed(ReactionNone)
	l.Lane = LaneVia
	return l
}

// TestFrozenIsSure: what a filter that answers for the host would not show tells a frozen process from it.
func TestFrozenIsSure(t *testing.T) {
	t.Parallel()
	round := []Lane{stalledFront(taken()), fineLane(LaneControl, "stunnel", RoleProxy, "10.0.0.1:22"), halfClosed(ReactionNone),
		spoken(talks(), passing(StageResponse)), heldWaiting(taken())}
	if v := Attribute(roundOf(round...), nil); v.Confidence != Confirmed || v.Layer != LayerProxy || v.Cause != CauseFrozen {
		t.Errorf("%s %v by %s", v.Confidence, v.Suspects, v.Rule)
	}
	v := Attribute(roundOf(round[:len(round)-1]...), nil)
	if v.Confidence != Likely || len(v.Suspects) != 1 || v.Layer != LayerProxy {
		t.Errorf("without an old connection: %s %v by %s", v.Confidence, v.Suspects, v.Rule)
	}
}

// TestQueueOverflowsNowAndThen: a proxy that is too slow to accept overflows its queue. A connection whose handshake was
// cut there looks as if its data were dropped; the next one finds room and is served.
func TestQueueOverflowsNowAndThen(t *testing.T) {
	t.Parallel()
	wantOpen(t, Attribute(roundOf(stalledFront(dropped()), halfClosed(ReactionClosed),
		spoken(talks(), passing(StageResponse))), nil), LayerProxy)
}

// TestLargeTakenElsewhere: full packets reach the host on another port, so that what drops ours may be the host itself.
func TestLargeTakenElsewhere(t *testing.T) {
	t.Parallel()
	small := looked(LookSmallSegments, LaneFront, "10.0.0.1:443", passing(StageResponse))
	lost := failing(StageResponse, AppTimedOut)
	v := Attribute(roundOf(stalledFront(dropped()), small, spoken(talks(), passing(StageResponse))), nil)
	wantOpen(t, v, LayerProxy)
	if v.Layer != LayerNetwork || v.Cause != CausePMTU {
		t.Errorf("%+v", v)
	}
	v = Attribute(roundOf(stalledFront(dropped()), small, spoken(talks(), lost)), nil)
	if v.Confidence != Confirmed || v.Cause != CausePMTU {
		t.Errorf("lost on another port too: %s %v", v.Confidence, v.Suspects)
	}
	// A control port that repeats a few bytes and no long line, beside a proxy that is silent and takes its leave.
	wantOpen(t, Attribute(roundOf(stalledFront(taken()), halfClosed(ReactionClosed), spoken(talks(), lost)), nil), LayerProxy)
}

// TestControlPortIsFurther: port 22 leads to a machine behind the host, so that its packets come from one hop further. The
// reset of a process that was killed then seems to come from nearer than the host.
func TestControlPortIsFurther(t *testing.T) {
	t.Parallel()
	front := laneOf(LaneFront, "stunnel", RoleProxy, "10.0.0.1:443", failing(StageConnect, TCPRefused))
	nearer := looked(LookFarReset, LaneFront, "10.0.0.1:443", failing(StageConnect, TCPRefused))
	wantOpen(t, Attribute(roundOf(front, nearer, oldConnection(failing(StageRequest, HTTPReset))), nil), LayerProxy)
	v := Attribute(roundOf(front, nearer, oldConnection(passing(StageRequest))), nil)
	if v.Confidence != Confirmed || v.Layer != LayerNetwork {
		t.Errorf("the old connection serves: %s %v", v.Confidence, v.Suspects)
	}
}

// TestPeerTakesNoData: the old connection's data waits in our kernel because the peer reads nothing, not because this host
// holds it back.
func TestPeerTakesNoData(t *testing.T) {
	t.Parallel()
	front := laneOf(LaneFront, "stunnel", RoleProxy, "10.0.0.1:443", failing(StageConnect, TCPTimedOut))
	control := fineLane(LaneControl, "stunnel", RoleProxy, "10.0.0.1:22")
	closed := tcpinfo.Info{BytesSent: 900, BytesAcked: 900, NotSent: 200, NoWindow: true}
	v := Attribute(roundOf(front, control, heldWaiting(closed)), nil)
	wantOpen(t, v, LayerProxy)
	if v.Layer == LayerProber {
		t.Errorf("%+v", v)
	}
	closed.NoWindow = false
	if v := Attribute(roundOf(front, control, heldWaiting(closed)), nil); v.Layer != LayerProber || v.Cause != CauseLocalFirewall {
		t.Errorf("this host holds it back: %+v", v)
	}
}

// TestWayBackPassesOnlyAcknowledgements: neither data nor a FIN comes back, as if the process were frozen; but at an alert
// the connection is closed, and the next packet to it answered by a reset.
func TestWayBackPassesOnlyAcknowledgements(t *testing.T) {
	t.Parallel()
	small := looked(LookSmallHello, LaneFront, "10.0.0.1:443", failing(StageTLS, TLSTimedOut))
	round := []Lane{stalledFront(taken()), halfClosed(ReactionNone), small, spoken(talks(), passing(StageResponse)), heldWaiting(taken())}
	for reaction, want := range map[Reaction]Layer{ReactionNone: LayerProxy, ReactionReset: LayerNetwork} {
		round[2].Reaction = reaction
		v := Attribute(roundOf(round...), nil)
		if v.Layer != want || (v.Confidence == Confirmed) != (want == LayerProxy) {
			t.Errorf("%s at our alert: %s %v by %s", reaction, v.Confidence, v.Suspects, v.Rule)
		}
	}
}

// TestLossBesideSilence: a SYN to another port of the host had to be sent again, so that answers may be lost too.
func TestLossBesideSilence(t *testing.T) {
	t.Parallel()
	control := laneOf(LaneControl, "stunnel", RoleProxy, "10.0.0.1:22", with(passing(StageConnect), tcpinfo.Info{TotalRTO: 1}))
	wantOpen(t, Attribute(roundOf(stalledFront(taken()), control, halfClosed(ReactionNone), heldWaiting(taken())), nil), LayerNetwork)
	wantOpen(t, Attribute(roundOf(stalledFront(taken()), control, oldConnection(passing(StageRequest))), nil), LayerNetwork)
	before := roundOf(stalledFront(taken()), control, halfClosed(ReactionNone))
	calm := roundOf(stalledFront(taken()), fineLane(LaneControl, "stunnel", RoleProxy, "10.0.0.1:22"), heldWaiting(taken()))
	wantOpen(t, Attribute(calm, []*Result{before}), LayerNetwork)
}

// TestBalancerWaitsForADeadProxy: it takes connections, and has not yet seen that nobody takes them from it.
func TestBalancerWaitsForADeadProxy(t *testing.T) {
	t.Parallel()
	front := laneOf(LaneFront, "f5", RoleBalancer, "10.0.0.10:443", with(failing(StageTLS, TLSTimedOut), taken()))
	closed := looked(LookHalfClose, LaneFront, "10.0.0.10:443", passing(StageRequest))
	closed.Hop, closed.Role, closed.Reaction = "f5", RoleBalancer, ReactionClosed
	via := laneOf(LaneVia, "stunnel", RoleProxy, "10.0.1.11:443", failing(StageConnect, TCPRefused))
	v := Attribute(roundOf(front, via, closed), nil)
	wantOpen(t, v, LayerProxy)
	if v.Layer != LayerProxy {
		t.Errorf("%+v", v)
	}
}

// TestControlPortHangsUp: it takes a few bytes and has closed its side when the full packet comes.
func TestControlPortHangsUp(t *testing.T) {
	t.Parallel()
	lost := with(failing(StageResponse, AppTimedOut),
		tcpinfo.Info{State: tcpinfo.CloseWait, BytesSent: 4220, BytesAcked: 20, Unacked: 1, TotalRTO: 1})
	v := Attribute(roundOf(stalledFront(dropped()), spoken(talks(), lost), halfClosed(ReactionNone), heldWaiting(taken())), nil)
	wantOpen(t, v, LayerProxy)
}

// TestDeafConnectionHeard: the connection that should hear nothing of the host got its acknowledgement, so that the reset
// that came after it may be the host's too.
func TestDeafConnectionHeard(t *testing.T) {
	t.Parallel()
	front := laneOf(LaneFront, "stunnel", RoleProxy, "10.0.0.1:443", failing(StageTLS, TLSReset))
	for acked, sure := range map[uint64]bool{0: true, 1500: false} {
		deaf := looked(LookFarReset, LaneFront, "10.0.0.1:443", with(failing(StageTLS, TLSReset),
			tcpinfo.Info{State: tcpinfo.Close, BytesSent: 1500, BytesAcked: acked}))
		v := Attribute(roundOf(front, deaf, oldConnection(passing(StageRequest))), nil)
		if (v.Confidence == Confirmed) != sure {
			t.Errorf("%d bytes acknowledged: %s %v by %s", acked, v.Confidence, v.Suspects, v.Rule)
		}
	}
}
