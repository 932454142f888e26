package alert

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

var years = flag.Int("years", 1, "how many times as many years the false openings are counted for")

// quiet is a path on which nothing is really wrong, looked at for years; the good rounds while nothing goes on are skipped.
type quiet struct {
	rand *rand.Rand
	// chance is that of a round to fail, blips how many micro-outages there are a day, each as long as blip says: so many
	// rounds, and so long.
	chance, blips float64
	addresses     int // behind the name
	blip          func() (rounds int, length time.Duration)

	now, blipsTo time.Time
	blipRounds   int
	nextBlip     time.Time
	forced       bool // the next round fails by chance
	opened       int
	suspected    int
	rounds       int
}

const quietEvery = 10 * time.Second

// untilBlip is how long it is to the next micro-outage.
func (q *quiet) untilBlip() time.Duration {
	if q.blips == 0 {
		return 100 * 365 * 24 * time.Hour
	}
	return time.Duration(q.rand.ExpFloat64() / q.blips * float64(24*time.Hour))
}

// fails decides whether the round that begins now fails.
func (q *quiet) fails() bool {
	for !q.nextBlip.After(q.now) {
		q.blipRounds, q.blipsTo = 0, q.nextBlip
		n, d := q.blip()
		q.blipRounds, q.blipsTo = n, q.nextBlip.Add(d)
		q.nextBlip = q.nextBlip.Add(q.untilBlip())
	}
	if q.blipRounds > 0 || q.now.Before(q.blipsTo) {
		q.blipRounds--
		return true
	}
	if q.forced {
		q.forced = false
		return true
	}
	return q.rand.Float64() < q.chance
}

// look is one round.
func (q *quiet) look(tr *Tracker) Step {
	q.rounds++
	bad := q.fails()
	v := probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone}
	if bad {
		v = down(probe.LayerNetwork, probe.CauseRefused, probe.Likely)
	}
	r := round("orders", q.now, bad)
	if q.addresses > 1 {
		r.Lanes[0].Address = addressNumber(q.rand.IntN(q.addresses))
	}
	step := tr.Observe(r, v)
	for _, e := range step.Events {
		switch e.Event {
		case EventOpened:
			q.opened++
		case EventSuspect:
			q.suspected++
		}
	}
	return step
}

// skip leaves out rounds that are good for sure.
func (q *quiet) skip(tr *Tracker) {
	if q.forced || tr.s.Incident != nil || len(tr.s.Members) > 0 || q.blipRounds > 0 {
		return
	}
	n := int(math.Log(1-q.rand.Float64()) / math.Log(1-q.chance)) // that are good before one fails by chance
	if until := int(q.nextBlip.Sub(q.now) / quietEvery); until < n {
		n = max(0, until-1)
	} else {
		q.forced = true
	}
	tr.s.Pattern.Rounds += n
	q.now = q.now.Add(time.Duration(n) * quietEvery)
}

func (q *quiet) run(length time.Duration) {
	tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
	q.now = epoch
	q.nextBlip = epoch.Add(q.untilBlip())
	for q.now.Sub(epoch) < length {
		step := q.look(tr)
		wait := quietEvery
		if step.Next > 0 {
			wait = min(wait, step.Next)
		}
		q.now = q.now.Add(wait)
		q.skip(tr)
	}
}

// TestFalseOpenings counts how often people are told of nothing, in years of targets that are looked at every 10 s.
func TestFalseOpenings(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		name          string
		years         int
		chance, blips float64
		addresses     int
		rounds        int           // a micro-outage has 1 to so many rounds
		length        time.Duration // or up to so long
		most          float64       // openings a year
	}{
		{"quiet, 1 micro-outage a day of 1-2 rounds", 10, 1e-4, 1, 1, 2, 0, 0.1},
		{"quiet, 1 micro-outage a day of up to 5 s", 10, 1e-4, 1, 1, 0, 5 * time.Second, 0.1},
		// Two of these within two minutes are told, and should be.
		{"quiet, 1 micro-outage a day of up to 15 s", 6, 1e-4, 1, 1, 0, 15 * time.Second, 0.5},
		{"noisy, 0.8 % fail by chance", 3, 0.008, 0, 1, 1, 0, 2},
		{"noisy, ten addresses", *years / 4, 0.008, 0, 10, 1, 0, 2},
	} {
		n := c.years * *years
		if c.addresses > 1 {
			n = c.years // next to nothing can be skipped: only when asked for many years
		}
		if n == 0 {
			continue
		}
		rnd := rand.New(rand.NewPCG(40, uint64(c.rounds)))
		total := quiet{rand: rnd}
		for range n {
			q := &quiet{rand: rnd, chance: c.chance, blips: c.blips, addresses: c.addresses, blip: func() (int, time.Duration) {
				if c.rounds > 0 {
					return 1 + rnd.IntN(c.rounds), 0
				}
				return 0, time.Duration(rnd.Int64N(int64(c.length)))
			}}
			q.run(year)
			total.opened += q.opened
			total.suspected += q.suspected
			total.rounds += q.rounds
		}
		rate := float64(total.opened) / float64(n)
		t.Logf("%s: %.3f openings a target-year (%d in %d years), %.0f suspects", c.name, rate, total.opened, n, float64(total.suspected)/float64(n))
		if rate > c.most {
			t.Errorf("%s: %d openings in %d years", c.name, total.opened, n)
		}
	}
}

// TestLossOpensNothing: on a path that loses 5 % of all packets some rounds send something again and users are served; that
// many rounds are slow is no reason to wake somebody.
func TestLossOpensNothing(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(41, 1))
	tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
	now := epoch
	for range 30 * 24 * 360 {
		v := probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone}
		bad := false
		switch x := rnd.Float64(); {
		case x < 0.05*0.05*0.05: // a SYN, and both that follow
			v, bad = down(probe.LayerNetwork, probe.CausePortDropped, probe.Ambiguous), true
		case x < 0.1:
			v = probe.Verdict{State: probe.Degraded, Layer: probe.LayerNetwork, Cause: probe.CauseLoss, Confidence: probe.Likely}
		}
		step := tr.Observe(round("orders", now, bad), v)
		for _, e := range step.Events {
			if e.Event == EventOpened {
				t.Fatalf("opened: %+v", e.Incident)
			}
		}
		wait := quietEvery
		if step.Next > 0 {
			wait = min(wait, step.Next)
		}
		now = now.Add(wait)
	}
}
