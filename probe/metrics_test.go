package probe

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

var sampleStart = time.Date(2026, 11, 22, 14, 3, 0, 0, time.UTC)

func sampleStage(name StageName, outcome Outcome, d time.Duration) Stage {
	return Stage{Stage: name, Outcome: outcome, Started: sampleStart, Duration: Seconds(d)}
}

// sampleStages is a lane's stages, all good but the last of the given outcomes, the rest skipped.
func sampleStages(outcomes ...Outcome) []Stage {
	var out []Stage
	for i, name := range StageNames {
		if i < len(outcomes) {
			out = append(out, sampleStage(name, outcomes[i], time.Duration(i+1)*time.Millisecond))
		} else {
			out = append(out, Stage{Stage: name, Outcome: Skipped})
		}
	}
	return out
}

func sampleGoodFront() Lane {
	return Lane{Lane: LaneFront, Role: RoleFront, Address: "10.0.0.10:443", Stages: sampleStages(OK, OK, OK, Slow, OK),
		TLS:  &TLSFacts{NotAfter: time.Unix(1_800_000_000, 0)},
		HTTP: &HTTPFacts{Status: 200, ContentLength: 5}}
}

// sampleFrozenFront connects and then waits for a handshake in vain.
func sampleFrozenFront() Lane {
	l := Lane{Lane: LaneFront, Role: RoleFront, Address: "10.0.0.10:443", Stages: sampleStages(OK, OK, Failed)}
	l.Stages[2].Type = TLSTimedOut
	l.Stages[2].TCPInfo = &tcpinfo.Info{TotalRetrans: 3, TotalRTO: 2, HasTotalRTO: true}
	return l
}

func sampleRound(lanes ...Lane) *Result {
	return &Result{Target: "orders", Trigger: BySchedule, Due: sampleStart, Started: sampleStart.Add(3 * time.Millisecond),
		Ended: sampleStart.Add(time.Second), Lanes: lanes}
}

var sampleUp = Verdict{State: Up, Layer: LayerNone, Cause: CauseNone, Confidence: Confirmed}

var sampleFrozen = Verdict{State: Down, Layer: LayerProxy, Cause: CauseFrozen, Confidence: Likely}

// seriesOf are all samples of a registry, with their labels in the order of names.
func seriesOf(t testing.TB, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			key := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.Histogram != nil:
				out[key] = float64(m.Histogram.GetSampleCount())
			case m.Counter != nil:
				out[key] = m.Counter.GetValue()
			default:
				out[key] = m.Gauge.GetValue()
			}
		}
	}
	return out
}

// onlySeries keeps the series whose name begins so.
func onlySeries(all map[string]float64, prefixes ...string) map[string]float64 {
	out := make(map[string]float64)
	for k, v := range all {
		for _, p := range prefixes {
			if strings.HasPrefix(k, p) {
				out[k] = v
			}
		}
	}
	return out
}

func newTestMetrics() (*Metrics, *prometheus.Registry) {
	reg := prometheus.NewPedanticRegistry()
	return NewMetrics(reg), reg
}

