package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// selfCase is a round of four seconds in which a front's stage went so.
func selfCase(stage StageName, outcome Outcome, typ Type, info *tcpinfo.Info, self Self) *Result {
	begin := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	r := &Result{Started: begin, Ended: begin.Add(4 * time.Second), Self: self}
	l := Lane{Lane: LaneFront, Role: RoleProxy, Address: "192.0.2.1:443"}
	for _, n := range StageNames {
		s := Stage{Stage: n, Outcome: OK, Started: begin, Duration: Seconds(time.Millisecond)}
		if len(l.Stages) > 0 && !l.Stages[len(l.Stages)-1].Good() {
			s = Stage{Stage: n, Outcome: Skipped}
		} else if n == stage {
			s.Outcome, s.Type, s.Error, s.TCPInfo, s.Duration = outcome, typ, string(typ), info, Seconds(3900*time.Millisecond)
		}
		l.Stages = append(l.Stages, s)
	}
	r.Lanes = []Lane{l}
	return r
}

func TestSelfRules(t *testing.T) {
	begin := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	gap := []Gap{{From: begin.Add(-20 * time.Second), To: begin.Add(-10 * time.Second), Reason: "the process did not run"}}
	trouble := &ResolverTrouble{Servers: []string{"192.0.2.53:53"}, Name: "demo.test", Type: DNSTimedOut, Error: "no answer", Since: begin}
	starved := Seconds(2 * time.Second)
	silent := &tcpinfo.Info{State: tcpinfo.Established, BytesSent: 500, BytesAcked: 500, LastAckRecv: 3800}
	late := &tcpinfo.Info{State: tcpinfo.Established, BytesSent: 500, BytesAcked: 500, LastAckRecv: 50}
	syn := &tcpinfo.Info{State: tcpinfo.SynSent, TotalRetrans: 2, TotalRTO: 2, HasTotalRTO: true}
	firstSYN := &tcpinfo.Info{State: tcpinfo.SynSent}
	for name, c := range map[string]struct {
		r     *Result
		state State
		layer Layer
		cause Cause
		conf  Confidence
		text  string // in the first sentence
	}{
		"all is well":                    {selfCase("", OK, "", nil, Self{}), Up, LayerNone, CauseNone, Confirmed, ""},
		"after a pause":                  {selfCase("", OK, "", nil, Self{Recent: gap}), Up, LayerProber, CausePaused, Confirmed, "did not run from 2026-11-22 13:59:40.000 UTC to"},
		"in a pause, well":               {selfCase("", OK, "", nil, Self{Gaps: gap}), Up, LayerProber, CausePaused, Confirmed, "did not run from"},
		"a pause and a bad":              {selfCase(StageTLS, Failed, TLSTimedOut, silent, Self{Recent: gap}), Down, LayerProxy, CauseFrozen, "", ""},
		"in a pause, bad":                {selfCase(StageTLS, Failed, TLSTimedOut, silent, Self{Gaps: gap}), Unknown, LayerProber, CausePaused, Confirmed, ""},
		"resolv.conf":                    {selfCase("", OK, "", nil, Self{Resolver: trouble}), Up, LayerProber, CauseResolverConfig, Confirmed, "192.0.2.53:53 of resolv.conf"},
		"both":                           {selfCase("", OK, "", nil, Self{Resolver: trouble, Recent: gap}), Up, LayerProber, CausePaused, Confirmed, ""},
		"resolv.conf and a slow backend": {selfCase(StageRequest, Slow, "", nil, Self{Resolver: trouble}), Degraded, LayerBackend, CauseSlow, "", ""},

		"starved":                        {selfCase(StageTLS, Failed, TLSTimedOut, late, Self{Starved: starved}), Unknown, LayerProber, CauseStarved, Confirmed, "2s of the round's 4s"},
		"starved, no counters":           {selfCase(StageRequest, Failed, HTTPTimedOut, nil, Self{Starved: starved}), Unknown, LayerProber, CauseStarved, Confirmed, ""},
		"starved and slow":               {selfCase(StageRequest, Slow, "", nil, Self{Starved: starved}), Unknown, LayerProber, CauseStarved, Confirmed, ""},
		"starved and asking names":       {selfCase(StageResolve, Failed, DNSTimedOut, nil, Self{Starved: starved}), Unknown, LayerProber, CauseStarved, Confirmed, ""},
		"starved before the first SYN":   {selfCase(StageConnect, Failed, TCPTimedOut, firstSYN, Self{Starved: starved}), Unknown, LayerProber, CauseStarved, Confirmed, ""},
		"starved, and well":              {selfCase("", OK, "", nil, Self{Starved: starved}), Up, LayerNone, CauseNone, Confirmed, ""},
		"hardly starved":                 {selfCase(StageTLS, Failed, TLSTimedOut, late, Self{Starved: Seconds(900 * time.Millisecond)}), Down, "", "", "", ""},
		"starved, the kernel was not":    {selfCase(StageTLS, Failed, TLSTimedOut, silent, Self{Starved: starved}), Down, LayerProxy, CauseFrozen, "", ""},
		"starved, SYNs were not":         {selfCase(StageConnect, Failed, TCPTimedOut, syn, Self{Starved: starved}), Down, "", "", "", ""},
		"starved, and refused":           {selfCase(StageConnect, Failed, TCPRefused, nil, Self{Starved: starved}), Down, "", "", "", ""},
		"starved, and an error answered": {selfCase(StageResponse, Failed, HTTPStatus, nil, Self{Starved: starved}), Down, "", "", "", ""},

		"no carrier":              {selfCase(StageConnect, Failed, TCPUnreachable, syn, Self{Links: []string{"eth7"}}), Unknown, LayerProber, CauseNoCarrier, Confirmed, "eth7"},
		"no carrier to the names": {selfCase(StageResolve, Failed, DNSTimedOut, nil, Self{Links: []string{"eth7"}}), Unknown, LayerProber, CauseNoCarrier, Confirmed, "eth7"},
		"no carrier any more":     {selfCase(StageConnect, Failed, TCPRefused, nil, Self{Links: []string{"eth7"}}), Down, "", "", "", ""},

		"others fail too": {selfCase(StageConnect, Failed, TCPTimedOut, syn, Self{Others: &OtherTargets{Targets: 2, Failing: 2}}), Unknown, LayerProber, CauseVantageDown, Likely, "none of 2 targets"},
		"one other fails": {selfCase(StageConnect, Failed, TCPTimedOut, syn, Self{Others: &OtherTargets{Targets: 1, Failing: 1}}), Down, "", "", "", ""},
		"not all fail":    {selfCase(StageConnect, Failed, TCPTimedOut, syn, Self{Others: &OtherTargets{Targets: 3, Failing: 2}}), Down, "", "", "", ""},
	} {
		v := Attribute(c.r, nil)
		if v.State != c.state || c.layer != "" && v.Layer != c.layer || c.cause != "" && v.Cause != c.cause || c.conf != "" && v.Confidence != c.conf ||
			c.layer == "" && v.Layer == LayerProber {
			t.Errorf("%s: %+v", name, v)
		}
		if c.text != "" && (len(v.Evidence) == 0 || !strings.Contains(v.Evidence[0], c.text)) {
			t.Errorf("%s: %q is not in %q", name, c.text, v.Evidence)
		}
	}
}

