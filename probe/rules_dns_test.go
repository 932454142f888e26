package probe

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

const nameServer = "192.0.2.53:53"

// nameCase is a round whose front's name did not resolve, with the looks that it made.
func nameCase(failed Stage, looks ...Lane) *Result {
	failed.Stage, failed.Outcome, failed.Error = StageResolve, Failed, "server "+nameServer+": "+string(failed.Type)
	r := &Result{Lanes: []Lane{{Lane: LaneFront, Name: "demo.test", Stages: []Stage{failed}}}}
	r.Lanes = append(r.Lanes, looks...)
	return r
}

// nameLookLane is a look at a name server whose last stage ended so; over TCP it has a connect stage before that.
func nameLookLane(k Look, typ Type, connect bool, info *tcpinfo.Info) Lane {
	s := Stage{Stage: StageResolve, Outcome: OK, Type: typ, TCPInfo: info}
	if typ != "" {
		s.Outcome, s.Error = Failed, string(typ)
	}
	l := Lane{Lane: LaneFront, Extra: true, Look: k, Address: nameServer, Stages: []Stage{s}}
	switch {
	case connect && k == LookDNSOverTCP:
		l.Stages = []Stage{{Stage: StageConnect, Outcome: OK}, s}
	case k == LookDNSOverTCP:
		s.Stage = StageConnect
		l.Stages = []Stage{s, {Stage: StageResolve, Outcome: Skipped}}
	}
	return l
}

func TestDNSRules(t *testing.T) {
	took := &tcpinfo.Info{State: tcpinfo.Established, BytesSent: 40, BytesAcked: 40}
	resent := &tcpinfo.Info{State: tcpinfo.Established, BytesSent: 80, BytesAcked: 40, TotalRTO: 1, HasTotalRTO: true}
	unheard := &tcpinfo.Info{State: tcpinfo.Established, BytesSent: 80, Unacked: 1, TotalRTO: 1, HasTotalRTO: true}
	tcp := func(typ Type, connect bool, info *tcpinfo.Info) Lane {
		return nameLookLane(LookDNSOverTCP, typ, connect, info)
	}
	other := func(typ Type) Lane { return nameLookLane(LookOtherName, typ, false, nil) }
	system := func(typ Type) Lane { return nameLookLane(LookSystemResolver, typ, false, nil) }
	silence := Stage{Type: DNSTimedOut}
	icmp := func(from, errno string) Stage {
		return Stage{Type: DNSUnreachable, Errno: errno, ICMP: &ICMP{Type: 3, Code: 3, From: from}}
	}
	for name, c := range map[string]struct {
		r    *Result
		want string // suspects, the confidence, words of the first sentence
	}{
		"nothing looked":      {nameCase(silence), "dns network likely"},
		"datagrams dropped":   {nameCase(silence, tcp("", true, nil), other(DNSTimedOut)), "network dns ambiguous: datagrams are dropped"},
		"it says NXDOMAIN":    {nameCase(silence, tcp(DNSNotResolved, true, nil), other(DNSTimedOut)), "network dns ambiguous"},
		"frozen":              {nameCase(silence, tcp(DNSTimedOut, true, took), other(DNSTimedOut)), "dns confirmed: its process hangs"},
		"frozen, or a loss":   {nameCase(silence, tcp(DNSTimedOut, true, resent), other(DNSTimedOut)), "dns likely"},
		"frozen, half looked": {nameCase(silence, tcp(DNSTimedOut, true, took)), "dns likely"},
		"hangs up":            {nameCase(silence, tcp(DNSInvalid, true, nil), other(DNSTimedOut)), "dns confirmed"},
		"waits for others":    {nameCase(silence, tcp(DNSTimedOut, true, took), other("")), "dns likely: waits for what it asks itself"},
		"some are answered":   {nameCase(silence, tcp("", true, nil), other(DNSRefused)), "dns network ambiguous: other questions are answered"},
		"one family is answered": {nameCase(Stage{Type: DNSTimedOut, Asked: []Asked{{nameServer, 3, 2}}}, tcp("", true, nil), other(DNSTimedOut)),
			"dns network ambiguous"},
		"data dropped":       {nameCase(silence, tcp(DNSTimedOut, true, unheard), other(DNSTimedOut)), "network dns ambiguous"},
		"refused over TCP":   {nameCase(silence, tcp(TCPRefused, false, nil), other(DNSTimedOut)), "dns network likely: the host is there"},
		"silent altogether":  {nameCase(silence, tcp(TCPTimedOut, false, nil), other(DNSTimedOut)), "dns network ambiguous"},
		"the system answers": {nameCase(silence, tcp(TCPTimedOut, false, nil), other(DNSTimedOut), system("")), "dns network ambiguous: the system's servers: answer"},
		"nobody answers":     {nameCase(silence, tcp(TCPTimedOut, false, nil), other(DNSTimedOut), system(DNSTimedOut)), "dns network prober ambiguous"},

		"nobody listens":         {nameCase(icmp("192.0.2.53", "ECONNREFUSED"), tcp(TCPRefused, false, nil)), "dns confirmed: nobody listens"},
		"nobody listens, by UDP": {nameCase(icmp("192.0.2.53", "ECONNREFUSED"), tcp("", true, nil)), "dns network likely"},
		"a filter says so":       {nameCase(icmp("192.0.2.1", "ECONNREFUSED"), tcp(TCPRefused, false, nil)), "network dns likely: packet filter"},
		"unknown who says so":    {nameCase(Stage{Type: DNSUnreachable, Errno: "ECONNREFUSED"}, tcp(TCPRefused, false, nil)), "dns network likely"},
		"prohibited":             {nameCase(icmp("192.0.2.53", "EACCES"), tcp(TCPTimedOut, false, nil)), "network dns likely"},
		"its host is gone":       {nameCase(icmp("192.0.2.1", "EHOSTUNREACH"), tcp(TCPUnreachable, false, nil)), "dns network likely"},

		"one zone fails": {nameCase(Stage{Type: DNSFailed}, tcp(DNSFailed, true, nil), other("")), "dns confirmed: this name's zone"},
		"all fail":       {nameCase(Stage{Type: DNSFailed}, tcp(DNSFailed, true, nil), other(DNSFailed)), "dns confirmed"},
		"said once":      {nameCase(Stage{Type: DNSRefused}), "dns likely"},
		"garbage by UDP": {nameCase(Stage{Type: DNSInvalid}, tcp("", true, nil)), "dns network ambiguous"},
		"only known elsewhere": {nameCase(Stage{Type: DNSNotResolved}, tcp(DNSNotResolved, true, nil), system("")),
			"dns prober ambiguous"},

		"resolv.conf was changed": {nameCase(silence, tcp(TCPTimedOut, false, nil), nameLookLane(LookFormerServers, "", false, nil)),
			"prober confirmed: which resolv.conf named before"},
		"those of before are silent too": {nameCase(silence, tcp(TCPTimedOut, false, nil), nameLookLane(LookFormerServers, DNSTimedOut, false, nil)),
			"dns network ambiguous"},
	} {
		v := Attribute(c.r, nil)
		got := make([]string, 0, 4)
		for _, s := range v.Suspects {
			got = append(got, string(s.Layer))
		}
		want, words, _ := strings.Cut(c.want, ": ")
		if diff := cmp.Diff(want, strings.Join(append(got, string(v.Confidence)), " ")); diff != "" {
			t.Errorf("%s: %s%q", name, diff, v.Evidence)
		}
		if !strings.Contains(v.Evidence[0], words) {
			t.Errorf("%s: no %q in %q", name, words, v.Evidence[0])
		}
	}
}

