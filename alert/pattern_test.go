package alert

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// TestComesAndGoes: one round in sixteen fails for hours, which never lifts the sum of the last rounds for long. It is told
// once, as degraded, and over when it stops.
func TestComesAndGoes(t *testing.T) {
	t.Parallel()
	var took []time.Duration
	missed, again := 0, 0
	const worlds = 16
	for seed := range uint64(worlds) {
		w := &world{rand: rand.New(rand.NewPCG(seed, 30)), every: 10 * time.Second}
		from := epoch.Add(5 * time.Minute)
		to := from.Add(4 * time.Hour)
		w.outages = []outage{{span{from, to}, refused, 1.0 / 16}}
		s := newStory(t, defaultDetect)
		w.run(to.Add(time.Hour), defaultDetect, s.saw)
		i := s.last(EventResolved)
		if i == nil {
			missed++
			continue
		}
		for _, e := range s.events {
			if e.Event == EventOpened && e.Verdict.State == probe.Degraded && !strings.HasPrefix(e.Verdict.Evidence[0], "comes and goes: ") {
				t.Errorf("seed %d: evidence %q", seed, e.Verdict.Evidence)
			}
		}
		if opened := s.count(EventOpened); opened > 2 {
			again++
		}
		if i.EndsBefore.Before(to.Add(-time.Hour)) || i.StartsBefore.Before(from) || i.State != Resolved {
			t.Errorf("seed %d: %+v, in truth %v to %v", seed, i.Bounds, from, to)
		}
		took = append(took, s.first(EventOpened).OpenedAt.Sub(from))
	}
	slices.Sort(took)
	if missed > 0 || again > worlds/4 {
		t.Fatalf("%d of %d worlds missed, %d told several times", missed, worlds, again)
	}
	t.Logf("opened after %v, at most %v; %d of %d told more than twice", took[len(took)/2].Round(time.Second), took[len(took)-1].Round(time.Second), again, worlds)
}

func (s *story) first(k Kind) *Incident {
	for _, e := range s.events {
		if e.Event == k {
			return e.Incident
		}
	}
	return nil
}

// TestMildGetsWorse: what comes and goes and then fails for good is told as down.
func TestMildGetsWorse(t *testing.T) {
	w := &world{rand: rand.New(rand.NewPCG(4, 31)), every: 10 * time.Second}
	hard := epoch.Add(4 * time.Hour)
	w.outages = []outage{{span{epoch.Add(time.Minute), hard}, refused, 1.0 / 16}, {span{hard, hard.Add(10 * time.Minute)}, refused, 1}}
	s := newStory(t, defaultDetect)
	var states []probe.State
	w.run(hard.Add(time.Hour), defaultDetect, func(e Event) {
		s.saw(e)
		if e.Verdict != nil && (e.Event == EventOpened || e.Event == EventUpdated) {
			states = append(states, e.Verdict.State)
		}
	})
	if n := len(states); n < 2 || states[0] != probe.Degraded || states[n-1] != probe.Down {
		t.Errorf("told as %v", states)
	}
}

// TestPatternCounts: what counts as a pattern and what does not.
func TestPatternCounts(t *testing.T) {
	for name, c := range map[string]struct {
		rounds string // x failed, a digit stands for so many tens of good rounds
		failed int
		want   bool
	}{
		"one burst":             {"xxxxxxxxxxxx", 12, false},
		"two bursts":            {"xxxxxxx1xxxxx", 12, false},
		"an outage and two":     {"xxxxxxxxxxxx1x1x", 14, false},
		"three bursts":          {"xxxx1xxxx1x", 9, true},
		"three bursts, early":   {"xxx.xxx.xxx", 9, true},
		"too close":             {"xxx.xx.xxxx"[:10], 8, false},
		"too few":               {"x1x1x1x1x1x1x1x", 8, false},
		"enough":                {"x1x1x1x1x1x1x1x1x", 9, true},
		"the first are too old": {"x2x2x1x1x1x1x1x1x1x1x", 10, true},
		"all too old":           {"xxx1xxx1xxx99", 0, false},
		"half a burst too old":  {"xxxx9x1xxx", 8, false},
	} {
		var p pattern
		for _, x := range c.rounds {
			switch x {
			case 'x':
				p.note(true, start{})
			case '.':
				p.note(false, start{})
			default:
				for range 10 * int(x-'0') {
					p.note(false, start{})
				}
			}
		}
		if p.failed() != c.failed || p.certain() != c.want {
			t.Errorf("%s: %d failed, certain %v; want %d, %v", name, p.failed(), p.certain(), c.failed, c.want)
		}
	}
}

// TestToldOutagesAreNoPattern: one more failure after two outages that people were told of is not a third of a pattern.
func TestToldOutagesAreNoPattern(t *testing.T) {
	t.Parallel()
	w := &world{rand: rand.New(rand.NewPCG(3, 4)), every: time.Second}
	detect := config.Detect{Confirm: config.Duration(3 * time.Second), Resolve: config.Duration(5 * time.Second)}
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	w.outages = []outage{{span: span{at(10), at(20)}, share: 1}, {span: span{at(40), at(50)}, share: 1}, {span: span{at(70), at(71)}, share: 1}}
	s := newStory(t, detect)
	w.run(at(120), detect, s.saw)
	if n := s.count(EventOpened); n != 2 {
		t.Errorf("%d incidents were opened, want the two outages", n)
	}
}
