package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// trimTime is the now of the tests here.
var trimTime = noon.AddDate(0, 6, 0)

// ago is an instant before trimTime.
func ago(d time.Duration) time.Time { return trimTime.Add(-d) }

// roundOf is a round of a target with a begin.
func roundOf(target string, at time.Time) probe.RecordedRound {
	var r probe.RecordedRound
	r.Result.Target, r.Result.Started, r.Result.Ended = target, at, at.Add(time.Second)
	return r
}

// spell is an incident of a target with a begin and an end; one that goes on has none.
func spell(target string, from, to time.Time) *alert.Incident {
	i := &alert.Incident{ID: fmt.Sprintf("%s-%d", target, from.Unix()), Target: target, State: alert.Open, StartsAt: from}
	i.StartsBefore = from
	if !to.IsZero() {
		i.State, i.EndsAt, i.EndsBefore, i.EndsAfter = alert.Resolved, &to, &to, &to
	}
	return i
}

// trimmedDB has these parts after trimming.
func trimmedDB(t *testing.T, keep config.Retention, batches ...*alert.Batch) *DB {
	t.Helper()
	d := opened(t, t.TempDir())
	d.options.Retention = keep
	for _, b := range batches {
		commit(t, d, b)
	}
	if err := d.Trim(t.Context(), trimTime); err != nil {
		t.Fatal(err)
	}
	return d
}

