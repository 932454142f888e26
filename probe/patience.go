package probe

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

const (
	// sureAfter is how many rounds in a row must fail before the next ones wait less.
	sureAfter = 3
	// leastPatience is the least time that a stage is given even then, usualFactor how many times its usual duration.
	leastPatience = 1500 * time.Millisecond
	usualFactor   = 5
	// usualDecay lets the longest duration fade: by half in some 70 rounds.
	usualDecay = 0.99
)

// patience shortens the wait for stages that are known to fail: while an outage lasts, a stage that usually takes
// milliseconds is asked again soon instead of being waited for long, so that the end is known within some 2 s. The
// attempts that were left open still see an answer that comes later; one such answer gives back the full patience.
type patience struct {
	failures int
	// usual is the longest duration lately, by lane.
	usual map[string]map[StageName]time.Duration
}

// note takes a round that has ended.
func (p *patience) note(lanes []Lane, frontFine bool) {
	if frontFine {
		p.failures = 0
	} else {
		p.failures++
	}
	if p.usual == nil {
		p.usual = map[string]map[StageName]time.Duration{}
	}
	for i := range lanes {
		l := &lanes[i]
		if l.Extra || l.Lane == LaneVantage || l.Lane == LaneHeldOpen {
			continue
		}
		p.learn(l)
	}
}

func (p *patience) learn(l *Lane) {
	key := l.key()
	u := p.usual[key]
	if u == nil {
		u = map[StageName]time.Duration{}
		p.usual[key] = u
	}
	for i := range l.Stages {
		if s := &l.Stages[i]; s.Good() {
			u[s.Stage] = max(s.Duration.Std(), time.Duration(float64(u[s.Stage])*usualDecay))
		}
	}
}

// restore gives back the full patience: something answered late.
func (p *patience) restore() { p.failures = 0 }

// timeouts are those of a lane in the next round.
func (p *patience) timeouts(s *laneSpec) config.Timeouts {
	t := s.timeouts
	u := p.usual[s.key()]
	if p.failures < sureAfter || u == nil {
		return t
	}
	for i, d := range timeoutFields(&t) {
		if StageNames[i] == StageConnect {
			continue // the last router's word on a dead host takes three seconds, and a lost SYN is dated by its timer
		}
		if usual := u[StageNames[i]]; usual > 0 {
			*d = min(*d, config.Duration(max(leastPatience, usualFactor*usual)))
		}
	}
	return t
}

// usually is how long a stage of a lane takes at most when all is well; 0 if that is not known.
func (p *patience) usually(s *laneSpec, stage StageName) time.Duration {
	return p.usual[s.key()][stage]
}

// What makes a pending stage unusual: several times its usual duration, and at least so long. A lost SYN or question is
// sent again after a second, which happens on any path now and then.
const (
	stallFactor  = 4
	leastStall   = 500 * time.Millisecond
	resendsStall = 1300 * time.Millisecond
)

// stallAfter is when a stage that is still pending is taken for stalled; never later than half of its time.
func (p *patience) stallAfter(s *laneSpec, stage StageName, timeout time.Duration) time.Duration {
	least := leastStall
	if stage == StageConnect || stage == StageResolve {
		least = resendsStall
	}
	return min(max(least, stallFactor*p.usually(s, stage)), timeout/2)
}

// timeoutFields are the timeouts in the order of StageNames.
func timeoutFields(t *config.Timeouts) [5]*config.Duration {
	return [...]*config.Duration{&t.Resolve, &t.Connect, &t.TLS, &t.Request, &t.Response}
}

// stageTimeout is the timeout of one stage.
func stageTimeout(t config.Timeouts, name StageName) time.Duration {
	return timeoutFields(&t)[slices.Index(StageNames, name)].Std()
}
