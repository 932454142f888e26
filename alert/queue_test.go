package alert

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/config"
)

// waits is what a queue would send, in its order, if every attempt went well.
func waits(q *queue) (out []string) {
	for _, d := range q.items {
		out = append(out, line1(d))
	}
	return out
}

func pushed(people bool, notes ...Event) *queue {
	q := newQueue(people)
	for n, e := range notes {
		t, _ := e.Event.Transition()
		q.push(&Delivery{Seq: int64(n + 1), Incident: e.Incident.ID, Transition: t, Notification: Notification{Transition: t, Event: e}, State: Waiting})
	}
	q.durable = int64(len(notes))
	return q
}

// TestCoalescing: programs get every opened and resolved, people one message of what is over, and nobody two updates.
func TestCoalescing(t *testing.T) {
	t.Parallel()
	over := []Event{note(config.Suspect, "1"), note(config.Opened, "1"), note(config.Updated, "1"), note(config.Updated, "1"),
		note(config.Opened, "2"), note(config.Resolved, "1"), note(config.Updated, "2")}
	for _, c := range []struct {
		people bool
		events []Event
		want   []string
	}{
		{false, over, []string{"suspect 1 orders", "opened 1 orders", "opened 2 orders", "resolved 1 orders", "updated 2 orders"}},
		{true, over, []string{"resolved whole 1 orders", "opened 2 orders"}},
		{true, []Event{note(config.Suspect, "1"), note(config.Dismissed, "1")}, []string{"dismissed 1 orders"}},
		{true, []Event{note(config.Opened, "1"), note(config.Resolved, "1"), note(config.Opened, "1")}, []string{"opened 1 orders"}},
		{true, []Event{note(config.Opened, "1"), note(config.Resolved, "1"), note(config.Opened, "1"), note(config.Resolved, "1")}, []string{"resolved whole 1 orders"}},
		{false, []Event{note(config.Opened, "1"), note(config.Updated, "1"), note(config.Resolved, "1"), note(config.Opened, "1")},
			[]string{"opened 1 orders", "resolved 1 orders", "opened 1 orders"}},
	} {
		if diff := cmp.Diff(c.want, waits(pushed(c.people, c.events...))); diff != "" {
			t.Errorf("people %v: %s", c.people, diff)
		}
	}
}

// TestWhatWasTriedStays: an attempt whose outcome is not known may have told people.
func TestWhatWasTriedStays(t *testing.T) {
	t.Parallel()
	q := pushed(true, note(config.Opened, "1"))
	d, _ := q.next(epoch)
	q.push(&Delivery{Seq: 2, Incident: "1", Transition: config.Resolved, Notification: Notification{Transition: config.Resolved, Event: note(config.Resolved, "1")}})
	if diff := cmp.Diff([]string{"opened 1 orders", "resolved 1 orders"}, waits(q)); diff != "" {
		t.Error(diff)
	}
	q.settle(d, false, 0, epoch)
	q.push(&Delivery{Seq: 3, Incident: "1", Transition: config.Opened, Notification: Notification{Transition: config.Opened, Event: note(config.Opened, "1")}})
	if q.len() != 3 {
		t.Errorf("%q", waits(q))
	}
}

