package probe

import (
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
)

// Metrics is what the last round of each target showed, and how the prober itself is doing, for Prometheus.
//
// What was seen is not stored in gauges but emitted from the last results at each scrape, so that a stage that did
// not run has no sample at all: absent, not 0. Names are blackbox_exporter's where the meaning is the same; they tell
// of the front lane. Label values come from the configuration or from closed lists, never from the network.
type Metrics struct {
	desc *descriptions

	mu      sync.RWMutex
	targets map[string]*targetSeries
	beat    time.Time

	front      *prometheus.HistogramVec
	lateness   prometheus.Histogram
	missed     prometheus.Counter
	gaps       *prometheus.CounterVec
	gapSeconds prometheus.Counter
	clockSteps prometheus.Counter
	panics     prometheus.Counter
	build      *prometheus.GaugeVec
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics registers all metrics of this package.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{desc: describe(), targets: make(map[string]*targetSeries)}
	m.front = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "whichlayer_front_duration_seconds",
		Help: "Duration of the front lane of good rounds, from the first stage's begin to the body's end.",
		// Few classic buckets for each target; whoever scrapes native histograms sees 10 % steps.
		Buckets:                         []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, []string{"target"})
	m.lateness = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "whichlayer_round_lateness_seconds",
		Help:    "By how much scheduled rounds began after they were due.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	})
	m.missed = counter("whichlayer_rounds_missed_total",
		"Rounds that never ran because the scheduler woke up late.")
	m.gaps = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "whichlayer_gaps_total",
		Help: "Times in which the prober did not look, by reason.",
	}, []string{"reason"})
	m.gapSeconds = counter("whichlayer_gap_seconds_total", "Time in which the prober did not look.")
	m.clockSteps = counter("whichlayer_clock_steps_total",
		"How often the wall clock moved otherwise than the time that passed: it was set, or the machine was suspended.")
	m.panics = counter("whichlayer_scheduler_panics_total", "Panics while a round was started.")
	m.build = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "whichlayer_build_info",
		Help: "Always 1; the labels tell the version and the Go release that built it.",
	}, []string{"version", "goversion"})
	reg.MustRegister(m, m.front, m.lateness, m.missed, m.gaps, m.gapSeconds, m.clockSteps, m.panics, m.build)
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// Built tells which version runs.
func (m *Metrics) Built(version string) { m.build.WithLabelValues(version, runtime.Version()).Set(1) }

// Expect creates the counters of a target at 0, so that the first increase is seen as one, and says what the target
// speaks. Without it a target appears with its first round. A target that is described anew loses what was known of
// its lanes: they may not be the same ones.
func (m *Metrics) Expect(cfg config.Target) {
	t := m.target(cfg.Name)
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.lanes)
	t.front, t.held = frontSeries{}, heldSeries{}
	t.http = cfg.Front.URL.URL == nil || strings.HasPrefix(cfg.Front.URL.Scheme, "http")
}

// Observe takes in a round. It keeps nothing of r, and of two rounds of one target the later call counts.
func (m *Metrics) Observe(r *Result, v Verdict) {
	t := m.target(r.Target)
	good, took := t.observe(r, v)
	if good {
		m.front.WithLabelValues(r.Target).Observe(took.Seconds())
	}
	if r.Trigger == BySchedule && !r.Due.IsZero() {
		m.lateness.Observe(max(0, r.Started.Sub(r.Due).Seconds()))
	}
}

// Skipped counts a round that did not start because the one before was still running.
func (m *Metrics) Skipped(target string) {
	t := m.target(target)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.skipped++
}

// Forget removes every series of a target. No round of it may be running.
func (m *Metrics) Forget(target string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.targets, target)
	m.front.DeleteLabelValues(target)
}

// Gap counts a time in which the prober did not look.
func (m *Metrics) Gap(g Gap) {
	m.gaps.WithLabelValues(g.Reason).Inc()
	m.gapSeconds.Add(max(0, g.To.Sub(g.From).Seconds()))
}

// Missed counts rounds that never ran.
func (m *Metrics) Missed(rounds int) { m.missed.Add(float64(rounds)) }

// ClockStepped counts a step of the wall clock.
func (m *Metrics) ClockStepped() { m.clockSteps.Inc() }

// Panicked counts a panic in the start of a round.
func (m *Metrics) Panicked() { m.panics.Inc() }

// Beat notes that the scheduler's loop was alive.
func (m *Metrics) Beat(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beat = at
}

func (m *Metrics) target(name string) *targetSeries {
	m.mu.RLock()
	t := m.targets[name]
	m.mu.RUnlock()
	if t != nil {
		return t
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.targets[name] == nil {
		m.targets[name] = newTargetSeries(name)
	}
	return m.targets[name]
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range m.desc.all {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.RLock()
	beat := m.beat
	targets := make([]*targetSeries, 0, len(m.targets))
	for _, t := range m.targets {
		targets = append(targets, t)
	}
	m.mu.RUnlock()
	s := samples{descriptions: m.desc}
	s.timestamp(m.desc.beat, beat)
	for _, t := range targets {
		t.collect(&s)
		for _, metric := range s.taken {
			ch <- metric
		}
		s.taken = s.taken[:0]
	}
}
