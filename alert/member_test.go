package alert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// TestOneOfManyAddresses breaks one address of a name for good: it is told soon, once, as degraded, and its end is not
// taken from rounds that went elsewhere.
func TestOneOfManyAddresses(t *testing.T) {
	t.Parallel()
	for _, k := range []int{2, 3, 5, 10, 20} {
		var took []time.Duration
		unbounded := 0
		for seed := range uint64(12) {
			w := &world{rand: rand.New(rand.NewPCG(seed, 20)), every: 10 * time.Second, addresses: k, only: 1}
			from := epoch.Add(time.Duration(k)*2*time.Minute + w.ms(0, 10000)) // each was seen to serve, very likely
			to := from.Add(40 * time.Minute)
			w.outages = []outage{{span{from, to}, mechanism(w.rand.IntN(2)), 1}}
			s := newStory(t, defaultDetect)
			w.run(to.Add(20*time.Minute), defaultDetect, s.saw)
			opened, i := s.count(EventOpened), s.last(EventResolved)
			if opened != 1 || i == nil || s.count(EventResolved) != 1 || i.Reopened != 0 {
				t.Fatalf("%d addresses, seed %d: %d opened, %d resolved", k, seed, opened, s.count(EventResolved))
			}
			if i.Verdict.State != probe.Degraded {
				t.Errorf("%d addresses, seed %d: told as %s", k, seed, i.Verdict.State)
			}
			if i.StartsAfter == nil {
				unbounded++
			} else if i.StartsAfter.After(from) || from.After(i.StartsBefore) || i.EndsAfter.After(to) || to.After(*i.EndsBefore) {
				t.Errorf("%d addresses, seed %d: (%v, %v] to (%v, %v], in truth %v to %v", k, seed,
					i.StartsAfter, i.StartsBefore, i.EndsAfter, i.EndsBefore, from, to)
			}
			took = append(took, i.OpenedAt.Sub(from))
		}
		if unbounded > 1 {
			t.Errorf("%d addresses: %d starts are unbounded", k, unbounded)
		}
		slices.Sort(took)
		t.Logf("%d addresses: opened after %v, at most %v", k, took[len(took)/2].Round(time.Second), took[len(took)-1].Round(time.Second))
		if worst := took[len(took)-1]; worst > time.Minute+time.Duration(k)*75*time.Second {
			t.Errorf("%d addresses: opened after %v", k, worst)
		}
	}
}

func (s *story) count(k Kind) (n int) {
	for _, e := range s.events {
		if e.Event == k {
			n++
		}
	}
	return n
}

// TestAllOfManyAddresses: an outage of all addresses is no worse told than that of a single one.
func TestAllOfManyAddresses(t *testing.T) {
	for seed := range uint64(40) {
		w := &world{rand: rand.New(rand.NewPCG(seed, 21)), every: 10 * time.Second, addresses: 10}
		from := epoch.Add(2 * time.Minute)
		to := from.Add(5 * time.Minute)
		w.outages = []outage{{span{from, to}, refused, 1}}
		s := newStory(t, defaultDetect)
		w.run(to.Add(10*time.Minute), defaultDetect, s.saw)
		i := s.last(EventResolved)
		if i == nil || i.Verdict.State != probe.Down || i.OpenedAt.Sub(from) > 33*time.Second || i.ResolvedAt.Sub(to) > 80*time.Second {
			t.Fatalf("seed %d: %+v", seed, i)
		}
		if to.After(*i.EndsBefore) || i.EndsBefore.Sub(*i.EndsAfter) > 3*time.Second {
			t.Errorf("seed %d: ended in (%v, %v], in truth %v", seed, i.EndsAfter, i.EndsBefore, to)
		}
	}
}

// TestAddressThatLeaves: the broken address is taken out of the name; the incident does not wait for it for ever.
func TestAddressThatLeaves(t *testing.T) {
	w := &world{rand: rand.New(rand.NewPCG(1, 22)), every: 10 * time.Second, addresses: 5, only: 5}
	w.outages = []outage{{span{epoch.Add(time.Minute), epoch.AddDate(1, 0, 0)}, refused, 1}}
	s := newStory(t, defaultDetect)
	left := epoch.Add(30 * time.Minute)
	w.saw = func(r *probe.Result, _ probe.Verdict, _ Step) {
		if r.Ended.After(left) {
			w.addresses = 4
		}
	}
	tr := w.run(left.Add(10*time.Minute), defaultDetect, s.saw)
	i := s.last(EventResolved)
	if i == nil || i.ResolvedAt.Sub(left) > unseenRounds*reprobeSoon+time.Minute || len(tr.s.Members) != 0 {
		t.Fatalf("resolved: %+v, members %v", i, tr.s.Members)
	}
}

// TestMembersAreBounded: a name that leads to new addresses all the time, all broken, costs no more than its bound.
func TestMembersAreBounded(t *testing.T) {
	tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
	for n := range 1000 {
		at := epoch.Add(time.Duration(n) * 2 * time.Second)
		r := round("orders", at, true)
		r.Lanes[0].Address = fmt.Sprintf("10.0.%d.%d:443", n/250, n%250)
		tr.Observe(r, down(probe.LayerNetwork, probe.CauseRefused, probe.Likely))
		if len(tr.s.Members) > maxMembers {
			t.Fatalf("%d members", len(tr.s.Members))
		}
	}
}