func TestMetricsOfAGoodRound(t *testing.T) {
	m, reg := newTestMetrics()
	m.Observe(sampleRound(sampleGoodFront()), sampleUp)
	want := map[string]float64{
		`probe_success{target="orders"}`:                                                 1,
		`probe_duration_seconds{target="orders"}`:                                        0.015,
		`probe_dns_lookup_time_seconds{target="orders"}`:                                 0.001,
		`probe_http_duration_seconds{phase="resolve",target="orders"}`:                   0.001,
		`probe_http_duration_seconds{phase="connect",target="orders"}`:                   0.002,
		`probe_http_duration_seconds{phase="tls",target="orders"}`:                       0.003,
		`probe_http_duration_seconds{phase="processing",target="orders"}`:                0.004,
		`probe_http_duration_seconds{phase="transfer",target="orders"}`:                  0.005,
		`probe_http_status_code{target="orders"}`:                                        200,
		`probe_http_content_length{target="orders"}`:                                     5,
		`probe_http_ssl{target="orders"}`:                                                1,
		`probe_ip_protocol{target="orders"}`:                                             4,
		`probe_ssl_earliest_cert_expiry{target="orders"}`:                                1_800_000_000,
		`whichlayer_stage_outcome{hop="",lane="front",stage="resolve",target="orders"}`:  0,
		`whichlayer_stage_outcome{hop="",lane="front",stage="connect",target="orders"}`:  0,
		`whichlayer_stage_outcome{hop="",lane="front",stage="tls",target="orders"}`:      0,
		`whichlayer_stage_outcome{hop="",lane="front",stage="request",target="orders"}`:  1,
		`whichlayer_stage_outcome{hop="",lane="front",stage="response",target="orders"}`: 0,
		`whichlayer_target_state{state="up",target="orders"}`:                            1,
		`whichlayer_target_state{state="degraded",target="orders"}`:                      0,
		`whichlayer_target_state{state="down",target="orders"}`:                          0,
		`whichlayer_target_state{state="unknown",target="orders"}`:                       0,
		`whichlayer_verdict_layer_index{target="orders"}`:                                0,
		`whichlayer_front_duration_seconds{target="orders"}`:                             1,
		`whichlayer_round_lateness_seconds{}`:                                            1,
	}
	got := onlySeries(seriesOf(t, reg), "probe_", "whichlayer_stage_outcome", "whichlayer_target_state",
		"whichlayer_verdict_layer_index", "whichlayer_front", "whichlayer_round_lateness")
	if diff := cmp.Diff(want, got, nearly()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func nearly() cmp.Option {
	return cmp.Comparer(func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 })
}

func TestStageThatDidNotRunHasNoSample(t *testing.T) {
	m, reg := newTestMetrics()
	m.Observe(sampleRound(sampleGoodFront()), sampleUp)
	m.Observe(sampleRound(sampleFrozenFront()), sampleFrozen)
	want := map[string]float64{
		`probe_success{target="orders"}`:                                                                        0,
		`probe_duration_seconds{target="orders"}`:                                                               0.006,
		`probe_dns_lookup_time_seconds{target="orders"}`:                                                        0.001,
		`probe_http_duration_seconds{phase="resolve",target="orders"}`:                                          0.001,
		`probe_http_duration_seconds{phase="connect",target="orders"}`:                                          0.002,
		`probe_http_duration_seconds{phase="tls",target="orders"}`:                                              0.003,
		`probe_ip_protocol{target="orders"}`:                                                                    4,
		`whichlayer_stage_outcome{hop="",lane="front",stage="resolve",target="orders"}`:                         0,
		`whichlayer_stage_outcome{hop="",lane="front",stage="connect",target="orders"}`:                         0,
		`whichlayer_stage_outcome{hop="",lane="front",stage="tls",target="orders"}`:                             2,
		`whichlayer_stage_duration_seconds{hop="",lane="front",stage="resolve",target="orders"}`:                0.001,
		`whichlayer_stage_duration_seconds{hop="",lane="front",stage="connect",target="orders"}`:                0.002,
		`whichlayer_stage_duration_seconds{hop="",lane="front",stage="tls",target="orders"}`:                    0.003,
		`whichlayer_stage_failures_total{hop="",lane="front",stage="tls",target="orders",type="tls.timed_out"}`: 1,
	}
	got := onlySeries(seriesOf(t, reg), "probe_", "whichlayer_stage_")
	if diff := cmp.Diff(want, got, nearly()); diff != "" {
		t.Errorf("after a good round one whose handshake failed (-want +got):\n%s", diff)
	}
}

func TestLaneThatIsLeftOutHasNoSampleButKeepsItsCounts(t *testing.T) {
	m, reg := newTestMetrics()
	via := sampleFrozenFront()
	via.Lane, via.Hop = LaneVia, "stunnel-1"
	m.Observe(sampleRound(sampleGoodFront(), via), sampleFrozen)
	m.Observe(sampleRound(sampleGoodFront()), sampleUp)
	all := seriesOf(t, reg)
	for k := range onlySeries(all, "whichlayer_stage_duration", "whichlayer_stage_outcome") {
		if strings.Contains(k, "stunnel-1") {
			t.Errorf("%s although the last round did not look there", k)
		}
	}
	for k, want := range map[string]float64{
		`whichlayer_stage_failures_total{hop="stunnel-1",lane="via",stage="tls",target="orders",type="tls.timed_out"}`: 1,
		`whichlayer_tcp_retransmission_timeouts_total{hop="stunnel-1",lane="via",target="orders"}`:                     2,
		`whichlayer_tcp_retransmitted_segments_total{hop="stunnel-1",lane="via",target="orders"}`:                      3,
		`whichlayer_tcp_retransmission_timeouts_total{hop="",lane="front",target="orders"}`:                            0,
	} {
		if got, ok := all[k]; !ok || got != want {
			t.Errorf("%s = %v (there: %v), want %v", k, got, ok, want)
		}
	}
}

func TestWeAreNotTheService(t *testing.T) {
	noFiles := Lane{Lane: LaneFront, Stages: sampleStages(OK, NoData)}
	noFiles.Stages[1].Type = SelfOutOfFiles
	m, reg := newTestMetrics()
	m.Observe(sampleRound(noFiles), Verdict{State: Unknown, Layer: LayerProber, Cause: CauseOutOfFiles, Confidence: Confirmed})
	all := seriesOf(t, reg)
	if got := onlySeries(all, "probe_success", "probe_duration", "whichlayer_front"); len(got) != 0 {
		t.Errorf("we could not look and say %v", got)
	}
	key := `whichlayer_stage_outcome{hop="",lane="front",stage="connect",target="orders"}`
	if got, ok := all[key]; !ok || got != 3 {
		t.Errorf("%s = %v (there: %v), want 3", key, got, ok)
	}
	if got := onlySeries(all, "whichlayer_stage_duration_seconds"); len(got) != 1 {
		t.Errorf("durations %v, want that of resolve alone", got)
	}
}

func TestFurtherLookAtTheSameHopIsCountedNotShown(t *testing.T) {
	m, reg := newTestMetrics()
	extra := sampleFrozenFront()
	extra.Extra = true
	m.Observe(sampleRound(sampleGoodFront(), extra, sampleFrozenFront()), sampleUp)
	all := seriesOf(t, reg)
	if got := all[`probe_success{target="orders"}`]; got != 1 {
		t.Errorf("probe_success = %v, want the first look's 1", got)
	}
	key := `whichlayer_stage_failures_total{hop="",lane="front",stage="tls",target="orders",type="tls.timed_out"}`
	if got := all[key]; got != 2 {
		t.Errorf("%s = %v, want 2", key, got)
	}
}

func TestRefusalOfAWitnessIsAnAnswer(t *testing.T) {
	for _, c := range []struct {
		lane    LaneKind
		typ     Type
		outcome float64
	}{
		{LaneVantage, TCPRefused, 0},
		{LaneControl, TCPRefused, 0},
		{LaneControl, TCPTimedOut, 2},
		{LaneVia, TCPRefused, 2},
	} {
		l := Lane{Lane: c.lane, Hop: "x", Stages: []Stage{sampleStage(StageConnect, Failed, time.Millisecond)}}
		l.Stages[0].Type = c.typ
		m, reg := newTestMetrics()
		m.Observe(sampleRound(sampleGoodFront(), l), sampleUp)
		all := seriesOf(t, reg)
		key := fmt.Sprintf(`whichlayer_stage_outcome{hop="x",lane=%q,stage="connect",target="orders"}`, c.lane)
		if got, ok := all[key]; !ok || got != c.outcome {
			t.Errorf("%s of %s: outcome %v (there: %v), want %v", c.typ, c.lane, got, ok, c.outcome)
		}
		if n := len(onlySeries(all, "whichlayer_stage_failures_total")); n != int(c.outcome/2) {
			t.Errorf("%s of %s: %d series of failures", c.typ, c.lane, n)
		}
	}
}

func TestVerdictIsOneHot(t *testing.T) {
	m, reg := newTestMetrics()
	for i, layer := range Layers {
		m.Observe(sampleRound(sampleGoodFront()), Verdict{State: Down, Layer: layer, Cause: CauseFrozen, Confidence: Ambiguous})
		all := seriesOf(t, reg)
		sum := 0.0
		for _, v := range onlySeries(all, "whichlayer_verdict{") {
			sum += v
		}
		if hot := all[fmt.Sprintf(`whichlayer_verdict{layer=%q,target="orders"}`, layer)]; hot != 1 || sum != 1 {
			t.Errorf("%s: its own sample is %v, the sum of all %v", layer, hot, sum)
		}
		if got := all[`whichlayer_verdict_layer_index{target="orders"}`]; got != float64(i) {
			t.Errorf("%s: index %v, want %d", layer, got, i)
		}
	}
	want := map[string]float64{`whichlayer_verdict_info{cause="frozen",confidence="ambiguous",layer="backend",state="down",target="orders"}`: 1}
	if diff := cmp.Diff(want, onlySeries(seriesOf(t, reg), "whichlayer_verdict_info")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestHeldOpenConnectionsBesideOthers: each has the series of a lane, but for those to control ports, and the values of the
// connection through the front are not theirs.
func TestHeldOpenConnectionsBesideOthers(t *testing.T) {
	m, reg := newTestMetrics()
	held := func(of LaneKind, answered uint64) Lane {
		return Lane{Lane: LaneHeldOpen, Of: of, Hop: "x", HeldOpen: &HeldOpenFacts{Since: sampleStart, Answered: answered, LastGoodAnswered: sampleStart},
			Stages: []Stage{sampleStage(StageRequest, OK, time.Millisecond)}}
	}
	m.Observe(sampleRound(sampleGoodFront(), held("", 7), held(LaneVia, 100), held(LaneBackend, 200), held(LaneControl, 0)), sampleUp)
	all := seriesOf(t, reg)
	if got := all[`whichlayer_heldopen_answered_total{target="orders"}`]; got != 7 {
		t.Errorf("%v answers", got)
	}
	var got []string
	for k := range onlySeries(all, "whichlayer_stage_outcome") {
		if strings.Contains(k, "heldopen") {
			got = append(got, k)
		}
	}
	slices.Sort(got)
	want := []string{
		`whichlayer_stage_outcome{hop="x",lane="heldopen",stage="request",target="orders"}`,
		`whichlayer_stage_outcome{hop="x",lane="heldopen_backend",stage="request",target="orders"}`,
		`whichlayer_stage_outcome{hop="x",lane="heldopen_via",stage="request",target="orders"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHeldOpenConnectionAddsUpOverItsLives(t *testing.T) {
	m, reg := newTestMetrics()
	first, second := sampleStart, sampleStart.Add(time.Minute)
	answer := sampleStart.Add(50 * time.Second)
	look := func(f HeldOpenFacts, retrans uint32) {
		l := Lane{Lane: LaneHeldOpen, HeldOpen: &f, Stages: []Stage{sampleStage(StageRequest, OK, time.Millisecond)}}
		l.Stages[0].TCPInfo = &tcpinfo.Info{TotalRetrans: retrans, TotalRTO: uint16(retrans), HasTotalRTO: true}
		m.Observe(sampleRound(sampleGoodFront(), l), sampleUp)
	}
	look(HeldOpenFacts{Since: first, Answered: 10, LastGoodAnswered: answer}, 2)
	look(HeldOpenFacts{Since: first, Answered: 25, LastGoodAnswered: answer}, 2)
	look(HeldOpenFacts{Since: first, Answered: 25, LastGoodAnswered: answer, Missed: answer, Died: second}, 5)
	want := map[string]float64{
		`whichlayer_heldopen_answered_total{target="orders"}`:                25,
		`whichlayer_heldopen_deaths_total{target="orders"}`:                  1,
		`whichlayer_heldopen_answer_missing{target="orders"}`:                1,
		`whichlayer_heldopen_last_answer_timestamp_seconds{target="orders"}`: float64(answer.Unix()),
	}
	if diff := cmp.Diff(want, onlySeries(seriesOf(t, reg), "whichlayer_heldopen")); diff != "" {
		t.Errorf("dead (-want +got):\n%s", diff)
	}
	look(HeldOpenFacts{Since: second, Answered: 3, LastGoodAnswered: answer}, 1)
	look(HeldOpenFacts{Since: second.Add(time.Hour), Answered: 1, LastGoodAnswered: answer}, 0) // died between two looks
	want[`whichlayer_heldopen_answered_total{target="orders"}`] = 29
	want[`whichlayer_heldopen_deaths_total{target="orders"}`] = 2
	want[`whichlayer_heldopen_answer_missing{target="orders"}`] = 0
	want[`whichlayer_heldopen_established_timestamp_seconds{target="orders"}`] = float64(second.Add(time.Hour).Unix())
	all := seriesOf(t, reg)
	if diff := cmp.Diff(want, onlySeries(all, "whichlayer_heldopen")); diff != "" {
		t.Errorf("replaced twice (-want +got):\n%s", diff)
	}
	if got := all[`whichlayer_tcp_retransmitted_segments_total{hop="",lane="heldopen",target="orders"}`]; got != 6 {
		t.Errorf("%v retransmitted segments over three connections, want 6", got)
	}
}

func TestExpectedTargetBeginsAtZero(t *testing.T) {
	m, reg := newTestMetrics()
	m.Expect(config.Target{Name: "orders"})
	want := map[string]float64{
		`whichlayer_rounds_total{target="orders",trigger="schedule"}`: 0,
		`whichlayer_rounds_total{target="orders",trigger="reprobe"}`:  0,
		`whichlayer_rounds_total{target="orders",trigger="heldopen"}`: 0,
		`whichlayer_rounds_total{target="orders",trigger="late"}`:     0,
		`whichlayer_rounds_skipped_total{target="orders"}`:            0,
	}
	all := seriesOf(t, reg)
	if diff := cmp.Diff(want, onlySeries(all, "whichlayer_rounds_total", "whichlayer_rounds_skipped")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := onlySeries(all, "probe_", "whichlayer_target", "whichlayer_verdict", "whichlayer_last_round"); len(got) != 0 {
		t.Errorf("before the first round we say %v", got)
	}
	m.Observe(sampleRound(sampleGoodFront()), sampleUp)
	m.Skipped("orders")
	all = seriesOf(t, reg)
	if n := all[`whichlayer_rounds_total{target="orders",trigger="schedule"}`]; n != 1 {
		t.Errorf("%v rounds, want 1", n)
	}
	if n := all[`whichlayer_rounds_skipped_total{target="orders"}`]; n != 1 {
		t.Errorf("%v skipped, want 1", n)
	}
}

func TestTargetDescribedAnewLosesItsOldLanes(t *testing.T) {
	m, reg := newTestMetrics()
	observeAll(m)
	m.Expect(config.Target{Name: "orders"})
	all := seriesOf(t, reg)
	for k := range onlySeries(all, "probe_", "whichlayer_stage", "whichlayer_tcp", "whichlayer_heldopen") {
		t.Errorf("%s is left of the old description", k)
	}
	if n := all[`whichlayer_rounds_total{target="orders",trigger="schedule"}`]; n != 1 {
		t.Errorf("%v rounds, want the old description's 1", n)
	}
}

func TestOnlyHTTPHasPhasesOfHTTP(t *testing.T) {
	for scheme, want := range map[string]int{"https": 5, "http": 5, "tls": 0, "tcp": 0} {
		var cfg config.Target
		cfg.Name = "orders"
		if err := cfg.Front.URL.UnmarshalText([]byte(scheme + "://orders.example.com:443")); err != nil {
			t.Fatal(err)
		}
		m, reg := newTestMetrics()
		m.Expect(cfg)
		m.Observe(sampleRound(sampleGoodFront()), sampleUp)
		if got := onlySeries(seriesOf(t, reg), "probe_http_duration_seconds"); len(got) != want {
			t.Errorf("%s: %d phases, want %d", scheme, len(got), want)
		}
	}
}

func TestForgetRemovesEverySeries(t *testing.T) {
	m, reg := newTestMetrics()
	observeAll(m)
	m.Forget("orders")
	for k := range seriesOf(t, reg) {
		if strings.Contains(k, "orders") {
			t.Errorf("%s is left", k)
		}
	}
}

// observeAll makes every metric of the package show.
func observeAll(m *Metrics) {
	m.Built("1.2.3")
	m.Beat(sampleStart)
	m.Gap(Gap{From: sampleStart, To: sampleStart.Add(time.Second), Reason: "paused"})
	held := Lane{Lane: LaneHeldOpen, HeldOpen: &HeldOpenFacts{Since: sampleStart, Answered: 1, LastGoodAnswered: sampleStart},
		Stages: []Stage{sampleStage(StageRequest, OK, time.Millisecond)}}
	via := sampleFrozenFront()
	via.Lane, via.Hop = LaneVia, "stunnel-1"
	m.Observe(sampleRound(sampleGoodFront(), via, held), sampleFrozen)
	m.Skipped("orders")
}

func TestMetricsPassTheLinter(t *testing.T) {
	m, reg := newTestMetrics()
	observeAll(m)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	shown := make(map[string]bool)
	for k := range seriesOf(t, reg) {
		shown[k[:strings.Index(k, "{")]] = true
	}
	for _, d := range m.desc.all {
		name := strings.Split(d.String(), `"`)[1]
		if !shown[name] {
			t.Errorf("%s was not linted: the sample does not show it", name)
		}
	}
}

func TestGapsAreCountedByReason(t *testing.T) {
	m, reg := newTestMetrics()
	m.Gap(Gap{From: sampleStart, To: sampleStart.Add(90 * time.Second), Reason: "restarted"})
	m.Gap(Gap{From: sampleStart, To: sampleStart.Add(-time.Second), Reason: "restarted"})
	want := map[string]float64{`whichlayer_gaps_total{reason="restarted"}`: 2, `whichlayer_gap_seconds_total{}`: 90}
	if diff := cmp.Diff(want, onlySeries(seriesOf(t, reg), "whichlayer_gap")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMetricsMayBeUsedAtOnce(t *testing.T) {
	m, reg := newTestMetrics()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := sampleRound(sampleGoodFront(), sampleFrozenFront())
			r.Target = fmt.Sprintf("t%d", i%2)
			for range 200 {
				m.Observe(r, sampleFrozen)
				m.Skipped(r.Target)
				m.Beat(sampleStart)
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			if _, err := reg.Gather(); err != nil {
				t.Error(err)
			}
			m.Forget("t1")
		}
	})
	wg.Wait()
	if n := seriesOf(t, reg)[`whichlayer_rounds_total{target="t0",trigger="schedule"}`]; n != 400 {
		t.Errorf("%v rounds of t0, want 400", n)
	}
}