// roundsLeft are the ages of a target's rounds.
func roundsLeft(t *testing.T, d *DB, target string) string {
	t.Helper()
	rounds, err := d.Rounds(t.Context(), target, noon.AddDate(-5, 0, 0), trimTime, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var ages []string
	for _, r := range rounds {
		ages = append(ages, trimTime.Sub(r.Result.Started).String())
	}
	return strings.Join(ages, " ")
}

// TestTrimRounds: full rounds stay when they are young or lie around an incident.
func TestTrimRounds(t *testing.T) {
	ages := []time.Duration{100 * time.Hour, 300 * time.Minute, 131 * time.Minute, 129 * time.Minute, 90 * time.Minute, 56 * time.Minute,
		54 * time.Minute, 21 * time.Minute, 19 * time.Minute, 0}
	var batches []*alert.Batch
	for _, a := range ages { // a chunk each
		batches = append(batches, &alert.Batch{Rounds: []probe.RecordedRound{roundOf("over", ago(a)), roundOf("going", ago(a)), roundOf("none", ago(a)), roundOf("given up", ago(a))}})
	}
	over, going := spell("over", ago(2*time.Hour), ago(time.Hour)), spell("going", ago(2*time.Hour), time.Time{})
	going.EndsAt = new(ago(time.Hour)) // it is recovering
	going.State = alert.Recovering
	givenUp := spell("given up", ago(2*time.Hour), time.Time{})
	givenUp.State, givenUp.Timeline = alert.Dismissed, []alert.Change{{At: ago(2 * time.Hour)}, {At: ago(86 * time.Minute)}}
	d := trimmedDB(t, config.Retention{}, append(batches, &alert.Batch{Incidents: []*alert.Incident{over, going, givenUp}})...)
	for target, want := range map[string]string{
		"over": "2h9m0s 1h30m0s 56m0s 19m0s 0s", "going": "2h9m0s 1h30m0s 56m0s 54m0s 21m0s 19m0s 0s", "none": "19m0s 0s",
		"given up": "2h9m0s 1h30m0s 19m0s 0s",
	} {
		if got := roundsLeft(t, d, target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	// When it is over, what lies beyond it goes with the next look through all.
	going.State = alert.Resolved
	commit(t, d, &alert.Batch{Incidents: []*alert.Incident{going}})
	if err := d.Trim(t.Context(), trimTime.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := d.Trim(t.Context(), trimTime.Add(sweepEvery)); err != nil {
		t.Fatal(err)
	}
	if got, want := roundsLeft(t, d, "going"), "2h9m0s 1h30m0s 56m0s"; got != want {
		t.Errorf("when it was over: %s, want %s", got, want)
	}
	if got, want := roundsLeft(t, d, "none"), ""; got != want {
		t.Errorf("an hour later: %s, want %s", got, want)
	}
}

// TestTrimAge: what is older than it should be goes, with all that belongs to it; what is waited for stays.
func TestTrimAge(t *testing.T) {
	day := 24 * time.Hour
	old, young, going := spell("orders", ago(40*day), ago(39*day)), spell("orders", ago(31*day), ago(29*day)), spell("orders", ago(50*day), time.Time{})
	var deliveries []alert.Delivery
	var events []alert.Event
	for i, x := range []*alert.Incident{old, young, going, spell("gone", ago(60*day), ago(59*day))} {
		for j, s := range []alert.DeliveryState{alert.Waiting, alert.Sent} {
			deliveries = append(deliveries, alert.Delivery{Seq: int64(i*2 + j + 1), Receiver: "ops", Incident: x.ID, Transition: config.Opened, State: s, Created: x.StartsBefore})
		}
		events = append(events, alert.Event{Event: alert.EventOpened, Time: x.StartsBefore, Target: x.Target, Incident: x})
	}
	span := func(age time.Duration) alert.Span {
		return alert.Span{Target: "orders", From: ago(age + time.Hour), To: ago(age), State: probe.Up, Rounds: 1}
	}
	d := trimmedDB(t, config.Retention{Incidents: config.Duration(30 * day), History: config.Duration(7 * day)},
		&alert.Batch{
			Incidents: []*alert.Incident{old, young, going}, Deliveries: deliveries, Events: events, History: []alert.Span{span(8 * day), span(6 * day)},
			Rounds: []probe.RecordedRound{roundOf("orders", ago(40*day)), roundOf("orders", ago(30*day))},
		})
	count := func(what, where, want string) {
		t.Helper()
		var got string
		if err := d.read.QueryRow("SELECT coalesce(group_concat(x, ' '), '') FROM (SELECT " + what + " AS x FROM " + where + ")").Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", where, got, err, want)
		}
	}
	count("id", "incidents ORDER BY starts_at", going.ID+" "+young.ID)
	count("incident", "events ORDER BY time", going.ID+" "+young.ID)
	count("seq", "deliveries ORDER BY seq", "1 3 4 5 6 7")
	count("rounds", "history", "1")
	if got, want := roundsLeft(t, d, "orders"), "960h0m0s 720h0m0s"; got != want { // those of the one that goes on
		t.Errorf("rounds: %s, want %s", got, want)
	}
	if err := d.Trim(t.Context(), trimTime.AddDate(0, 2, 0)); err != nil {
		t.Fatal(err)
	}
	count("id", "incidents", going.ID)
	count("seq", "deliveries ORDER BY seq", "1 3 5 6 7")
}

// TestTrimSize: the oldest goes first, history before rounds before incidents, and the file becomes smaller.
func TestTrimSize(t *testing.T) {
	var b alert.Batch
	for i := range 400 {
		at := noon.Add(time.Duration(i) * time.Hour)
		x := spell("orders", at, at.Add(time.Minute))
		x.Reason = strings.Repeat("long ", 1600)
		b.Incidents, b.Rounds = append(b.Incidents, x), append(b.Rounds, roundOf("orders", at))
		b.History = append(b.History, alert.Span{Target: "orders", From: at, To: at, Rounds: 1})
	}
	going := spell("orders", noon.AddDate(-1, 0, 0), time.Time{})
	waiting := fill[alert.Delivery](1)
	waiting.State = alert.Waiting
	b.Incidents, b.Deliveries = append(b.Incidents, going), []alert.Delivery{waiting}
	left := func(size config.Size) (history, rounds, incidents int) {
		d := trimmedDB(t, config.Retention{Size: size}, &b)
		for table, n := range map[string]*int{"history": &history, "rounds": &rounds, "incidents": &incidents} {
			if err := d.read.QueryRow("SELECT count(*) FROM " + table).Scan(n); err != nil {
				t.Fatal(err)
			}
		}
		used, free, err := measure(t.Context(), d.write)
		if err != nil || size > 1 && used > int64(size) || free > sparePages {
			t.Errorf("%d bytes are used of %d, %d pages are free: %v", used, size, free, err)
		}
		var first string
		if err := d.read.QueryRow("SELECT id FROM incidents ORDER BY starts_at DESC LIMIT 1").Scan(&first); err != nil || size > 1 && first != b.Incidents[399].ID {
			t.Errorf("the last incident left is %q, %v", first, err)
		}
		if saved := load(t, d); len(saved.Deliveries) != 1 {
			t.Error("a message that waits is gone")
		}
		return history, rounds, incidents
	}
	if h, r, i := left(0); h != 400 || r != 400 || i != 401 {
		t.Errorf("without a bound %d %d %d are left", h, r, i)
	}
	if h, r, i := left(2 << 20); h != 0 || r != 0 || i < 100 || i > 300 {
		t.Errorf("within 2 MiB %d %d %d are left", h, r, i)
	}
	if h, r, i := left(1); h != 0 || r != 0 || i != 1 {
		t.Errorf("of all that may go %d %d %d are left", h, r, i)
	}
}

// TestTrimHoldsNothingUp: commits go through quickly while a lot is deleted.
func TestTrimHoldsNothingUp(t *testing.T) {
	d := opened(t, t.TempDir())
	const query = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
		INSERT INTO rounds SELECT 'target ' || (i % 1000), ? - i * 60000000000, ? - i * 60000000000, 1, randomblob(1000) FROM n`
	if _, err := d.write.Exec(query, nanos(trimTime), nanos(trimTime)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Trim(t.Context(), trimTime) }()
	var slowest time.Duration
	commits := 0
	for running := true; running; commits++ {
		began := time.Now()
		commit(t, d, numbered(int64(commits+1)))
		slowest = max(slowest, time.Since(began))
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
	}
	var left int
	if err := d.read.QueryRow("SELECT count(*) FROM rounds WHERE target <> 'orders'").Scan(&left); err != nil || left != 20 { // the last twenty minutes
		t.Errorf("%d chunks are left, %v", left, err)
	}
	t.Logf("%d commits meanwhile, the slowest took %v", commits, slowest)
	if commits < 3 { // else they waited for all of it
		t.Errorf("only %d commits meanwhile", commits)
	}
}
