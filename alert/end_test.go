package alert

import (
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// TestLastKnownBad: an answer is as old as it is, however late we read it.
func TestLastKnownBad(t *testing.T) {
	began := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		stage probe.StageName
		typ   probe.Type
		took  time.Duration
		info  *tcpinfo.Info
		// holds is an instant at which the answer may have been decided: nothing later is known to be bad.
		holds time.Duration
		// wide is the least that should be known.
		wide time.Duration
	}{
		"a status read at once":             {probe.StageResponse, probe.HTTPStatus, 500 * time.Millisecond, &tcpinfo.Info{RTT: 200}, 499 * time.Millisecond, 480 * time.Millisecond},
		"a status read 90 ms late":          {probe.StageResponse, probe.HTTPStatus, 500 * time.Millisecond, &tcpinfo.Info{RTT: 200, LastDataRecv: 90}, 409 * time.Millisecond, 390 * time.Millisecond},
		"a status read in a moment":         {probe.StageResponse, probe.HTTPStatus, 100 * time.Microsecond, &tcpinfo.Info{RTT: 200}, -9 * time.Millisecond, -20 * time.Millisecond},
		"a certificate chosen at the start": {probe.StageTLS, probe.TLSCertDate, 60 * time.Millisecond, &tcpinfo.Info{RTT: 200}, time.Millisecond, 0},
		"a handshake refused":               {probe.StageTLS, probe.TLSAlert, 60 * time.Millisecond, &tcpinfo.Info{RTT: 200}, time.Millisecond, 0},
		"a refusal":                         {probe.StageConnect, probe.TCPRefused, 10 * time.Millisecond, &tcpinfo.Info{State: tcpinfo.Close}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			request := probe.Stage{Stage: probe.StageRequest, Outcome: probe.OK, Started: began.Add(-100 * time.Millisecond)}
			f := fault{&probe.Lane{Stages: []probe.Stage{request}}, &probe.Stage{Stage: c.stage, Outcome: probe.Failed, Type: c.typ, Started: began, Duration: probe.Seconds(c.took), TCPInfo: c.info}}
			known := lastKnownBad(f, probe.Verdict{}).Sub(began)
			if known > c.holds || known < c.wide {
				t.Errorf("known bad until %v, want %v to %v", known, c.wide, c.holds)
			}
		})
	}
}

// TestEndOfWhatComesAndGoes: after a relapse a single good round is no end; the third in a row is.
func TestEndOfWhatComesAndGoes(t *testing.T) {
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	v := down(probe.LayerDNS, probe.CauseTimedOut, probe.Likely)
	good := func(e *end, s int) (after, before time.Time) {
		r := &probe.Result{Target: "orders", Started: at(s), Ended: at(s + 1), Lanes: []probe.Lane{{Lane: probe.LaneFront, Role: probe.RoleFront,
			Stages: []probe.Stage{{Stage: probe.StageRequest, Outcome: probe.OK, Started: at(s)}}}}}
		a, b := e.good(r, v, resolveRounds, false)
		return *a, *b
	}
	bad := func(e *end, s int) {
		r := badRound(at(s))
		e.bad(r, faultsOf(r), v)
	}
	var e end
	bad(&e, 0)
	if _, before := good(&e, 10); !before.Equal(at(10)) {
		t.Errorf("the first good round: ended before %v", before)
	}
	bad(&e, 20)
	for i, want := range []int{31, 33, 35, 35} {
		after, before := good(&e, 30+2*i)
		if !before.Equal(at(want)) || after.Before(at(20)) || !after.Before(at(30)) {
			t.Errorf("good round %d after a relapse: in (%v, %v], want until %v", i+1, after, before, at(want))
		}
	}
}
