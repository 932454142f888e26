package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

// BenchmarkCommit makes one step of an incident durable, with one message.
func BenchmarkCommit(b *testing.B) {
	d := opened(b, b.TempDir())
	n := int64(0)
	for b.Loop() {
		n++
		whole := numbered(n)
		commit(b, d, &alert.Batch{Events: whole.Events, Deliveries: whole.Deliveries})
	}
}

// BenchmarkRounds keeps the rounds of ten seconds of 2,000 targets that are looked at every ten seconds, 200 a second: what
// it takes is of those ten seconds.
func BenchmarkRounds(b *testing.B) {
	c, err := newCodec()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	two, err := c.open(dictionary)
	if err != nil {
		b.Fatal(err)
	}
	d := opened(b, b.TempDir())
	at := noon
	for b.Loop() {
		var batch alert.Batch
		at = at.Add(10 * time.Second)
		for i := range 2000 {
			r := two[i%10/9] // one in ten is bad
			r.Result.Target, r.Result.Started, r.Result.Ended = fmt.Sprintf("target-%d", i), at, at
			batch.Rounds = append(batch.Rounds, r)
		}
		commit(b, d, &batch)
	}
	used, _, err := measure(b.Context(), d.write)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(used)/float64(2000*b.N), "B/round")
}
