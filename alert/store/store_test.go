package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// noon is when made-up things happen.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)

// opened is a store in a directory, closed at the test's end.
func opened(t testing.TB, dir string) *DB {
	t.Helper()
	d, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func commit(t testing.TB, d *DB, b *alert.Batch) {
	t.Helper()
	if err := d.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, d *DB) *alert.Saved {
	t.Helper()
	saved, err := d.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// filled sets every field of a value to something; n tells one value from another.
func filled(v reflect.Value, n *int64) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = noon.Add(time.Duration(*n) * time.Millisecond)
		return
	case *probe.Seconds:
		*x = probe.Seconds(*n) * probe.Seconds(time.Millisecond)
		return
	case *tcpinfo.State:
		*x = tcpinfo.State(*n % 12)
		return
	case *config.Transition:
		*x = config.Opened
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			filled(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			filled(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("word %d ü <&>", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(*n)
	case reflect.Float64:
		v.SetFloat(float64(*n) / 8)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n % 200))
	default:
		panic("no idea how to fill a " + v.Type().String())
	}
}

// fill makes a value in which nothing is zero.
func fill[T any](n int64) (x T) {
	n *= 1_000_000
	filled(reflect.ValueOf(&x).Elem(), &n)
	return x
}

// whole is a batch with everything in it.
func whole() *alert.Batch {
	b := &alert.Batch{State: map[string][]byte{"seat/orders": []byte(`{"a":1}`), "empty": {}, "bytes": {0, 255, 0}}}
	for n := range int64(3) {
		incident, event, delivery := fill[alert.Incident](n+1), fill[alert.Event](n+10), fill[alert.Delivery](n+20)
		round, span := fill[probe.RecordedRound](n+30), fill[alert.Span](n+40)
		event.Incident.ID = incident.ID
		delivery.Seq, delivery.State, delivery.Incident = n+1, alert.Waiting, incident.ID
		round.Result.Target, span.Target = "orders", "orders"
		b.Incidents, b.Events, b.Deliveries = append(b.Incidents, &incident), append(b.Events, event), append(b.Deliveries, delivery)
		b.Rounds, b.History = append(b.Rounds, round), append(b.History, span)
	}
	b.Deliveries[1].State = alert.Sent
	return b
}

// TestRoundTrip: what was committed comes back as it was, also to the next process and to one that only reads.
func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state with ? # % and : in its name")
	want := whole()
	first, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, first, want)
	compare(t, first, want)
	beside, err := OpenReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, beside, want)
	for _, d := range []*DB{beside, first} {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, opened(t, dir), want)
	memory := opened(t, "")
	commit(t, memory, want)
	compare(t, memory, want)
}

func compare(t *testing.T, d *DB, want *alert.Batch) {
	t.Helper()
	ctx := t.Context()
	diff := func(what string, got any, err error, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", what, err, diff)
		}
	}
	saved, err := d.Load(ctx)
	diff("load", saved, err, &alert.Saved{State: want.State, Deliveries: []alert.Delivery{want.Deliveries[0], want.Deliveries[2]}, Seq: 3})
	incidents, err := d.Incidents(ctx, Filter{})
	diff("incidents", incidents, err, want.Incidents)
	for i, x := range want.Incidents {
		story, err := d.Incident(ctx, x.ID)
		diff("story", story, err, &Story{x, want.Events[i : i+1], want.Deliveries[i : i+1]})
	}
	rounds, err := d.Rounds(ctx, "orders", noon, noon.Add(24*time.Hour), 100)
	diff("rounds", rounds, err, want.Rounds)
	rounds, err = d.Rounds(ctx, "orders", noon, noon.Add(24*time.Hour), 2)
	diff("last rounds", rounds, err, want.Rounds[1:])
	history, err := d.History(ctx, "orders", noon, noon.Add(24*time.Hour))
	diff("history", history, err, want.History)
	history, err = d.History(ctx, "", noon.Add(-2*time.Hour), noon.Add(-time.Hour))
	diff("no history", history, err, []alert.Span(nil))
}