// TestSelfRuleBeside: what is told of the prober is told also when a side lane is closed to us.
func TestSelfRuleBeside(t *testing.T) {
	r := selfCase("", OK, "", nil, Self{Resolver: &ResolverTrouble{Servers: []string{"192.0.2.53:53"}}})
	r.Lanes = append(r.Lanes, Lane{Lane: LaneControl, Hop: "a", Address: "192.0.2.9:22",
		Stages: []Stage{{Stage: StageConnect, Outcome: Failed, Type: TCPTimedOut, Error: "no answer"}}})
	if v := Attribute(r, nil); v.State != Up || v.Cause != CauseResolverConfig {
		t.Errorf("%+v", v)
	}
}

// TestVantageControlsAnswer: whatever other targets do, a control that answers shows that it is not us; a gateway that
// answered before and is silent now counts as one that does not.
func TestVantageControlsAnswer(t *testing.T) {
	syn := &tcpinfo.Info{State: tcpinfo.SynSent, TotalRetrans: 2}
	round := func(vantage Lane) Verdict {
		r := selfCase(StageConnect, Failed, TCPTimedOut, syn, Self{Others: &OtherTargets{Targets: 2, Failing: 2}})
		if vantage.Role == RoleGateway {
			r.Self.Others = nil
		}
		r.Lanes = append(r.Lanes, vantage)
		return Attribute(r, nil)
	}
	silence := []Stage{{Stage: StageConnect, Outcome: Failed, Type: TCPTimedOut, Error: "no answer"}}
	if v := round(Lane{Lane: LaneVantage, Role: RoleControl, Stages: []Stage{{Stage: StageConnect, Outcome: OK}}}); v.State != Down {
		t.Errorf("a control answers: %+v", v)
	}
	if v := round(Lane{Lane: LaneVantage, Role: RoleGateway, Stages: silence}); v.State != Down {
		t.Errorf("a gateway that may always be silent: %+v", v)
	}
	if v := round(Lane{Lane: LaneVantage, Role: RoleGateway, Stages: silence, Served: time.Now()}); v.State != Unknown || v.Cause != CauseVantageDown {
		t.Errorf("a gateway that answered before: %+v", v)
	}
}
