package alert

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/probe"
)

// reborn is a tracker that is replaced by a restored one after every step.
type reborn struct {
	t       *testing.T
	tracker *Tracker
	newID   func(time.Time) string
}

func newReborn(t *testing.T) *reborn {
	n := 0
	r := &reborn{t: t, newID: func(t time.Time) string { n++; return t.Format("150405") + "-" + strconv.Itoa(n) }}
	r.tracker = NewTracker("orders", defaultDetect, r.newID)
	return r
}

// restart keeps nothing but the checkpoint and the history.
func (r *reborn) restart() {
	data, err := r.tracker.Checkpoint()
	if err != nil {
		r.t.Fatal(err)
	}
	next := NewTracker("orders", defaultDetect, r.newID)
	if err := next.Restore(data, r.tracker.History()); err != nil {
		r.t.Fatalf("%v\n%s", err, data)
	}
	r.tracker = next
}

// TestRestartsChangeNothing runs random worlds past a tracker that is restarted after every round and one that is not.
func TestRestartsChangeNothing(t *testing.T) {
	t.Parallel()
	events := 0
	for seed := range uint64(25) {
		rnd := rand.New(rand.NewPCG(seed, 50))
		w := &world{rand: rnd, every: time.Duration(1+rnd.IntN(20)) * time.Second, heldOpen: rnd.IntN(2) == 0,
			noise: rnd.Float64() * 0.05, blind: rnd.Float64() * 0.1}
		if rnd.IntN(2) == 0 {
			w.addresses, w.only = 1+rnd.IntN(5), rnd.IntN(2)
		}
		at := epoch
		for range 1 + rnd.IntN(4) {
			at = at.Add(w.ms(1000, 300000))
			end := at.Add(w.ms(500, 200000))
			w.outages = append(w.outages, outage{span{at, end}, mechanism(rnd.IntN(int(mechanisms))), []float64{0.1, 0.5, 1}[rnd.IntN(3)]})
			w.pauses = append(w.pauses, span{end.Add(-w.ms(0, 5000)), end.Add(w.ms(0, 1500000))})
			at = w.pauses[len(w.pauses)-1].to
		}
		b := newReborn(t)
		w.saw = func(r *probe.Result, v probe.Verdict, want Step) {
			got := b.tracker.Observe(r, v)
			b.restart()
			sameJSON(t, seed, want, got)
		}
		w.gap = func(g probe.Gap) {
			b.tracker.Gap(g)
			b.restart()
		}
		tr := w.run(at.Add(2*time.Minute), defaultDetect, func(Event) { events++ })
		sameJSON(t, seed, tr.History(), b.tracker.History())
	}
	if events < 100 {
		t.Errorf("only %d events: the test shows little", events)
	}
}

func sameJSON(t *testing.T, seed uint64, want, got any) {
	t.Helper()
	a, err1 := json.Marshal(want)
	b, err2 := json.Marshal(got)
	if err1 != nil || err2 != nil || string(a) != string(b) {
		t.Fatalf("seed %d: %v %v\n%s", seed, err1, err2, cmp.Diff(string(a), string(b)))
	}
}

