package probe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// samples gathers what one target emits.
type samples struct {
	*descriptions
	taken []prometheus.Metric
}

func (s *samples) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.taken = append(s.taken, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...))
}

func (s *samples) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s.taken = append(s.taken, prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...))
}

// timestamp emits an instant in Unix seconds, nothing for none.
func (s *samples) timestamp(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.gauge(d, float64(t.UnixNano())/1e9, labels...)
	}
}

func (s *samples) bool(d *prometheus.Desc, v bool, labels ...string) {
	n := 0.0
	if v {
		n = 1
	}
	s.gauge(d, n, labels...)
}

func (t *targetSeries) collect(s *samples) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.counter(s.skipped, t.skipped, t.name)
	for by, n := range t.rounds {
		s.counter(s.rounds, n, t.name, string(by))
	}
	if t.ended.IsZero() {
		return
	}
	s.timestamp(s.round, t.ended, t.name)
	t.collectVerdict(s)
	t.collectFront(s)
	for key, l := range t.lanes {
		l.collect(s, t.name, key)
	}
	if t.held.seen {
		t.held.collect(s, t.name)
	}
}

func (t *targetSeries) collectVerdict(s *samples) {
	v := &t.verdict
	for _, state := range []State{Up, Degraded, Down, Unknown} {
		s.bool(s.state, v.State == state, t.name, string(state))
	}
	for i, layer := range Layers {
		s.bool(s.verdict, v.Layer == layer, t.name, string(layer))
		if v.Layer == layer {
			s.gauge(s.layer, float64(i), t.name)
		}
	}
	s.gauge(s.info, 1, t.name, string(v.State), string(v.Layer), string(v.Cause), string(v.Confidence))
}

// phases are blackbox_exporter's words for our stages.
var phases = [5]string{"resolve", "connect", "tls", "processing", "transfer"}

func (t *targetSeries) collectFront(s *samples) {
	f := &t.front
	if f.judged {
		s.bool(s.success, f.success, t.name)
		s.gauge(s.duration, f.took.Seconds(), t.name)
	}
	if f.ipVersion != 0 {
		s.gauge(s.ipProtocol, float64(f.ipVersion), t.name)
	}
	if f.tls && !f.certEnds.IsZero() {
		s.gauge(s.certEnds, float64(f.certEnds.Unix()), t.name)
	}
	if f.http {
		s.gauge(s.status, float64(f.status), t.name)
		s.gauge(s.length, float64(f.length), t.name)
		s.bool(s.ssl, f.tls, t.name)
	}
	front := t.lanes[laneKey{lane: LaneFront}]
	if front == nil || !front.seen {
		return
	}
	for i, st := range front.stages {
		if st.ran() && t.http {
			s.gauge(s.phase, st.duration.Seconds(), t.name, phases[i])
		}
	}
	if resolve := front.stages[0]; resolve.ran() {
		s.gauge(s.dns, resolve.duration.Seconds(), t.name)
	}
}

// outcomes numbers the outcomes from good to bad; skipped has none, since the stage did not run.
var outcomes = map[Outcome]float64{OK: 0, Slow: 1, Failed: 2, NoData: 3}

func (l *laneSeries) collect(s *samples, target string, key laneKey) {
	lane, hop := string(key.lane), key.hop
	s.counter(s.retransmits, l.retransmits, target, lane, hop)
	s.counter(s.rtos, l.rtos, target, lane, hop)
	for f, n := range l.failures {
		s.counter(s.stageFailures, n, target, lane, hop, string(f.stage), string(f.typ))
	}
	if !l.seen {
		return
	}
	for i, st := range l.stages {
		if n, ok := outcomes[st.outcome]; ok {
			s.gauge(s.stageOutcome, n, target, lane, hop, string(StageNames[i]))
		}
		if st.ran() {
			s.gauge(s.stageDuration, st.duration.Seconds(), target, lane, hop, string(StageNames[i]))
		}
	}
}

func (h *heldSeries) collect(s *samples, target string) {
	s.counter(s.heldAnswered, h.answered, target)
	s.counter(s.heldDie, h.deaths, target)
	s.timestamp(s.heldAnswer, h.facts.LastGoodAnswered, target)
	if h.facts.Died.IsZero() {
		s.timestamp(s.heldSince, h.facts.Since, target)
	}
	s.bool(s.heldMissed, !h.facts.Missed.IsZero(), target)
}
