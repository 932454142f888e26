package alert

import (
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// maxLanesSeen bounds the memory of addresses behind a name that changes them all the time.
const maxLanesSeen = 256

// laneKey tells one lane of a target from the others. Address is empty for "any address".
type laneKey struct {
	Kind    probe.LaneKind
	Hop     string
	Address string
}

// keyOf names a lane. A look that is made in another way than users go is a lane by itself.
func keyOf(l *probe.Lane) laneKey {
	if l.Look != "" {
		return laneKey{probe.LaneKind(l.Look), l.Hop, l.Address}
	}
	return laneKey{l.Lane, l.Hop, l.Address}
}

func (k laneKey) anyAddress() laneKey { k.Address = ""; return k }

// fault is a stage that makes a round bad, and its lane.
type fault struct {
	lane  *probe.Lane
	stage *probe.Stage
}

// key is the lane's; names are resolved before there is an address.
func (f fault) key() laneKey {
	if f.stage.Stage == probe.StageResolve {
		return keyOf(f.lane).anyAddress()
	}
	return keyOf(f.lane)
}

// faultsOf finds the stages that explain a bad round: what users see first. Only when no front lane fails do the other
// lanes count, and only when none fails do slow ones. Further looks made because another lane failed come last: they
// look differently. A round can be bad without any, such as one with a certificate that ends soon.
func faultsOf(r *probe.Result) []fault {
	for _, outcome := range []probe.Outcome{probe.Failed, probe.Slow} {
		for _, extra := range []bool{false, true} {
			for _, front := range []bool{true, false} {
				if f := faultsWith(r, outcome, extra, front); len(f) > 0 {
					return f
				}
			}
		}
	}
	return nil
}

func faultsWith(r *probe.Result, outcome probe.Outcome, extra, front bool) (out []fault) {
	for i := range r.Lanes {
		l := &r.Lanes[i]
		side := l.Lane == probe.LaneVia || l.Lane == probe.LaneBackend
		if l.Look != "" || l.Extra != extra || front && l.Lane != probe.LaneFront || !front && !side {
			continue
		}
		for j := range l.Stages {
			if l.Stages[j].Outcome == outcome && !l.Stages[j].Started.IsZero() {
				out = append(out, fault{l, &l.Stages[j]})
				break
			}
		}
	}
	return out
}

// lastGood remembers when each stage of each lane last began to be good.
type lastGood struct {
	Stages map[laneKey]map[probe.StageName]time.Time
	// Round is when the last good round began.
	Round time.Time
}

// note takes a good round.
func (g *lastGood) note(r *probe.Result) {
	if g.Stages == nil || len(g.Stages) > maxLanesSeen {
		g.Stages = map[laneKey]map[probe.StageName]time.Time{}
	}
	g.Round = r.Started
	for i := range r.Lanes {
		l := &r.Lanes[i]
		for _, k := range []laneKey{keyOf(l), keyOf(l).anyAddress()} {
			if g.Stages[k] == nil {
				g.Stages[k] = make(map[probe.StageName]time.Time, len(l.Stages))
			}
			for j := range l.Stages {
				if s := &l.Stages[j]; s.Good() && !s.Started.IsZero() {
					g.Stages[k][s.Stage] = s.Started
				}
			}
		}
	}
}

// before is when the same stage began in the last round in which it was good; zero if it never was.
func (g *lastGood) before(f fault) time.Time {
	for _, k := range []laneKey{f.key(), f.key().anyAddress()} {
		if t, ok := g.Stages[k][f.stage.Stage]; ok {
			return t
		}
	}
	return g.Round
}

// here is when the same stage was last good at the very same address; zero if it never was.
func (g *lastGood) here(f fault) time.Time { return g.Stages[f.key()][f.stage.Stage] }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func utc(t time.Time) *time.Time {
	t = t.UTC()
	return &t
}