// TestReplace: a batch replaces what has its key, and is kept once when it comes again.
func TestReplace(t *testing.T) {
	d, b := opened(t, t.TempDir()), whole()
	commit(t, d, b)
	commit(t, d, b)
	compare(t, d, b)
	b.Incidents[0].State, b.Incidents[0].Verdict.Layer = alert.Resolved, probe.LayerProxy
	b.Deliveries[0].State, b.Deliveries[0].Error, b.Deliveries[0].Attempts = alert.Refused, "no", 7
	b.Deliveries[1].State = alert.Waiting
	b.History[1].Rounds = 99
	b.State["empty"] = []byte("not any more")
	commit(t, d, b)
	commit(t, d, &alert.Batch{State: map[string][]byte{"bytes": nil, "never": nil}})
	delete(b.State, "bytes")
	saved := load(t, d)
	want := &alert.Saved{State: b.State, Deliveries: b.Deliveries[1:], Seq: 3}
	if diff := cmp.Diff(want, saved); diff != "" {
		t.Error(diff)
	}
	story, err := d.Incident(t.Context(), b.Incidents[0].ID)
	if diff := cmp.Diff(&Story{b.Incidents[0], b.Events[:1], b.Deliveries[:1]}, story); err != nil || diff != "" {
		t.Error(err, diff)
	}
	history, err := d.History(t.Context(), "orders", noon, noon.Add(24*time.Hour))
	if diff := cmp.Diff(b.History, history); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestPrivate: nobody else can read what is kept.
func TestPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	commit(t, opened(t, dir), whole())
	for name, want := range map[string]os.FileMode{"": 0o700, fileName: 0o600, fileName + "-wal": 0o600, fileName + "-shm": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

// TestPragmas: every connection is as durable as was promised.
func TestPragmas(t *testing.T) {
	d := opened(t, t.TempDir())
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "auto_vacuum": "2", "busy_timeout": "5000", "user_version": fmt.Sprint(len(steps))} {
		var got string
		if err := d.write.QueryRow("PRAGMA " + name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := d.read.Exec("DELETE FROM state"); err == nil {
		t.Error("what reads can write")
	}
}

// TestOneWriter: two daemons do not share a state; those who read do not mind.
func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if other, err := Open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another whichlayer") ||
		!strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second one: %v, %v", other, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error("closed twice:", err)
	}
	if err := d.Commit(t.Context(), whole()); err == nil {
		t.Error("committed to what is closed")
	}
	opened(t, dir)
}

// TestSeq: the highest number is known even when its delivery is gone.
func TestSeq(t *testing.T) {
	d, b := opened(t, t.TempDir()), whole()
	b.Deliveries[2].State = alert.Sent
	b.Deliveries[0].State = alert.Sent
	commit(t, d, b)
	d.options.Retention = config.Retention{Incidents: config.Duration(time.Hour), History: config.Duration(time.Hour)}
	if err := d.Trim(t.Context(), noon.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := d.read.QueryRow("SELECT count(*) FROM deliveries").Scan(&n); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	if saved := load(t, d); saved.Seq != 3 {
		t.Errorf("the highest number is %d, want 3", saved.Seq)
	}
}

// TestFilter: each condition picks by itself.
func TestFilter(t *testing.T) {
	d := opened(t, "")
	at := func(h int) *time.Time { x := noon.Add(time.Duration(h) * time.Hour); return &x }
	incident := func(id, target string, state alert.State, start int, end *time.Time, layer probe.Layer, suspects ...probe.Layer) *alert.Incident {
		x := &alert.Incident{ID: id, Target: target, State: state, Verdict: probe.Verdict{Layer: layer}}
		x.StartsBefore, x.EndsBefore, x.EndsAt = *at(start), end, end
		for _, l := range suspects {
			x.Verdict.Suspects = append(x.Verdict.Suspects, probe.Suspect{Layer: l})
		}
		return x
	}
	commit(t, d, &alert.Batch{Incidents: []*alert.Incident{
		incident("a1", "shop-eu", alert.Resolved, 0, at(1), probe.LayerProxy),
		incident("a2", "shop-us", alert.Dismissed, 2, at(3), probe.LayerNone, probe.LayerNetwork, probe.LayerProxy),
		incident("b1", "orders[1]", alert.Open, 4, nil, probe.LayerDNS),
		incident("b2", "orders[1]", alert.Recovering, 6, at(7), probe.LayerBackend),
	}})
	tests := map[string]struct {
		filter Filter
		want   string
	}{
		"all":          {Filter{}, "a1 a2 b1 b2"},
		"limit":        {Filter{Limit: 2}, "b1 b2"},
		"from":         {Filter{From: *at(2)}, "a2 b1 b2"},
		"to":           {Filter{To: *at(4)}, "a1 a2 b1"},
		"between":      {Filter{From: at(1).Add(1), To: at(2).Add(-1)}, ""},
		"goes on":      {Filter{From: *at(100)}, "b1 b2"},
		"target":       {Filter{Target: "shop-us"}, "a2"},
		"pattern":      {Filter{Target: "shop-*"}, "a1 a2"},
		"no pattern":   {Filter{Target: "orders[1]"}, "b1 b2"},
		"layer":        {Filter{Layer: probe.LayerProxy}, "a1 a2"},
		"suspect":      {Filter{Layer: probe.LayerNetwork}, "a2"},
		"no such":      {Filter{Layer: "prox"}, ""},
		"state":        {Filter{States: []alert.State{alert.Open, alert.Recovering}}, "b1 b2"},
		"prefix":       {Filter{Prefix: "b"}, "b1 b2"},
		"ancient":      {Filter{From: time.Time{}.Add(1), To: *at(0)}, "a1"},
		"far away":     {Filter{To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Limit: 1}, "b2"},
		"all together": {Filter{From: *at(0), To: *at(9), Target: "orders*", Layer: probe.LayerDNS, States: []alert.State{alert.Open}, Limit: 5}, "b1"},
	}
	for name, test := range tests {
		found, err := d.Incidents(t.Context(), test.filter)
		var ids []string
		for _, x := range found {
			ids = append(ids, x.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
}

// TestPrefix: the beginning of an ID is enough, if it is that of one.
func TestPrefix(t *testing.T) {
	d := opened(t, "")
	var all []*alert.Incident
	for _, id := range []string{"20261122T1", "20261122T12", "20261123T1", "2026%"} {
		x := fill[alert.Incident](1)
		x.ID = id
		all = append(all, &x)
	}
	commit(t, d, &alert.Batch{Incidents: all})
	tests := []struct{ give, want, err string }{
		{"20261123", "20261123T1", ""},
		{"20261122T1", "20261122T1", ""},
		{"2026%", "2026%", ""},
		{"2026112", "", "several incidents begin so as \"2026112\": 20261122T1, 20261122T12, 20261123T1"},
		{"", "", "no such"},
		{"x", "", "no such"},
	}
	for _, test := range tests {
		s, err := d.Incident(t.Context(), test.give)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: %v, want an error with %q", test.give, err, test.err)
			}
		} else if err != nil || s.Incident.ID != test.want {
			t.Errorf("%q: %v, %v, want %q", test.give, s, err, test.want)
		}
	}
}

// TestRoundsOfTime: only rounds of the time and of the target come back, in their order, whatever chunks they lie in.
func TestRoundsOfTime(t *testing.T) {
	d := opened(t, t.TempDir())
	base := fill[probe.RecordedRound](1)
	at := func(target string, i int) probe.RecordedRound {
		r := base
		r.Result.Target, r.Result.Round = target, uint64(i)
		r.Result.Started = noon.Add(time.Duration(i) * 7 * time.Second)
		r.Result.Ended = r.Result.Started.Add(3 * time.Second)
		return r
	}
	for i := 0; i < 1000; {
		var b alert.Batch
		for range 1 + i%173 {
			b.Rounds = append(b.Rounds, at("orders", i), at("other", i))
			i++
		}
		commit(t, d, &b)
	}
	for _, test := range []struct{ from, to, limit, first, n int }{{0, 0, 9, 0, 1}, {100, 200, 1000, 100, 101}, {150, 160, 3, 158, 3}, {333, 20_000, 5, -1, 5}, {5, 4, 9, 0, 0}, {3, 9, 0, 0, 0}} {
		from, to := noon.Add(time.Duration(test.from)*7*time.Second), noon.Add(time.Duration(test.to)*7*time.Second)
		got, err := d.Rounds(t.Context(), "orders", from, to, test.limit)
		if err != nil || len(got) != test.n {
			t.Fatalf("%v: %d rounds, %v", test, len(got), err)
		}
		for i, r := range got {
			if r.Result.Target != "orders" || i > 0 && r.Result.Round != got[i-1].Result.Round+1 {
				t.Errorf("%v: round %d of %q at %d", test, r.Result.Round, r.Result.Target, i)
			}
		}
		if test.n > 0 && test.first >= 0 && int(got[0].Result.Round) != test.first {
			t.Errorf("%v: begins with %d", test, got[0].Result.Round)
		}
	}
	if got, err := d.Rounds(t.Context(), "nobody", noon, noon.Add(time.Hour), 9); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

// TestRoundThatIsNoRecording: a round beyond the limits of a recording costs the others nothing.
func TestRoundThatIsNoRecording(t *testing.T) {
	d := opened(t, "")
	good, bad := fill[probe.RecordedRound](1), fill[probe.RecordedRound](2)
	bad.Result.Lanes[0].Stages[0].Error = strings.Repeat("x", 2<<20)
	bad.Result.Target = good.Result.Target
	commit(t, d, &alert.Batch{Rounds: []probe.RecordedRound{bad, good}})
	got, err := d.Rounds(t.Context(), good.Result.Target, noon, noon.Add(24*time.Hour), 9)
	if diff := cmp.Diff([]probe.RecordedRound{good}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestTwo commit and read at once: run with -race.
func TestTwo(t *testing.T) {
	d := opened(t, t.TempDir())
	errs := make(chan error, 4)
	for g := range int64(2) {
		go func() {
			for i := range int64(100) {
				if err := d.Commit(context.Background(), &alert.Batch{Deliveries: numbered(1 + g*1000 + i).Deliveries}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	go func() {
		var err error
		for range 50 {
			if _, e := d.Load(context.Background()); e != nil {
				err = e
			}
		}
		errs <- err
	}()
	go func() { errs <- d.Trim(context.Background(), noon) }()
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	saved := load(t, d)
	seqs := make([]int64, 0, 200)
	for _, x := range saved.Deliveries {
		seqs = append(seqs, x.Seq)
	}
	if len(seqs) != 200 || !slices.IsSorted(seqs) || saved.Seq != 1100 {
		t.Errorf("%d deliveries, the highest %d: %v", len(seqs), saved.Seq, seqs)
	}
}

// TestCancelled: a commit that was given up leaves nothing, and the next one works.
func TestCancelled(t *testing.T) {
	d := opened(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Commit(ctx, whole()); err == nil {
		t.Fatal("no error")
	}
	if saved := load(t, d); len(saved.State) > 0 {
		t.Errorf("half a batch: %v", saved)
	}
	want := whole()
	commit(t, d, want)
	compare(t, d, want)
}
