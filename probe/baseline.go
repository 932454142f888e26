package probe

import (
	"sync"
	"time"

	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// How a baseline is learnt and forgotten.
const (
	// sketchAccuracy is how far a quantile may be off, relatively; sketchBins bounds a sketch, and covers a factor of some
	// 800 million. What is shorter than the lowest bin is counted there.
	sketchAccuracy = 0.02
	sketchBins     = 512
	// learntAfter is from how many samples on the high quantiles are trusted.
	learntAfter = 500
	// period is how long one sketch takes samples. With the one before, the last one to two weeks count; longer on a
	// schedule so rare that a week brings too few samples.
	period = 7 * 24 * time.Hour
	// changedAfter is for how long what is unusual must go on to become usual, and quietRounds how many calm rounds end
	// such a time.
	changedAfter = 6 * time.Hour
	quietRounds  = 100
	// figuresEvery is after how many samples at most the quantiles are read again.
	figuresEvery = 100
)

// baseline is how long each stage of each lane of a target usually takes: quantile sketches of calm rounds (Masson et al.,
// DDSketch, VLDB 2019). Rounds that failed or were slow, and those right after, teach nothing. What stays slow for hours is
// usual then.
type baseline struct {
	mu      sync.Mutex
	mapping mapping.IndexMapping
	lanes   map[string]map[StageName]*usual
	// unfailed counts the rounds since the front last failed, calm those since it failed or anything was slow.
	unfailed, calm int
}

// usual is how long one stage usually takes.
type usual struct {
	// now takes samples since the time since; before is the period before that, nil if there was none.
	now, before *store.CollapsingLowestDenseStore
	since       time.Time
	// changed takes what may become usual, since its own time; nil while nothing is unusual. quiet counts the calm rounds
	// since something was.
	changed      *store.CollapsingLowestDenseStore
	changedSince time.Time
	quiet        int
	// figures were read from now and before; stale counts the samples since.
	figures figures
	stale   int
}

// figures are what is asked of a baseline: how many samples were seen, and the durations within which half, 99 of 100 and
// 999 of 1000 of them were.
type figures struct {
	seen                 int
	median, nearly, most time.Duration
}

func newBaseline() *baseline {
	m, err := mapping.NewCubicallyInterpolatedMapping(sketchAccuracy)
	if err != nil {
		panic(err) // only an accuracy outside of (0, 1) is refused
	}
	return &baseline{mapping: m, lanes: map[string]map[StageName]*usual{}, calm: calmRounds}
}

func newSketch() *store.CollapsingLowestDenseStore {
	return store.NewCollapsingLowestDenseStore(sketchBins)
}

// learn takes a round that has ended.
func (b *baseline) learn(lanes []Lane, frontFine bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unfailed++
	b.calm++
	if !frontFine {
		b.unfailed, b.calm = 0, 0
	}
	for i := range lanes {
		if lanes[i].typical() && lanes[i].slow() {
			b.calm = 0
		}
	}
	for i := range lanes {
		if l := &lanes[i]; l.typical() {
			b.learnLane(l)
		}
	}
}

func (b *baseline) learnLane(l *Lane) {
	stages := b.lanes[l.key()]
	if stages == nil {
		stages = map[StageName]*usual{}
		b.lanes[l.key()] = stages
	}
	for i := range l.Stages {
		s := &l.Stages[i]
		if !s.Good() || s.Stage == StageResolve || s.TCPInfo.Timeouts() > 0 {
			continue
		}
		u := stages[s.Stage]
		if u == nil {
			u = &usual{now: newSketch(), since: s.Started}
			stages[s.Stage] = u
		}
		u.take(b, s)
	}
}

// take takes a sample.
func (u *usual) take(b *baseline, s *Stage) {
	index := b.index(s.Duration.Std())
	calm := b.calm >= calmRounds
	if calm && s.Outcome == OK {
		u.turn(s.Started)
		u.now.Add(index)
		u.stale++
	}
	u.watchChange(s, index, calm)
	if u.stale > min(u.figures.seen/50, figuresEvery) {
		u.read(b.mapping)
	}
}

// turn begins another period once the present one is over.
func (u *usual) turn(at time.Time) {
	if at.Sub(u.since) >= period && u.now.TotalCount() >= learntAfter {
		u.now, u.before, u.since = newSketch(), u.now, at
	}
}

// watchChange takes a sample of what may become usual: everything since something was unusual.
func (u *usual) watchChange(s *Stage, index int, calm bool) {
	switch {
	case s.Unusual && u.changed == nil:
		u.changed, u.changedSince, u.quiet = newSketch(), s.Started, 0
	case s.Unusual:
		u.quiet = 0
	case u.changed == nil:
		return
	case calm:
		u.quiet++
	}
	u.changed.Add(index)
	long := u.figures.seen < learntAfter || s.Started.Sub(u.changedSince) >= changedAfter
	switch {
	case u.quiet >= quietRounds:
		u.changed = nil
	case long && u.changed.TotalCount() >= learntAfter:
		u.now, u.before, u.since = u.changed, nil, u.changedSince
		u.changed, u.stale = nil, figuresEvery+1
	}
}

// read reads the figures.
func (u *usual) read(m mapping.IndexMapping) {
	all := u.now.Copy()
	if u.before != nil {
		all.MergeWith(u.before)
	}
	n := all.TotalCount()
	within := func(q float64) time.Duration {
		return time.Duration(m.Value(all.KeyAtRank(q*(n-1))) * float64(time.Microsecond))
	}
	u.stale = 0
	if u.figures = (figures{seen: int(n)}); n > 0 {
		u.figures = figures{int(n), within(0.5), within(0.99), within(0.999)}
	}
}

// index is the bin of a duration: of microseconds, at least one and at most an hour's.
func (b *baseline) index(d time.Duration) int {
	return b.mapping.Index(max(1, min(d, time.Hour).Seconds()*1e6))
}
