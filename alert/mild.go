package alert

import (
	"fmt"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// An incident is mild when most rounds go well: one address of several is broken, or failures come and go. Its state is
// told as degraded, whatever the single rounds saw, until the sum over all rounds is certain, too, by failures in a row.

// mildness is why an incident is mild.
type mildness string

const (
	notMild   mildness = ""
	byMember  mildness = "member"
	byPattern mildness = "pattern"
)

// certain tells that people should be told, and notes whether the trouble is a mild one. The start is then that of the
// failures that count, which may have begun before the spell.
func (t *Tracker) certain() bool {
	s, confirm := &t.s, t.detect.Confirm.Std()
	_, _, one := s.Members.certain(confirm)
	switch {
	case s.Detector.Certain(confirm):
	case one:
		s.Mild = byMember
	case s.Pattern.certain() && s.LastBad.Sub(s.Pattern.Bursts[0].Start.Bad) >= confirm:
		s.Mild, s.Recurs, s.From = byPattern, true, s.Pattern.Bursts[0].First
		s.Start.since(s.Pattern.Bursts[0].Start)
	default:
		return false
	}
	for _, m := range s.Members {
		if m.Apart {
			s.Start.since(m.First)
		}
	}
	return true
}

// since widens the bounds of the start by those of something that belongs to it. What the held-open connections said of
// a later begin says nothing of an earlier one.
func (s *start) since(first start) {
	if !first.Before.After(s.HeldAfter) {
		s.HeldAfter, s.HeldBefore, s.Beside = time.Time{}, time.Time{}, nil
	}
	if first.Before.Before(s.Before) {
		s.Before = first.Before
	}
	if first.Bad.Before(s.Bad) {
		s.Bad = first.Bad
	}
	if first.After.Before(s.After) {
		s.After = first.After
	}
}

// soften is what a round's verdict says about a mild incident.
func (t *Tracker) soften(v probe.Verdict) probe.Verdict {
	var why string
	switch t.s.Mild {
	case byMember:
		address, m, ok := t.s.Members.certain(t.detect.Confirm.Std())
		if !ok {
			break
		}
		why = fmt.Sprintf("front: %s failed in %d rounds, between which other addresses of the name served", address, m.Detector.Failures)
	case byPattern:
		why = fmt.Sprintf("comes and goes: %d of the last %d rounds failed", t.s.Pattern.failed(), t.s.Pattern.looked())
	default:
		return v
	}
	v.State = probe.Degraded
	if why != "" {
		v.Evidence = slices.Concat([]string{why}, v.Evidence)
	}
	return v
}

// settled tells that nothing is left of a mild trouble: every address that failed by itself served again, several times,
// and failures stopped coming.
func (t *Tracker) settled() bool {
	return !t.s.Members.owed(resolveRounds) && (!t.s.Recurs || t.s.Pattern.calm())
}

// promise is how many good rounds in a row are the end of a spell that came and went: more than there ever were between
// its failures.
func (t *Tracker) promise() int {
	n := max(resolveRounds, t.s.End.Longest+1)
	if t.s.Recurs {
		n = max(n, t.s.Pattern.longest(t.s.From)+1)
	}
	return n
}
