package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// office is an outbox whose messages a test reads as lines: "receiver: transition id target[+others]".
type office struct {
	*Outbox
	now time.Time
	log []string
}

func newOffice(receivers ...config.Receiver) *office {
	return &office{Outbox: NewOutbox(&config.Config{Receivers: receivers}), now: epoch}
}

// happens takes a step of an incident of a target whose front is at an address, after some time.
func (o *office) happens(after time.Duration, k Kind, id, target, address string, change ...func(*Event)) {
	o.now = o.now.Add(after)
	v := down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
	v.Suspects = []probe.Suspect{{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}}
	state := map[Kind]State{EventSuspect: Suspected, EventOpened: Open, EventUpdated: Open, EventResolved: Resolved, EventDismissed: Dismissed}[k]
	i := &Incident{ID: id, Target: target, State: state, Verdict: v, Bounds: Bounds{StartsBefore: o.now}}
	if prev := o.seen[id]; prev != nil {
		i.Bounds = prev.Incident.Bounds
	}
	if k == EventResolved {
		end := o.now
		i.EndsAfter, i.EndsBefore, i.EndsAt = &i.StartsBefore, &end, &end
	}
	e := Event{Event: k, Time: o.now, Target: target, Verdict: &i.Verdict, Incident: i, Lanes: []probe.Lane{{Lane: probe.LaneFront,
		Address: address, Stages: []probe.Stage{{Stage: probe.StageTLS, Outcome: probe.Failed, Type: probe.TLSTimedOut}}}}}
	for _, c := range change {
		c(&e)
	}
	o.Take(e, o.now)
	o.deliver()
}

func (o *office) passes(d time.Duration) {
	for end := o.now.Add(d); o.now.Before(end); {
		o.now = o.now.Add(time.Second)
		o.Tick(o.now)
		o.deliver()
	}
}

// deliver sends everything that waits.
func (o *office) deliver() {
	o.Committed(o.Seq(), false)
	for _, l := range o.lines {
		for {
			d, _, ok := o.Next(l.cfg.Name, o.now)
			if !ok {
				break
			}
			o.log = append(o.log, d.Receiver+": "+line1(&d))
			o.Settle(l.cfg.Name, d.Seq, nil, o.now)
		}
	}
}

func line1(d *Delivery) string {
	n := d.Notification
	word := string(d.Transition)
	if n.Reminder {
		word = "reminder"
	}
	if n.Whole {
		word += " whole"
	}
	var others []string
	for _, m := range n.Event.Incident.Members {
		others = append(others, fmt.Sprintf("%s=%s", m.Target, m.State))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", word, d.Incident, n.Event.Target, strings.Join(others, ",")))
}

func (o *office) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, o.log); diff != "" {
		t.Error(diff)
	}
	o.log = nil
}

const front1, front2, front3 = "10.0.1.11:443", "10.0.1.11:8443", "10.0.2.11:443"

func people(name string, more ...config.Transition) config.Receiver {
	return config.Receiver{Name: name, Slack: &config.Slack{}, On: append([]config.Transition{config.Opened, config.Resolved}, more...)}
}

// TestTargetsThatFailTogether are one incident for people, and one each for programs; who shares nothing is another.
func TestTargetsThatFailTogether(t *testing.T) {
	t.Parallel()
	o := newOffice(people("ops", config.Updated), config.Receiver{Name: "hook", Webhook: &config.Webhook{}})
	o.happens(0, EventSuspect, "1", "orders", front1)
	o.happens(time.Second, EventOpened, "1", "orders", front1)
	o.happens(time.Second, EventSuspect, "2", "shop", front2)
	o.happens(time.Second, EventOpened, "2", "shop", front2)
	o.happens(time.Second, EventOpened, "3", "mail", front3)
	o.want(t, "ops: opened 1 orders", "hook: opened 1 orders", "hook: opened 2 shop", "ops: opened 3 mail", "hook: opened 3 mail")
	o.passes(updateBreath)
	o.want(t, "ops: updated 1 orders orders=open,shop=open")
	o.happens(time.Minute, EventResolved, "1", "orders", front1)
	o.passes(2 * time.Second)
	o.want(t, "hook: resolved 1 orders", "ops: updated 1 shop orders=resolved,shop=open")
	o.happens(time.Minute, EventResolved, "2", "shop", front2)
	o.want(t, "ops: resolved 1 orders orders=resolved,shop=resolved", "hook: resolved 2 shop")
	o.happens(time.Minute, EventOpened, "2", "shop", front2) // a relapse
	o.want(t, "ops: opened 1 shop shop=open", "hook: opened 2 shop")
	o.happens(time.Minute, EventResolved, "2", "shop", front2)
	o.want(t, "ops: resolved 1 shop shop=resolved", "hook: resolved 2 shop")
	o.passes(2 * rememberGroup)
	if len(o.seen) != 1 || len(o.lines[0].ledger.Groups) != 1 {
		t.Errorf("%d incidents and %d groups are remembered", len(o.seen), len(o.lines[0].ledger.Groups))
	}
}

