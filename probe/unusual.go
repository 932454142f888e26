package probe

import (
	"fmt"
	"time"
)

// What makes a stage that went well unusually slow: it took much longer than it ever does, and by so much that users notice.
// Some calm rounds must have shown what is usual, and the rounds right after an outage are not calm.
const (
	// Until enough was seen, only what takes many times longer counts, against the median of what there is.
	unusualFactor  = 10
	unusualConnect = 250 * time.Millisecond
	unusualAnswer  = time.Second
	calmRounds     = 10
	// After that it is what takes twice as long as all but one in a thousand.
	learntFactor = 2
	learntAnswer = 500 * time.Millisecond
)

// mark turns the stages of a round that were unusually slow into slow ones. A stage on which something had to be sent
// again is left alone: that is loss.
func (b *baseline) mark(lanes []Lane) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unfailed < calmRounds {
		return
	}
	for i := range lanes {
		l := &lanes[i]
		if !l.typical() {
			continue
		}
		for j := range l.Stages {
			s := &l.Stages[j]
			u := b.lanes[l.key()][s.Stage]
			if s.Outcome != OK || s.Stage == StageResolve || u == nil || s.TCPInfo.Timeouts() > 0 {
				continue
			}
			if u.unusual(s) {
				s.Outcome, s.Unusual, s.Error = Slow, true, u.sentence()
			}
		}
	}
}

// typical tells that what is usual of the lane is known: it is one that carries users' requests.
func (l *Lane) typical() bool {
	return !l.Extra && (l.Lane == LaneFront || l.Lane == LaneVia || l.Lane == LaneBackend)
}

// key names the lane among its target's lanes, as [laneSpec.key] does.
func (l *Lane) key() string { return string(l.Lane) + "/" + l.Hop }

// unusual tells that a stage took much longer than it does.
func (u *usual) unusual(s *Stage) bool {
	took, f := s.Duration.Std(), &u.figures
	answer := unusualAnswer
	switch {
	case f.seen < calmRounds:
		return false
	case f.seen < learntAfter:
		if took < unusualFactor*f.median {
			return false
		}
	default:
		if took < learntFactor*f.most {
			return false
		}
		answer = learntAnswer
	}
	if s.Stage == StageConnect {
		answer = unusualConnect
	}
	return took >= f.median+answer
}

// sentence says what is usual.
func (u *usual) sentence() string {
	f := &u.figures
	if f.seen < learntAfter {
		return fmt.Sprintf("usually %s (of %d seen)", seconds(f.median), f.seen)
	}
	return fmt.Sprintf("usually %s (99 of 100 within %s, of %d seen)", seconds(f.median), seconds(f.nearly), f.seen)
}
