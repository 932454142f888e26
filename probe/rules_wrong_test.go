package probe

import (
	"slices"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// These are worlds in which an obvious verdict would be wrong. What is right must be among the suspects, and what is
// wrong never confirmed.

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// laneOf is a lane whose stages took a millisecond each; the last one is as given.
func laneOf(kind LaneKind, hop string, role Role, address string, last Stage) Lane {
	l := Lane{Lane: kind, Hop: hop, Role: role, Address: address}
	for _, n := range StageNames[1:] {
		s := Stage{Stage: n, Outcome: OK, Started: noon, Duration: Seconds(time.Millisecond)}
		if n == last.Stage {
			last.Started, last.Duration = noon, max(last.Duration, Seconds(time.Millisecond))
			s = last
		}
		l.Stages = append(l.Stages, s)
		if n == last.Stage {
			break
		}
	}
	return l
}

func failing(n StageName, t Type) Stage {
	return Stage{Stage: n, Outcome: Failed, Type: t, Code: t.Code(), Error: string(t)}
}
func passing(n StageName) Stage { return Stage{Stage: n, Outcome: OK} }

// fineLane serves; a control lane only connects.
func fineLane(kind LaneKind, hop string, role Role, address string) Lane {
	if kind == LaneControl {
		return laneOf(kind, hop, role, address, passing(StageConnect))
	}
	l := laneOf(kind, hop, role, address, passing(StageResponse))
	l.HTTP = &HTTPFacts{Status: 200, Date: noon}
	return l
}

// oldConnection is the held-open lane after its connection ended, or while it lives.
func oldConnection(s Stage) Lane {
	s.Stage, s.Started = StageRequest, noon
	l := Lane{Lane: LaneHeldOpen, Stages: []Stage{s}, HeldOpen: &HeldOpenFacts{Since: noon.Add(-time.Hour), LastGoodAnswered: noon}}
	if s.Outcome == Failed {
		l.HeldOpen.Died = noon
	}
	return l
}

func roundOf(lanes ...Lane) *Result {
	return &Result{Target: "x", Started: noon, Ended: noon.Add(time.Second), Lanes: lanes}
}

// wantOpen holds a verdict against the truth, which the round alone cannot prove.
func wantOpen(t *testing.T, v Verdict, truth Layer) {
	t.Helper()
	if v.Confidence == Confirmed {
		t.Errorf("confirmed: %+v", v)
	}
	if !slices.ContainsFunc(v.Suspects, func(s Suspect) bool { return s.Layer == truth }) {
		t.Errorf("%s is not among the suspects: %+v", truth, v.Suspects)
	}
}

// TestHostRejects: firewalld answers with ICMP host-prohibited by default, from the host itself.
func TestHostRejects(t *testing.T) {
	t.Parallel()
	v := Attribute(roundOf(laneOf(LaneFront, "", RoleFront, "10.0.0.1:443", failing(StageConnect, TCPUnreachable)),
		fineLane(LaneControl, "p", RoleProxy, "10.0.0.1:22")), nil)
	wantOpen(t, v, LayerHost)
	wantOpen(t, v, LayerNetwork)
}

// TestBalancerRefusesForTheProxy: a balancer resets new connections while nobody behind it lives, and passes on the end
// of the old one.
func TestBalancerRefusesForTheProxy(t *testing.T) {
	t.Parallel()
	v := Attribute(roundOf(laneOf(LaneFront, "f5", RoleBalancer, "10.0.0.10:443", failing(StageConnect, TCPRefused)),
		laneOf(LaneVia, "stunnel", RoleProxy, "10.0.1.11:443", failing(StageConnect, TCPRefused)),
		oldConnection(failing(StageRequest, HTTPClosed))), nil)
	wantOpen(t, v, LayerProxy)
	if v.Layer != LayerProxy || v.Cause != CauseProcessDead {
		t.Errorf("%+v", v)
	}
}

// TestBalancerRefusesForTheBackend: its monitor asks the service itself.
func TestBalancerRefusesForTheBackend(t *testing.T) {
	t.Parallel()
	v := Attribute(roundOf(laneOf(LaneFront, "f5", RoleBalancer, "10.0.0.10:443", failing(StageConnect, TCPRefused)),
		laneOf(LaneVia, "stunnel", RoleProxy, "10.0.1.11:443", failing(StageRequest, HTTPReset)),
		laneOf(LaneBackend, "app", RoleBackend, "10.0.2.21:80", failing(StageConnect, TCPRefused)),
		oldConnection(failing(StageRequest, HTTPClosed))), nil)
	wantOpen(t, v, LayerBackend)
}

// TestBalancerAloneRefuses: what stands behind it serves.
func TestBalancerAloneRefuses(t *testing.T) {
	t.Parallel()
	v := Attribute(roundOf(laneOf(LaneFront, "f5", RoleBalancer, "10.0.0.10:443", failing(StageConnect, TCPRefused)),
		fineLane(LaneVia, "stunnel", RoleProxy, "10.0.1.11:443"),
		oldConnection(failing(StageRequest, HTTPClosed))), nil)
	wantOpen(t, v, LayerBalancer)
	if v.Layer != LayerBalancer {
		t.Errorf("%+v", v)
	}
}

// TestRefusedWhileServing: the old connection served on at first, so the process lived; that it was closed later proves
// nothing.
func TestRefusedWhileServing(t *testing.T) {
	t.Parallel()
	front := laneOf(LaneFront, "", RoleFront, "10.0.0.1:443", failing(StageConnect, TCPRefused))
	before := roundOf(front, oldConnection(passing(StageRequest)))
	v := Attribute(roundOf(front, oldConnection(failing(StageRequest, HTTPClosed))), []*Result{before})
	wantOpen(t, v, LayerNetwork)
	if v := Attribute(roundOf(front, oldConnection(failing(StageRequest, HTTPClosed))), nil); v.Confidence != Confirmed {
		t.Errorf("a process that ended: %+v", v)
	}
}

// TestBackendClosedToUs: the direct way to the backend never worked, so its failure says nothing of today's outage.
func TestBackendClosedToUs(t *testing.T) {
	t.Parallel()
	for name, direct := range map[string]Lane{
		"refuses us":         laneOf(LaneBackend, "app", RoleBackend, "10.0.2.21:80", failing(StageConnect, TCPRefused)),
		"wants other heads":  laneOf(LaneBackend, "app", RoleBackend, "10.0.2.21:80", failing(StageResponse, HTTPStatus)),
		"never answers us":   laneOf(LaneBackend, "app", RoleBackend, "10.0.2.21:80", failing(StageRequest, HTTPTimedOut)),
		"resets our request": laneOf(LaneBackend, "app", RoleBackend, "10.0.2.21:80", failing(StageRequest, HTTPReset)),
	} {
		for _, end := range []Stage{failing(StageResponse, HTTPStatus), failing(StageRequest, HTTPReset), failing(StageRequest, HTTPTimedOut)} {
			front := laneOf(LaneFront, "", RoleProxy, "10.0.1.11:443", end)
			v := Attribute(roundOf(front, direct), nil)
			if v.Confidence == Confirmed {
				t.Errorf("%s, front %s, and nothing is known from before: %+v", name, end.Type, v)
			}
			front.Served = noon.Add(-time.Minute)
			if v := Attribute(roundOf(front, direct), nil); v.Layer == LayerBackend && v.Confidence != Ambiguous && end.Type != HTTPStatus {
				t.Errorf("%s, front %s, and it never did otherwise: %+v", name, end.Type, v)
			}
		}
	}
}

// TestBackendStopped: the direct way worked a moment ago.
func TestBackendStopped(t *testing.T) {
	t.Parallel()
	front := laneOf(LaneFront, "", RoleProxy, "10.0.1.11:443", failing(StageRequest, HTTPReset))
	direct := laneOf(LaneBackend, "app", RoleBackend, "10.0.2.21:80", failing(StageConnect, TCPRefused))
	direct.Served = noon.Add(-time.Second)
	if v := Attribute(roundOf(front, direct), nil); v.Layer != LayerBackend || v.Confidence != Confirmed {
		t.Errorf("%+v", v)
	}
	front.Stages[len(front.Stages)-1] = failing(StageResponse, HTTPStatus)
	front.HTTP = &HTTPFacts{Status: 404}
	if v := Attribute(roundOf(front, direct), nil); v.Confidence == Confirmed {
		t.Errorf("a status that no proxy gives for a backend that it does not reach: %+v", v)
	}
}

// TestOtherStatusIsAnotherFault: the backend's status is not the one that users get.
func TestOtherStatusIsAnotherFault(t *testing.T) {
	t.Parallel()
	front := laneOf(LaneFront, "", RoleProxy, "10.0.1.11:443", failing(StageResponse, HTTPStatus))
	direct := laneOf(LaneBackend, "app", RoleBackend, "10.0.2.21:80", failing(StageResponse, HTTPStatus))
	front.HTTP, direct.HTTP = &HTTPFacts{Status: 502}, &HTTPFacts{Status: 401}
	direct.Served = noon.Add(-time.Second)
	if v := Attribute(roundOf(front, direct), nil); v.Confidence == Confirmed {
		t.Errorf("%+v", v)
	}
	direct.HTTP.Status = 502
	if v := Attribute(roundOf(front, direct), nil); v.Confidence != Confirmed || v.Layer != LayerBackend {
		t.Errorf("the same status: %+v", v)
	}
}

func withCert(l Lane, subject string, notAfter time.Time) Lane {
	l.TLS = &TLSFacts{Subject: subject, NotBefore: noon.AddDate(-1, 0, 0), NotAfter: notAfter, MinDays: 14}
	return l
}

// TestWhoseCertificate: the one that users get is that of the balancer, or of the proxy when the balancer only passes on.
func TestWhoseCertificate(t *testing.T) {
	t.Parallel()
	past, soon, long := noon.Add(-time.Hour), noon.AddDate(0, 0, 3), noon.AddDate(1, 0, 0)
	bad := laneOf(LaneFront, "f5", RoleBalancer, "10.0.0.10:443", failing(StageTLS, TLSCertName))
	inner := laneOf(LaneVia, "stunnel", RoleProxy, "10.0.1.11:443", failing(StageTLS, TLSCertName))
	if v := Attribute(roundOf(withCert(bad, "CN=other", long), withCert(inner, "CN=inside", long)), nil); v.Layer != LayerBalancer || v.Confidence == Confirmed {
		t.Errorf("the balancer's own certificate: %+v", v)
	}
	if v := Attribute(roundOf(withCert(bad, "CN=other", long), withCert(inner, "CN=other", long)), nil); v.Layer != LayerProxy {
		t.Errorf("the proxy's certificate, passed on: %+v", v)
	}
	bad.Stages[1] = failing(StageTLS, TLSCertDate)
	app := fineLane(LaneBackend, "app", RoleBackend, "10.0.2.21:80")
	if v := Attribute(roundOf(withCert(bad, "CN=other", past), withCert(inner, "CN=inside", long), app), nil); v.Layer != LayerBalancer {
		t.Errorf("the balancer's own certificate has expired: %+v", v)
	}
	front, via := fineLane(LaneFront, "f5", RoleBalancer, "10.0.0.10:443"), fineLane(LaneVia, "stunnel", RoleProxy, "10.0.1.11:443")
	if v := Attribute(roundOf(withCert(front, "CN=x", soon), withCert(via, "CN=x", soon)), nil); v.Layer != LayerProxy || v.Cause != CauseCertExpires {
		t.Errorf("the proxy's certificate ends, passed on: %+v", v)
	}
	if v := Attribute(roundOf(withCert(front, "CN=x", soon), withCert(via, "CN=inside", long)), nil); v.Layer != LayerBalancer {
		t.Errorf("the balancer's own certificate ends: %+v", v)
	}
	front.HTTP.Date = noon.AddDate(0, 0, -20)
	if v := Attribute(roundOf(withCert(front, "CN=x", soon)), nil); v.Confidence == Confirmed {
		t.Errorf("the certificate ends by a clock that the server does not share: %+v", v)
	}
}

// TestPausedIsNotSlow: the time in which this process did not run is not the service's.
func TestPausedIsNotSlow(t *testing.T) {
	t.Parallel()
	slow := passing(StageRequest)
	slow.Outcome, slow.Duration = Slow, Seconds(4*time.Second)
	r := roundOf(laneOf(LaneFront, "", RoleFront, "10.0.0.1:443", slow))
	r.Self.Gaps = []Gap{{From: noon, To: noon.Add(4 * time.Second), Reason: "the process did not run"}}
	if v := Attribute(r, nil); v.Layer != LayerProber || v.State != Unknown {
		t.Errorf("slow: %+v", v)
	}
	waits := failing(StageRequest, HTTPTimedOut)
	waits.Duration = Seconds(10 * time.Second)
	old := oldConnection(waits)
	old.HeldOpen.Died = time.Time{}
	r.Lanes = []Lane{fineLane(LaneFront, "", RoleFront, "10.0.0.1:443"), old}
	if v := Attribute(r, nil); v.Layer != LayerProber || v.State != Unknown {
		t.Errorf("the old connection: %+v", v)
	}
	r.Lanes = r.Lanes[:1]
	if v := Attribute(r, nil); v.State != Up {
		t.Errorf("all is well: %+v", v)
	}
}

// TestResetRightAfterAccept: a proxy at its limit takes connections and resets them, at times before our connect has
// asked how it went. That is the proxy's word, or a filter's, but no refusal.
func TestResetRightAfterAccept(t *testing.T) {
	v := Attribute(roundOf(
		laneOf(LaneFront, "stunnel", RoleProxy, "10.0.0.1:443", failing(StageConnect, TCPReset)),
		fineLane(LaneBackend, "app", RoleBackend, "10.0.0.2:80"),
		oldConnection(passing(StageRequest)),
	), nil)
	if v.Layer != LayerProxy || v.Cause != CauseRefusesClients || v.Confidence == Confirmed {
		t.Errorf("got %s/%s %s by %s", v.Layer, v.Cause, v.Confidence, v.Rule)
	}
}

// TestLossNeedsMany: one connection that had to retransmit happens on any path, and what an outage swallowed and was sent
// again at its end is no loss.
func TestLossNeedsMany(t *testing.T) {
	resent := passing(StageConnect)
	resent.TCPInfo = &tcpinfo.Info{State: tcpinfo.Established, TotalRTO: 3, HasTotalRTO: true, TotalRetrans: 3}
	clean := passing(StageConnect)
	round := func(p *paths, s ...Stage) Verdict {
		var lanes []Lane
		for _, s := range s {
			lanes = append(lanes, laneOf(LaneFront, "stunnel", RoleProxy, "10.0.0.1:443", s))
		}
		p.note(lanes)
		r := roundOf(lanes[0])
		r.Paths = p.facts(noon)
		return Attribute(r, nil)
	}
	var p paths
	if v := round(&p, resent); v.State != Up {
		t.Errorf("one of one: %s %s/%s", v.State, v.Layer, v.Cause)
	}
	for range 3 {
		round(&p, clean, clean, resent)
	}
	v := round(&p, resent, resent)
	if v.State != Degraded || v.Layer != LayerNetwork || v.Cause != CauseLoss {
		t.Errorf("6 of 12: %s %s/%s", v.State, v.Layer, v.Cause)
	}
	p = paths{}
	for range 5 {
		round(&p, failing(StageConnect, TCPTimedOut))
		if v := round(&p, resent); v.State != Up {
			t.Errorf("after an outage: %s %s/%s by %s", v.State, v.Layer, v.Cause, v.Rule)
		}
	}
}