// TestDNSRulesPast: looks that an earlier round made hold as long as the name has not resolved since, and a server that
// answers in between is there.
func TestDNSRulesPast(t *testing.T) {
	took := &tcpinfo.Info{State: tcpinfo.Established, BytesSent: 40, BytesAcked: 40}
	looked := nameCase(Stage{Type: DNSTimedOut}, nameLookLane(LookDNSOverTCP, DNSTimedOut, true, took), nameLookLane(LookOtherName, DNSTimedOut, false, nil))
	bad := nameCase(Stage{Type: DNSTimedOut})
	good := nameCase(Stage{})
	good.Lanes[0].Stages[0] = Stage{Stage: StageResolve, Outcome: OK}
	if v := Attribute(bad, []*Result{looked, bad}); v.Confidence != Confirmed || v.Layer != LayerDNS {
		t.Errorf("looked before: %+v", v)
	}
	if v := Attribute(bad, []*Result{looked, good, bad}); v.Confidence != Ambiguous || len(v.Suspects) != 2 {
		t.Errorf("answered in between: %+v", v)
	}
	if v := Attribute(bad, []*Result{good, bad}); v.Confidence != Likely {
		t.Errorf("answered before: %+v", v)
	}
}

// TestDNSFormerServers: a resolv.conf that was changed to dead servers is found out by asking those that it named before.
func TestDNSFormerServers(t *testing.T) {
	t.Parallel()
	env := &Env{Names: NewSystemNames()}
	env.Names.learn("demo.test", nil, []Asked{{"127.0.0.1:5301", 2, 0}, {"127.0.0.1:5302", 2, 2}})
	if diff := cmp.Diff([]string{"127.0.0.1:5301"}, env.Names.answered()); diff != "" {
		t.Error(diff)
	}
	if got := without(env.Names.answered(), []string{"127.0.0.1:5301"}); got != nil {
		t.Errorf("they are still named: %v", got)
	}
	env.Names.learn("demo.test", nil, nil) // from the hosts file
	if len(env.Names.answered()) != 1 {
		t.Error("forgotten")
	}
}

// TestDNSRound goes through a whole round: the looks are made when the name stalls, and decide.
func TestDNSRound(t *testing.T) {
	t.Parallel()
	server := serve(t, silence) // takes the question over TCP and says nothing
	listenUDP(t, server.String())
	cfg, env := load(t, `dns: {servers: ["%s"]}
targets: [{name: demo, timeouts: {resolve: 2s}, front: {url: "http://demo.test/"}}]`, server)
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	r := target.Round(t.Context(), time.Now(), ByCheck)
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
	v := Attribute(&r, nil)
	if v.Layer != LayerDNS || v.Cause != CauseTimedOut || v.Confidence != Confirmed || v.State != Down {
		t.Errorf("%+v\n%+v", v, r.Lanes)
	}
}

// TestDNSRoundClosed: the server's own host says over UDP and TCP that nobody listens.
func TestDNSRoundClosed(t *testing.T) {
	t.Parallel()
	cfg, env := load(t, `dns: {servers: ["%s"]}
targets: [{name: demo, front: {url: "http://demo.test/"}}]`, closedPort(t))
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	r := target.Round(t.Context(), time.Now(), ByCheck)
	v := Attribute(&r, nil)
	if v.Layer != LayerDNS || v.Cause != CauseRefused || v.State != Down {
		t.Errorf("%+v\n%+v", v, r.Lanes)
	}
	if icmp := r.Lanes[0].Stages[0].ICMP; runtime.GOOS == "linux" && (icmp == nil || icmp.From != "127.0.0.1" || v.Confidence != Confirmed) {
		t.Errorf("ICMP %+v, %s", icmp, v.Confidence)
	}
}