// TestAnHourWithoutAReceiver: a thousand events wait; once it works again all are delivered within a minute, in order, and
// people get one message of each incident that is over.
func TestAnHourWithoutAReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dead atomic.Bool
		dead.Store(true)
		reply := func(int) error {
			if dead.Load() {
				return errors.New("connection refused")
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		}
		hook, ops := &fake{reply: reply}, &fake{reply: reply}
		b := newBench(t, newRAM(), []config.Receiver{{Name: "hook"}, people("ops")}, map[string]*fake{"hook": hook, "ops": ops})
		stop := b.run()
		var want []string
		for n := range 500 {
			id := fmt.Sprint(n)
			b.send(note(config.Opened, id))
			time.Sleep(3600 * time.Millisecond)
			b.send(note(config.Resolved, id))
			time.Sleep(3600 * time.Millisecond)
			want = append(want, "opened "+id, "resolved "+id)
		}
		dead.Store(false)
		time.Sleep(time.Minute)
		stop()
		seen := map[string][]string{}
		for _, s := range hook.told() {
			var kind, id string
			if _, err := fmt.Sscan(s, &kind, &id); err != nil {
				t.Fatal(err)
			}
			seen[id] = append(seen[id], kind)
		}
		for id, kinds := range seen {
			if diff := cmp.Diff([]string{"opened", "resolved"}, kinds); diff != "" {
				t.Errorf("incident %s: %s", id, diff)
			}
		}
		if len(hook.told()) != len(want) {
			t.Errorf("%d of %d messages came within a minute", len(hook.told()), len(want))
		}
		if n := len(ops.told()); n < 500 || n > 510 {
			t.Errorf("people got %d messages of 500 incidents", n)
		}
	})
}

// TestADeadReceiverIsNotHammered: it is tried now and then, and not once a message.
func TestADeadReceiverIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{reply: func(int) error { return errors.New("connection refused") }}
		b := newBench(t, newRAM(), []config.Receiver{{Name: "a"}}, map[string]*fake{"a": f})
		stop := b.run()
		for n := range 200 {
			b.send(note(config.Opened, fmt.Sprint(n)))
		}
		time.Sleep(time.Hour)
		stop()
		if n := len(f.at); n > 3600/int(longestRetry.Seconds())*2+20 {
			t.Errorf("tried %d times in an hour", n)
		}
	})
}

// TestMemoryIsDurable: what a notifier remembers is there after a restart, and only for that receiver.
func TestMemoryIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRAM()
		receivers := []config.Receiver{{Name: "a/b"}, {Name: "a"}}
		fakes := map[string]*fake{"a/b": {}, "a": {}}
		b := newBench(t, store, receivers, fakes)
		stop := b.run()
		m := &memory{d: b.Dispatcher, receiver: "a/b"}
		m.Set(context.Background(), "incident/1", "C1 17.5")
		m.Set(context.Background(), "gone", "x")
		m.Delete(context.Background(), "gone")
		stop()
		b = newBench(t, store, receivers, fakes)
		got := (&memory{d: b.Dispatcher, receiver: "a/b"}).All()
		if diff := cmp.Diff(map[string]string{"incident/1": "C1 17.5"}, got); diff != "" {
			t.Error(diff)
		}
		if other := (&memory{d: b.Dispatcher, receiver: "a"}).All(); len(other) != 0 {
			t.Errorf("another receiver knows %v", other)
		}
	})
}

// TestDrill goes through every receiver that takes part, says how each did, and is remembered.
func TestDrill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := false
		fakes := map[string]*fake{"good": {}, "bad": {reply: func(int) error { return &PermanentError{errors.New("token wrong")} }},
			"slow": {reply: func(int) error { return errors.New("connection refused") }}, "none": {}}
		store := newRAM()
		receivers := []config.Receiver{{Name: "good", Slack: &config.Slack{}}, {Name: "bad"}, {Name: "slow"}, {Name: "none", Drill: &off}}
		b := newBench(t, store, receivers, fakes)
		stop := b.run()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		results := map[string]string{}
		for _, r := range b.RunDrill(ctx, "orders", func(time.Time) string { return "drill-1" }) {
			results[r.Receiver] = r.Error
		}
		if diff := cmp.Diff(map[string]string{"good": "", "bad": "token wrong", "slow": "connection refused"}, results); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"opened drill-1", "resolved drill-1"}, fakes["good"].told()); diff != "" {
			t.Error(diff)
		}
		stop()
		b = newBench(t, store, receivers, fakes)
		for _, r := range b.Drills() {
			if good := r.Receiver == "good"; r.Succeeded.IsZero() == good {
				t.Errorf("after a restart: %+v", r)
			}
		}
		time.Sleep(DrillOverdue + time.Hour)
		for _, r := range b.Drills() {
			if !r.Overdue(time.Now()) {
				t.Errorf("not overdue: %+v", r)
			}
		}
	})
}
