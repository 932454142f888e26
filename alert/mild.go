package alert

import (
	"fmt"
	"slices"

	"github.com/whichlayer/whichlayer/probe"
)

// An incident is mild when most rounds go well: one address of several is broken, or failures come and go. Its state is
// told as degraded, whatever the single rounds saw, until the sum over all rounds is certain, too.

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
	if s.Detector.Certain(confirm) {
		return true
	}
	if _, m, ok := s.Members.certain(confirm); ok {
		s.Mild = byMember
		s.Start.since(m.First)
		return true
	}
	if s.Pattern.certain() && s.LastBad.Sub(s.Pattern.Bursts[0].Start.Bad) >= confirm {
		s.Mild = byPattern
		s.Start.since(s.Pattern.Bursts[0].Start)
		return true
	}
	return false
}

// since takes another start if that is earlier.
func (s *start) since(first start) {
	if first.Before.Before(s.Before) {
		*s = first
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
	return !t.s.Members.owed(resolveRounds) && (t.s.Mild != byPattern || t.s.Pattern.calm())
}

// unsettled tells that the good round before says nothing about the end: it looked at another address than the one that
// failed, or the trouble comes and goes.
func (t *Tracker) unsettled() bool {
	return t.s.Members.owed(1) || t.s.Mild == byPattern && !t.s.Pattern.calm()
}
