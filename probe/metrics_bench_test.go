package probe

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func fiveLanes(target string) *Result {
	var lanes []Lane
	for i, kind := range []LaneKind{LaneFront, LaneVia, LaneVia, LaneBackend, LaneControl} {
		l := sampleGoodFront()
		l.Lane, l.Hop = kind, fmt.Sprintf("hop-%d", i)
		if kind == LaneFront {
			l.Hop = ""
		}
		lanes = append(lanes, l)
	}
	r := sampleRound(lanes...)
	r.Target = target
	return r
}

func BenchmarkMetricsObserve(b *testing.B) {
	m, _ := newTestMetrics()
	r := fiveLanes("orders")
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(r, sampleUp)
	}
}

// One scrape of 1,000 targets with five lanes each, without the encoding.
func BenchmarkMetricsGather1k(b *testing.B) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	for i := range 1000 {
		m.Observe(fiveLanes(fmt.Sprintf("target-%d", i)), sampleUp)
	}
	for b.Loop() {
		families, err := reg.Gather()
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, f := range families {
			n += len(f.Metric)
		}
		b.ReportMetric(float64(n), "series")
	}
}