// TestRestartInMidIncident: the process is gone for half an hour while the outage goes on or ends. The incident keeps its ID
// and start, the gap is in it, and the end lies between the last failure that was seen and the first good round.
func TestRestartInMidIncident(t *testing.T) {
	for name, over := range map[string]bool{"it ended in the gap": true, "it went on": false} {
		t.Run(name, func(t *testing.T) {
			b := newReborn(t)
			w := &world{rand: rand.New(rand.NewPCG(1, 51)), every: 10 * time.Second, heldOpen: true}
			from := epoch.Add(2 * time.Minute)
			gone, back := from.Add(5*time.Minute), from.Add(35*time.Minute)
			to := from.Add(20 * time.Minute)
			if !over {
				to = back.Add(2 * time.Minute)
			}
			w.outages = []outage{{span{from, to}, frozen_, 1}}
			tr := w.run(gone, defaultDetect, func(Event) {})
			before := tr.Incident()
			data, err := tr.Checkpoint()
			if err != nil {
				t.Fatal(err)
			}
			b.tracker = NewTracker("orders", defaultDetect, b.newID)
			if err := b.tracker.Restore(data, tr.History()); err != nil {
				t.Fatal(err)
			}
			lastSeen := w.now
			w.now, w.hanging, w.beat = back, nil, heartbeat{next: back} // another process: other connections
			s := newStory(t, defaultDetect)
			s.state[before.ID] = Open
			for _, e := range b.tracker.Gap(probe.Gap{From: lastSeen, To: back, Reason: "restarted"}) {
				s.saw(e)
			}
			for w.now.Before(back.Add(20 * time.Minute)) {
				r, v := w.look(probe.BySchedule)
				for _, e := range b.tracker.Observe(r, v).Events {
					s.saw(e)
				}
				w.now = w.now.Add(2 * time.Second)
			}
			i := s.last(EventResolved)
			if i == nil || i.ID != before.ID || i.StartsBefore != before.StartsBefore || *i.StartsAfter != *before.StartsAfter ||
				*i.OpenedAt != *before.OpenedAt || len(i.Gaps) != 1 {
				t.Fatalf("before %+v\nafter %+v", before, i)
			}
			if i.EndsAfter.After(to) || to.After(*i.EndsBefore) {
				t.Errorf("ended in (%v, %v], in truth %v", i.EndsAfter, i.EndsBefore, to)
			}
			if over && (i.EndsAfter.After(gone) || i.EndsBefore.Before(back)) {
				t.Errorf("nobody looked from %v to %v, and it ended in (%v, %v]", gone, back, i.EndsAfter, i.EndsBefore)
			}
		})
	}
}

// TestGapDropsSuspicion: what was only suspected before a long gap is not taken for the same after it.
func TestGapDropsSuspicion(t *testing.T) {
	tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
	now := epoch
	for _, bad := range []bool{false, true, true} {
		v := probe.Verdict{State: probe.Up}
		if bad {
			v = down(probe.LayerProxy, probe.CauseProcessDead, probe.Likely)
		}
		tr.Observe(round("orders", now, bad), v)
		now = now.Add(2 * time.Second)
	}
	if i := tr.Incident(); i == nil || i.State != Suspected {
		t.Fatalf("%+v", i)
	}
	if e := tr.Gap(probe.Gap{From: now, To: now.Add(time.Minute)}); len(e) != 1 || tr.Incident() == nil {
		t.Fatalf("after a minute: %+v", e)
	}
	e := tr.Gap(probe.Gap{From: now, To: now.Add(time.Hour)})
	if len(e) != 2 || e[0].Event != EventGap || e[1].Event != EventDismissed || !strings.Contains(e[1].Incident.Reason, "1h0m0s") || tr.Incident() != nil {
		t.Fatalf("after an hour: %+v", e)
	}
}

