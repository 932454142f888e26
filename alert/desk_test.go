package alert

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// fails is a verdict that follows from the first stage alone, so that these tests do not depend on the rules.
func fails(r *probe.Result, _ []*probe.Result) probe.Verdict {
	for _, l := range r.Lanes {
		for _, s := range l.Stages {
			if s.Outcome == probe.Failed {
				return down(probe.LayerProxy, probe.CauseProcessDead, probe.Confirmed)
			}
		}
	}
	return probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone}
}

func round(target string, at time.Time, failed bool) *probe.Result {
	s := probe.Stage{Stage: probe.StageConnect, Outcome: probe.OK, Started: at, Duration: probe.Seconds(time.Millisecond)}
	if failed {
		s.Outcome, s.Type = probe.Failed, probe.TCPRefused
	}
	return &probe.Result{Target: target, Started: at, Ended: at.Add(time.Millisecond), Lanes: []probe.Lane{{Lane: probe.LaneFront,
		Address: "10.0.0.10:443", Local: "10.0.9.4:51234", Stages: []probe.Stage{s}}}}
}

type deskBench struct {
	*Desk
	mu     sync.Mutex
	events []Event
	notes  []Notification
}

func newDeskBench(t *testing.T, names ...string) *deskBench {
	t.Helper()
	b := &deskBench{}
	d, err := NewDesk(&config.Config{Targets: targets(names...)}, func(e Event) { b.mu.Lock(); b.events = append(b.events, e); b.mu.Unlock() },
		func(e Entry) {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, x := range e.Events {
				n, _ := NewNotification(x)
				b.notes = append(b.notes, n)
			}
		}, discard(), prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d.attribute = fails
	b.Desk = d
	return b
}

func targets(names ...string) (out []config.Target) {
	for _, n := range names {
		out = append(out, config.Target{Name: n, Detect: defaultDetect})
	}
	return out
}

func (b *deskBench) kinds(target string) (out []Kind) {
	for _, e := range b.events {
		if e.Target == target && e.Event != EventResult {
			out = append(out, e.Event)
		}
	}
	return out
}

func TestDeskTellsTheCourse(t *testing.T) {
	b := newDeskBench(t, "orders")
	var wish time.Duration
	for n := range 60 {
		at := epoch.Add(time.Duration(n) * 2 * time.Second)
		_, wish = b.Observe(round("orders", at, n >= 5 && n < 25))
	}
	if wish != 0 {
		t.Errorf("another look after %v is wanted although all is well", wish)
	}
	if diff := cmp.Diff([]Kind{EventSuspect, EventOpened, EventResolved}, b.kinds("orders")); diff != "" {
		t.Error(diff)
	}
	if len(b.notes) != 3 || len(b.events) != 63 {
		t.Errorf("%d notifications, %d events", len(b.notes), len(b.events))
	}
	if got := testutil.ToFloat64(b.metrics.incidents.WithLabelValues("orders", "proxy")); got != 1 {
		t.Errorf("%v incidents were counted", got)
	}
}

func TestReloadOfTheDesk(t *testing.T) {
	b := newDeskBench(t, "kept", "changed", "removed")
	for n := range 20 {
		for _, name := range []string{"kept", "changed", "removed"} {
			b.Observe(round(name, epoch.Add(time.Duration(n)*2*time.Second), n > 2))
		}
	}
	if n := len(b.Incidents()); n != 3 {
		t.Fatalf("%d incidents are open", n)
	}
	b.Reload(&config.Config{Targets: targets("kept", "changed", "new")}, epoch.Add(time.Minute),
		func(a, _ config.Target) bool { return a.Name != "changed" })
	open := b.Incidents()
	if len(open) != 1 || open[0].Target != "kept" {
		t.Errorf("open after the reload: %v", open)
	}
	for name, reason := range map[string]string{"changed": "its configuration has changed", "removed": "the target is no longer configured"} {
		last := b.notes[len(b.notes)-1]
		for _, n := range b.notes {
			if n.Event.Target == name {
				last = n
			}
		}
		if last.Transition != config.Dismissed || last.Event.Incident.Reason != reason {
			t.Errorf("%s: %s, reason %q", name, last.Transition, last.Event.Incident.Reason)
		}
	}
	before := len(b.notes)
	for n := range 20 {
		b.Observe(round("removed", epoch.Add(time.Duration(100+n)*2*time.Second), true))
	}
	if len(b.notes) != before {
		t.Error("a removed target made an incident")
	}
}

func TestDeskTakesManyTargetsAtOnce(t *testing.T) {
	var names []string
	for n := range 50 {
		names = append(names, fmt.Sprint("target-", n))
	}
	b := newDeskBench(t, names...)
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			for n := range 60 {
				b.Observe(round(name, epoch.Add(time.Duration(n)*2*time.Second), n >= 5 && n < 25))
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			b.Reload(&config.Config{Targets: targets(names...)}, epoch, nil)
			b.Incidents()
		}
	})
	wg.Wait()
	for _, name := range names {
		if diff := cmp.Diff([]Kind{EventSuspect, EventOpened, EventResolved}, b.kinds(name)); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
	}
}

