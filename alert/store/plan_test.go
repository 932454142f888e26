package store

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// plan is how SQLite answers a query.
func plan(t *testing.T, d *DB, query string) (out []string) {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	found, err := d.write.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer found.Close()
	for found.Next() {
		var id, parent, unused int
		var text string
		if err := found.Scan(&id, &parent, &unused, &text); err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	if err := found.Err(); err != nil || len(out) == 0 {
		t.Fatalf("%s: no plan, %v", query, err)
	}
	return out
}

// TestPlans: trimming reads no whole table, but for what belongs to no incident, once an hour, and by an index of which it
// takes the first rows. Never is one read whole for each row of another.
func TestPlans(t *testing.T) {
	d := opened(t, "")
	bounded := regexp.MustCompile(`^SCAN \w+ USING (COVERING )?INDEX (history_by_age|rounds_by_age|incidents_by_start)$`)
	for query, scans := range map[string]int{
		findOldIncidents: 0, findOldest: 0, findOldEvents: 1, findOldMessages: 1, findSpans: 0, findRounds: 0,
		dropEventsOf: 0, dropMessagesOf: 0, dropIncident: 0, dropEvent: 0, dropMessage: 0, dropRounds: 0,
		dropOldHistory: 0, dropOldestHistory: 0, dropOldestRounds: 0,
	} {
		got, inner := 0, false
		for _, line := range plan(t, d, query) {
			inner = inner || strings.HasPrefix(line, "CORRELATED")
			if strings.Contains(line, "SCAN") && !bounded.MatchString(line) || strings.Contains(line, "AUTOMATIC") || strings.Contains(line, "TEMP B-TREE") {
				got++
				if inner {
					t.Errorf("%s: for each row: %s", query, line)
				}
			}
		}
		if got != scans {
			t.Errorf("%s: %q, want %d tables read whole", query, plan(t, d, query), scans)
		}
	}
}

// large is a state with rounds of 1,000 targets, each with incidents of a minute an hour apart, and so many chunks around
// each; all are kept. Younger rounds come on top.
func large(b *testing.B, incidents, chunks, young int) *DB {
	b.Helper()
	d := opened(b, b.TempDir())
	d.options.Retention = config.Retention{Incidents: config.Duration(5 * 365 * day), History: config.Duration(90 * day), Size: 1 << 40}
	const hour, minute = int64(time.Hour), int64(time.Minute)
	now := nanos(trimTime)
	for _, x := range []struct {
		query string
		args  []any
	}{
		{`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 * ?1 - 1)
			INSERT INTO incidents (id, target, state, starts_at, ends_at, over_at, layer, cause, confidence, json)
			SELECT 'i' || i, 't' || (i % 1000), 'resolved', ?2 - (i / 1000 + 1) * ?3, ?2 - (i / 1000 + 1) * ?3 + ?4, ?2 - (i / 1000 + 1) * ?3 + ?4,
			'proxy', 'frozen', 'likely', randomblob(1000) FROM n`, []any{incidents, now, hour, minute}},
		{`INSERT INTO rounds WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
			SELECT target, starts_at + i * 10000000000 - 60000000000, starts_at + i * 10000000000 - 60000000000, 1, randomblob(100) FROM incidents, n`, []any{chunks}},
		{`INSERT INTO rounds WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
			SELECT 'y' || (i % 10000), ?2 - i * 1000000, ?2 - i * 1000000, 1, randomblob(100) FROM n`, []any{young, now}},
	} {
		if _, err := d.write.Exec(x.query, x.args...); err != nil {
			b.Fatal(err)
		}
	}
	return d
}

const day = 24 * time.Hour

// BenchmarkTrimNothing trims a million chunks of rounds of which none goes: as every minute, and as every hour.
func BenchmarkTrimNothing(b *testing.B) {
	d := large(b, 100, 9, 100_000)
	if err := d.Trim(b.Context(), trimTime); err != nil {
		b.Fatal(err)
	}
	for _, sweep := range []bool{false, true} {
		b.Run(fmt.Sprintf("sweep=%t", sweep), func(b *testing.B) {
			for b.Loop() {
				if sweep {
					d.swept, d.judged = time.Time{}, time.Time{}
				}
				if err := d.Trim(b.Context(), trimTime); err != nil {
					b.Fatal(err)
				}
			}
			var n int
			if err := d.read.QueryRow("SELECT count(*) FROM rounds").Scan(&n); err != nil || n != 1_000_000 {
				b.Errorf("%d chunks are left, %v", n, err)
			}
		})
	}
}

// BenchmarkCommitBesideTrim commits while 100,000 chunks are deleted, and reports the slowest commit.
func BenchmarkCommitBesideTrim(b *testing.B) {
	d := opened(b, b.TempDir())
	var slowest time.Duration
	n := int64(0)
	for b.Loop() {
		if _, err := d.write.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
			INSERT OR REPLACE INTO rounds SELECT 't' || (i % 1000), i * 1000000, i * 1000000, 1, randomblob(1000) FROM n`); err != nil {
			b.Fatal(err)
		}
		d.judged = time.Time{}
		done := make(chan error, 1)
		go func() { done <- d.Trim(b.Context(), trimTime) }()
		for running := true; running; {
			n++
			began := time.Now()
			commit(b, d, numbered(n))
			slowest = max(slowest, time.Since(began))
			select {
			case err := <-done:
				if err != nil {
					b.Fatal(err)
				}
				running = false
			default:
			}
		}
	}
	b.ReportMetric(float64(slowest.Milliseconds()), "ms-slowest")
	b.ReportMetric(float64(n)/float64(b.N), "commits/op")
}