// TestRestoreRefuses: what is no checkpoint of this target's tracker is an error, and nothing of it is taken.
func TestRestoreRefuses(t *testing.T) {
	tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
	good, err := tr.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Restore(good, nil); err != nil {
		t.Fatal(err)
	}
	other, _ := NewTracker("invoices", defaultDetect, nil).Checkpoint()
	certs, _ := NewCertificateWatch("orders", nil).Checkpoint()
	with := func(state string) string {
		return `{"whichlayer":"tracker","format":1,"target":"orders","state":` + state + `}`
	}
	for _, bad := range []string{
		``, `{}`, `null`, `"x"`, string(good[:len(good)-1]), string(other), string(certs), strings.Repeat(" ", maxCheckpoint+1),
		strings.Replace(string(good), `"format":1`, `"format":2`, 1), with(`null`), with(`[]`),
		with(`{"Detector":{"Score":99}}`), with(`{"Detector":{"Failures":-1}}`), with(`{"GoodRun":-1}`), with(`{"Mild":"very"}`),
		with(`{"Good":{"Stages":{"front":{}}}}`), with(`{"Good":{"Stages":{"a/b/%zz":{}}}}`),
		with(`{"Members":{"10.0.0.1:443":{"Detector":{"Score":-1}}}}`),
		with(`{"Members":{"10.0.0.1:443":{"Detector":{"Score":1},"Good":-1}}}`),
		with(`{"Pattern":{"Rounds":9,"Bursts":[{"First":5,"Last":4}]}}`), with(`{"Pattern":{"Rounds":-9}}`),
		with(`{"Pattern":{"Rounds":900,"Bursts":[{"First":1,"Last":4}]}}`),
		with(`{"Incident":{"id":"x","state":"resolved","target":"orders"}}`), with(`{"Incident":{"id":"x","state":"open","target":"invoices"}}`),
		with(`{"Incident":{"id":"","state":"open","target":"orders"}}`),
		with(`{"Incident":{"id":"x","state":"open","target":"orders","ends_after":"2026-11-22T14:00:00Z"}}`),
		with(`{"Last":{"id":"x","state":"resolved","target":"orders"}}`),
	} {
		if err := tr.Restore([]byte(bad), nil); err == nil {
			t.Errorf("taken: %.120s", bad)
		}
	}
	if after, _ := tr.Checkpoint(); string(after) != string(good) {
		t.Error("something of it was taken")
	}
}

func TestLaneKeyText(t *testing.T) {
	for _, k := range []laneKey{{}, {probe.LaneFront, "", "10.0.0.1:443"}, {probe.LaneVia, "a/b %41 ü\n", "[::1]:443"}, {"x/y", "/", "//"}} {
		text, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back laneKey
		if err := back.UnmarshalText(text); err != nil || back != k {
			t.Errorf("%q: %+v instead of %+v, %v", text, back, k, err)
		}
	}
}

// FuzzRestore feeds bytes to Restore; a tracker that took them must stand rounds.
func FuzzRestore(f *testing.F) {
	w := &world{rand: rand.New(rand.NewPCG(1, 52)), every: 2 * time.Second, addresses: 3, only: 1, heldOpen: true}
	w.outages = []outage{{span{epoch.Add(time.Minute), epoch.Add(3 * time.Minute)}, frozen_, 1}}
	for _, minutes := range []int{1, 2, 4, 8} {
		tr := w.run(epoch.Add(time.Duration(minutes)*time.Minute), defaultDetect, func(Event) {})
		data, err := tr.Checkpoint()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"whichlayer":"tracker","format":1,"target":"orders","state":{"Incident":{"id":"x","state":"open","target":"orders"}}}`))
	f.Add([]byte(`{"whichlayer":"tracker","format":1,"target":"orders","state":{"Incident":{"id":"x","state":"","target":"orders"},"Pattern":{"Rounds":9007199254740992}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
		if err := tr.Restore(data, []*probe.Result{nil, round("orders", epoch, true)}); err != nil {
			return
		}
		now := epoch.Add(time.Hour)
		for n := range 40 {
			v := probe.Verdict{State: probe.Up}
			if n/10%2 == 0 {
				v = down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
			}
			tr.Observe(round("orders", now, v.State == probe.Down), v)
			now = now.Add(5 * time.Second)
		}
		tr.Gap(probe.Gap{From: now, To: now.Add(time.Hour)})
		if _, err := tr.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkCheckpoint is what each round of an incident costs, and each minute without one.
func BenchmarkCheckpoint(b *testing.B) {
	w := &world{rand: rand.New(rand.NewPCG(1, 53)), every: 2 * time.Second, addresses: 3, heldOpen: true}
	from := epoch.Add(5 * time.Minute)
	w.outages = []outage{{span{from, from.Add(time.Hour)}, frozen_, 0.5}}
	for _, c := range []struct {
		name  string
		until time.Time
	}{{"quiet", from}, {"incident", from.Add(30 * time.Minute)}} {
		tr := w.run(c.until, defaultDetect, func(Event) {})
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				data, err := tr.Checkpoint()
				if err != nil {
					b.Fatal(err)
				}
				n = len(data)
			}
			b.ReportMetric(float64(n), "bytes")
		})
	}
}
