package store

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

// TestTouches compares with looking at each span.
func TestTouches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	both := map[bool]int{}
	for range 20_000 {
		all := make([]span, 1+rng.IntN(5))
		for i := range all {
			from := rng.Int64N(50)
			all[i] = span{from, from + rng.Int64N(12)}
		}
		first := rng.Int64N(60)
		last := first + rng.Int64N(5)
		want := false
		for _, s := range all {
			want = want || s.from <= last && s.to >= first
		}
		both[want]++
		m := merged(append([]span{}, all...))
		if got := touches(m, first, last); got != want {
			t.Fatalf("[%d, %d] in %v (%v): %v, want %v", first, last, m, all, got, want)
		}
	}
	if both[true] < 1000 || both[false] < 1000 {
		t.Errorf("the cases are one-sided: %v", both)
	}
	if touches(nil, 1, 2) {
		t.Error("a target without incidents keeps rounds")
	}
}

// TestTrimManyRounds: more rounds than are looked at in one go, all with the same end.
func TestTrimManyRounds(t *testing.T) {
	d := opened(t, "")
	const n = 2*lookRows + 7
	_, err := d.write.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO rounds SELECT 't' || i, ?2 - i % 3, ?2, 1, x'' FROM n`, n, nanos(ago(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, d, &alert.Batch{Incidents: []*alert.Incident{spell("t12345", ago(2*time.Hour), ago(64*time.Minute)), spell("t20007", ago(51*time.Minute), time.Time{})}})
	if err := d.Trim(t.Context(), trimTime); err != nil {
		t.Fatal(err)
	}
	var left string
	if err := d.read.QueryRow("SELECT group_concat(target, ' ') FROM (SELECT target FROM rounds ORDER BY target)").Scan(&left); err != nil || left != "t12345 t20007" {
		t.Errorf("left are %q, %v", left, err)
	}
}
