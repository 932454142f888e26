package alert

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// dispatchMetrics count what receivers were told. Labels come from the configuration only.
type dispatchMetrics struct {
	sent    *prometheus.CounterVec
	retries *prometheus.CounterVec
	waiting *prometheus.GaugeVec
	success *prometheus.GaugeVec
	oldest  *prometheus.GaugeVec
	drill   *prometheus.GaugeVec
	durable prometheus.Gauge
}

func newDispatchMetrics(reg prometheus.Registerer) (*dispatchMetrics, error) {
	m := &dispatchMetrics{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "whichlayer_notifications_total",
			Help: "Notifications by what became of them: sent, failed for good, dropped unsent."}, []string{"receiver", "transition", "outcome"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "whichlayer_notification_retries_total",
			Help: "Attempts to notify that failed and were tried again."}, []string{"receiver"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "whichlayer_notification_queue_length",
			Help: "Notifications that wait for a receiver."}, []string{"receiver"}),
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "whichlayer_notification_last_success_timestamp_seconds",
			Help: "When a receiver last took a notification; absent if it never did."}, []string{"receiver"}),
		oldest: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "whichlayer_notification_oldest_timestamp_seconds",
			Help: "When the notification that waits longest for a receiver was made; 0 if none waits."}, []string{"receiver"}),
		drill: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "whichlayer_drill_last_success_timestamp_seconds",
			Help: "When a receiver last took a drill from begin to end; absent if it never did."}, []string{"receiver"}),
		durable: prometheus.NewGauge(prometheus.GaugeOpts{Name: "whichlayer_state_durable",
			Help: "Whether what happens would survive a crash: 0 while the state cannot be written."}),
	}
	m.durable.Set(1)
	return m, register(reg, m.sent, m.retries, m.waiting, m.success, m.oldest, m.drill, m.durable)
}

// kept notes whether the state could be written.
func (m *dispatchMetrics) kept(err error) {
	m.durable.Set(1)
	if err != nil {
		m.durable.Set(0)
	}
}

// wait notes what waits for a receiver.
func (m *dispatchMetrics) wait(receiver string, n int, since time.Time) {
	m.waiting.WithLabelValues(receiver).Set(float64(n))
	at := 0.0
	if n > 0 {
		at = float64(since.UnixMilli()) / 1000
	}
	m.oldest.WithLabelValues(receiver).Set(at)
}

// prepare makes the series of a receiver exist, so that rates begin at 0.
func (m *dispatchMetrics) prepare(receiver string) {
	for _, t := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved, config.Dismissed} {
		for _, outcome := range []string{"sent", "failed", "dropped"} {
			m.sent.WithLabelValues(receiver, string(t), outcome)
		}
	}
	m.retries.WithLabelValues(receiver)
	m.wait(receiver, 0, time.Time{})
}

func (m *dispatchMetrics) forget(receiver string) {
	l := prometheus.Labels{"receiver": receiver}
	m.sent.DeletePartialMatch(l)
	m.retries.DeletePartialMatch(l)
	m.waiting.DeletePartialMatch(l)
	m.success.DeletePartialMatch(l)
	m.oldest.DeletePartialMatch(l)
	m.drill.DeletePartialMatch(l)
}

func (m *dispatchMetrics) count(receiver string, t config.Transition, outcome string) {
	m.sent.WithLabelValues(receiver, string(t), outcome).Inc()
}

// deskMetrics show the incidents of all targets.
type deskMetrics struct {
	open      *prometheus.GaugeVec
	incidents *prometheus.CounterVec

	mu sync.Mutex
	// ids are the open incidents of each target.
	ids map[string]map[string]bool
}

func newDeskMetrics(reg prometheus.Registerer) (*deskMetrics, error) {
	m := &deskMetrics{
		ids: map[string]map[string]bool{},
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "whichlayer_incident_open",
			Help: "Whether an incident of the target is open: 1 from opened to resolved, else 0."}, []string{"target"}),
		incidents: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "whichlayer_incidents_total",
			Help: "Incidents that were opened, by the layer that was blamed then. A relapse that reopens one is not counted.",
		}, []string{"target", "layer"}),
	}
	return m, register(reg, m.open, m.incidents)
}

// saw keeps count of an incident's event.
func (m *deskMetrics) saw(e Event) {
	switch e.Event {
	case EventOpened:
		m.opened(e.Incident)
		if e.Incident.Reopened == 0 {
			layer := e.Verdict.Layer
			if layer == "" {
				layer = probe.LayerNone
			}
			m.incidents.WithLabelValues(e.Target, string(layer)).Inc()
		}
	case EventResolved, EventDismissed:
		m.closed(e.Incident)
	}
}

// opened notes an incident that is open. A target may have several: an outage, and a certificate that ends soon.
func (m *deskMetrics) opened(i *Incident) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids[i.Target] == nil {
		m.ids[i.Target] = map[string]bool{}
	}
	m.ids[i.Target][i.ID] = true
	m.open.WithLabelValues(i.Target).Set(1)
}

func (m *deskMetrics) closed(i *Incident) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ids[i.Target], i.ID)
	if len(m.ids[i.Target]) == 0 {
		m.open.WithLabelValues(i.Target).Set(0)
	}
}

func (m *deskMetrics) forget(target string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ids, target)
	m.open.DeleteLabelValues(target)
	m.incidents.DeletePartialMatch(prometheus.Labels{"target": target})
}

func register(reg prometheus.Registerer, collectors ...prometheus.Collector) error {
	var errs []error
	for _, c := range collectors {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}