// TestEventContract holds the JSON against what other programs were promised.
func TestEventContract(t *testing.T) {
	w := &world{rand: rand.New(rand.NewPCG(1, 1)), every: 10 * time.Second, heldOpen: true}
	w.outages = []outage{{span: span{epoch.Add(time.Minute), epoch.Add(3 * time.Minute)}, mechanism: frozen_, share: 1}}
	s := newStory(t, defaultDetect)
	w.run(epoch.Add(10*time.Minute), defaultDetect, s.saw)
	for kind, want := range map[Kind][]string{
		EventOpened: {"id", "state", "target", "starts_after", "starts_before", "starts_at", "opened_at", "ends_after", "ends_before", "ends_at",
			"resolved_at", "verdict", "timeline", "rounds", "failed_rounds", "gaps", "fingerprints", "reopened"},
	} {
		b, err := json.Marshal(s.eventOf(kind))
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Event    string
			Time     time.Time
			Target   string
			Verdict  map[string]any
			Lanes    []map[string]any
			Incident map[string]any
		}
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		for _, key := range want {
			if _, ok := e.Incident[key]; !ok {
				t.Errorf("%s: incident has no %q", kind, key)
			}
		}
		for _, key := range []string{"ends_after", "ends_before", "ends_at", "resolved_at"} {
			if e.Incident[key] != nil {
				t.Errorf("%s: %q is %v, want null", kind, key, e.Incident[key])
			}
		}
		if e.Verdict["suspects"] == nil || e.Verdict["evidence"] == nil || len(e.Lanes) == 0 || e.Target != "orders" || e.Time.Location() != time.UTC {
			t.Errorf("%s: %s", kind, b)
		}
	}
}

func (s *story) eventOf(k Kind) Event {
	for _, e := range s.events {
		if e.Event == k {
			return e
		}
	}
	s.t.Fatalf("no event %s", k)
	return Event{}
}

func TestResultEventHasNoNullLists(t *testing.T) {
	b, err := json.Marshal(NewResult(round("orders", epoch, false), probe.Verdict{State: probe.Up}))
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Verdict struct{ Suspects, Evidence *[]any }
	}
	if err := json.Unmarshal(b, &e); err != nil || e.Verdict.Suspects == nil || e.Verdict.Evidence == nil {
		t.Errorf("%v %s", err, b)
	}
}

// TestDeskTellsAGapOnce: the same pause is seen between two rounds and again by the round that it reaches into.
func TestDeskTellsAGapOnce(t *testing.T) {
	b := newDeskBench(t, "orders")
	at := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	pause := probe.Gap{From: at, To: at.Add(6 * time.Second), Reason: "this process did not run"}
	b.Gap("orders", pause)
	b.Gap("orders", pause)
	b.Gap("nobody", pause)
	r := round("orders", at.Add(5*time.Second), false)
	r.Self.Gaps = []probe.Gap{pause}
	b.Observe(r)
	var got []probe.Gap
	for _, e := range b.events {
		if e.Event == EventGap {
			got = append(got, *e.Gap)
		}
	}
	if diff := cmp.Diff([]probe.Gap{pause}, got); diff != "" {
		t.Error(diff)
	}
}

// TestOpenIsCounted: a target whose certificate is renewed during an outage still has an open incident.
func TestOpenIsCounted(t *testing.T) {
	t.Parallel()
	b := newDeskBench(t, "orders")
	gauge := func() float64 { return testutil.ToFloat64(b.metrics.open.WithLabelValues("orders")) }
	outage, cert := note(config.Opened, "1"), note(config.Opened, "2")
	b.tell(outage)
	b.tell(cert)
	b.tell(note(config.Resolved, "2"))
	if gauge() != 1 {
		t.Error("the outage is not open any more")
	}
	b.tell(note(config.Resolved, "1"))
	if gauge() != 0 {
		t.Error("something is still open")
	}
}