// TestGroupBounds: the first start and the last end of the members lie within the bounds of the whole.
func TestGroupBounds(t *testing.T) {
	t.Parallel()
	o := newOffice(people("ops", config.Updated))
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	bounds := func(sa, sb int, ends ...int) func(*Event) {
		return func(e *Event) {
			a := at(sa)
			e.Incident.Bounds = Bounds{StartsAfter: &a, StartsBefore: at(sb)}
			if len(ends) == 2 {
				c, d := at(ends[0]), at(ends[1])
				e.Incident.EndsAfter, e.Incident.EndsBefore = &c, &d
			}
		}
	}
	o.happens(0, EventOpened, "1", "orders", front1, bounds(3, 9))
	o.happens(0, EventOpened, "2", "shop", front2, bounds(5, 6))
	o.happens(0, EventResolved, "1", "orders", front1, bounds(3, 9, 20, 31))
	o.happens(0, EventResolved, "2", "shop", front2, bounds(5, 6, 25, 26))
	g := o.lines[0].ledger.Groups[0]
	e, _ := g.event(EventResolved, o.now, o.seen)
	i := e.Incident
	got := []time.Time{*i.StartsAfter, i.StartsBefore, *i.EndsAfter, *i.EndsBefore, i.StartsAt, *i.EndsAt}
	if diff := cmp.Diff([]time.Time{at(3), at(6), at(25), at(31), at(6), at(31)}, got); diff != "" {
		t.Error(diff)
	}
}

// TestOtherCausesAreOtherIncidents: a host that two targets share does not make one incident of two that began far apart
// and look otherwise.
func TestOtherCausesAreOtherIncidents(t *testing.T) {
	t.Parallel()
	o := newOffice(people("ops"))
	refused := func(e *Event) {
		e.Incident.Verdict.Suspects = []probe.Suspect{{Layer: probe.LayerProxy, Cause: probe.CauseProcessDead}}
	}
	o.happens(0, EventOpened, "1", "orders", front1)
	o.happens(sameOutage+time.Second, EventOpened, "2", "shop", front2, refused)
	o.happens(0, EventOpened, "3", "mail", front2)
	o.want(t, "ops: opened 1 orders", "ops: opened 2 shop")
}

// TestRoutes: targets by pattern, layers by suspects, and the end of what was told even if the layer changed.
func TestRoutes(t *testing.T) {
	t.Parallel()
	o := newOffice(
		config.Receiver{Name: "shops", Targets: []string{"shop-*"}},
		config.Receiver{Name: "network", Layers: []config.Layer{"network"}},
	)
	network := func(e *Event) {
		e.Incident.Verdict.Suspects = []probe.Suspect{{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}, {Layer: probe.LayerNetwork, Cause: probe.CauseReturnDropped}}
	}
	o.happens(0, EventOpened, "1", "shop-eu", front1)
	o.happens(0, EventOpened, "2", "orders", front1, network)
	o.happens(time.Minute, EventResolved, "1", "shop-eu", front1)
	o.happens(0, EventResolved, "2", "orders", front1)
	o.want(t, "shops: opened 1 shop-eu", "network: opened 2 orders", "shops: resolved 1 shop-eu", "network: resolved 2 orders")
}

// TestLayerThatShowsLate: an incident that turns out to be of a receiver's layer is told when it does.
func TestLayerThatShowsLate(t *testing.T) {
	t.Parallel()
	o := newOffice(config.Receiver{Name: "network", Layers: []config.Layer{"network"}})
	o.happens(0, EventOpened, "1", "orders", front1)
	o.happens(time.Second, EventUpdated, "1", "orders", front1, func(e *Event) {
		e.Incident.Verdict.Layer, e.Incident.Verdict.Suspects = probe.LayerNetwork, nil
	})
	o.happens(time.Minute, EventResolved, "1", "orders", front1)
	o.want(t, "network: opened 1 orders", "network: resolved 1 orders")
}

// TestMaintenance: nothing is told in it but the end of what was told before; what still lasts at its end is told then.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	o := newOffice(config.Receiver{Name: "ops", On: []config.Transition{config.Suspect, config.Opened, config.Resolved}})
	until := epoch.Add(time.Hour)
	o.lines[0].ledger.maintenance = func(target string, at time.Time) time.Time {
		if target == "orders" && !at.Before(epoch.Add(10*time.Second)) && at.Before(until) {
			return until
		}
		return time.Time{}
	}
	o.happens(0, EventOpened, "0", "orders", front1)
	o.happens(10*time.Second, EventResolved, "0", "orders", front1)
	o.happens(time.Second, EventSuspect, "1", "orders", front1)
	o.happens(time.Second, EventOpened, "1", "orders", front1)
	o.happens(time.Second, EventResolved, "1", "orders", front1)
	o.happens(time.Second, EventOpened, "2", "orders", front1)
	o.happens(time.Second, EventOpened, "3", "mail", front3)
	o.want(t, "ops: opened 0 orders", "ops: resolved 0 orders", "ops: opened 3 mail")
	o.passes(59 * time.Minute)
	o.want(t)
	o.passes(time.Minute)
	o.want(t, "ops: opened 2 orders")
	o.happens(0, EventResolved, "2", "orders", front1)
	o.want(t, "ops: resolved 2 orders")
}

// TestReminders come while an incident is open, and only then.
func TestReminders(t *testing.T) {
	t.Parallel()
	o := newOffice(config.Receiver{Name: "ops", Repeat: config.Duration(time.Hour)})
	o.happens(0, EventOpened, "1", "orders", front1)
	o.passes(150 * time.Minute)
	o.happens(0, EventResolved, "1", "orders", front1)
	o.passes(3 * time.Hour)
	o.want(t, "ops: opened 1 orders", "ops: reminder 1 orders", "ops: reminder 1 orders", "ops: resolved 1 orders")
}

// TestOwnTroubles go to those who are for everything, and never to the receiver that they are about.
func TestOwnTroubles(t *testing.T) {
	t.Parallel()
	o := newOffice(config.Receiver{Name: "all"}, config.Receiver{Name: "broken"}, config.Receiver{Name: "some", Targets: []string{"orders"}})
	self := NewSelf(func(time.Time) string { return "s" })
	about := Trouble{Cause: probe.CauseReceiverRefuses, About: "broken"}
	for _, e := range append(self.Begin(about, "token wrong", epoch), self.Begin(about, "token wrong", epoch)...) {
		o.Take(e, epoch)
	}
	o.deliver()
	for _, e := range append(self.End(about, epoch.Add(time.Hour)), self.End(about, epoch.Add(time.Hour))...) {
		o.Take(e, epoch)
	}
	o.deliver()
	o.want(t, "all: opened s "+SelfTarget, "all: resolved s "+SelfTarget)
}

// TestDismissedAfterOpened: an incident whose target is no longer watched ends for those who heard of it.
func TestDismissedAfterOpened(t *testing.T) {
	t.Parallel()
	o := newOffice(config.Receiver{Name: "ops"})
	o.happens(0, EventOpened, "1", "orders", front1)
	o.happens(0, EventDismissed, "1", "orders", front1)
	o.happens(0, EventSuspect, "2", "orders", front1)
	o.happens(0, EventDismissed, "2", "orders", front1)
	o.want(t, "ops: opened 1 orders", "ops: dismissed 1 orders")
}

// TestRestoreOfAnOutbox: another process goes on with the same messages, groups and order, whatever the instant.
func TestRestoreOfAnOutbox(t *testing.T) {
	t.Parallel()
	receivers := []config.Receiver{people("ops", config.Updated), {Name: "hook", Webhook: &config.Webhook{}}}
	steps := func(o *office, crash func()) {
		for _, s := range []struct {
			k          Kind
			id, target string
		}{{EventOpened, "1", "orders"}, {EventOpened, "2", "shop"}, {EventUpdated, "1", "orders"}, {EventResolved, "2", "shop"}, {EventResolved, "1", "orders"}} {
			crash()
			o.happens(20*time.Second, s.k, s.id, s.target, front1)
			crash()
			o.passes(20 * time.Second)
		}
	}
	calm := newOffice(receivers...)
	steps(calm, func() {})
	troubled, store := newOffice(receivers...), newRAM()
	steps(troubled, func() {
		b := troubled.Flush()
		if err := store.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		troubled.Outbox = NewOutbox(&config.Config{Receivers: receivers})
		if dropped, err := troubled.Restore(store.saved()); err != nil || len(dropped) > 0 {
			t.Fatal(err, dropped)
		}
	})
	if len(calm.log) < 8 {
		t.Errorf("only %q", calm.log)
	}
	if diff := cmp.Diff(calm.log, troubled.log); diff != "" {
		t.Error(diff)
	}
}
