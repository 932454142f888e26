package main

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// finding is how something that was said compares with what was true.
type finding struct {
	ok   bool
	text string
}

// Some findings; the first two need no words.
const (
	right    = "right"
	inside   = "inside"
	tooEarly = "said too early"
	tooLate  = "said too late"
)

// judgeVerdict compares a verdict with the truth. Naming one layer is right or wrong; naming several is honest when the
// truth is among them. A wrong cause in the right layer is wrong only when it was called confirmed.
func judgeVerdict(v probe.Verdict, f lab.Fault) finding {
	truths := f.Truth()
	is := func(layer probe.Layer, cause probe.Cause) bool {
		return slices.Contains(truths, lab.Truth{Layer: string(layer), Cause: string(cause)})
	}
	switch {
	case v.Confidence == probe.Ambiguous:
		among := slices.ContainsFunc(v.Suspects, func(s probe.Suspect) bool { return is(s.Layer, s.Cause) })
		if among {
			return finding{true, "the truth is among them"}
		}
		return finding{false, "the truth is not among them"}
	case string(v.Layer) != truths[0].Layer:
		return finding{false, "wrong layer"}
	case is(v.Layer, v.Cause):
		return finding{true, right}
	}
	return finding{v.Confidence != probe.Confirmed, "right layer, another cause"}
}

// slowRounds are those in which the service answered, but slowly. Here that happens when the machine has too much else to
// do, and then the service is really not as it should be although nothing was broken.
type slowRounds []moment

// between tells whether there was such a round.
func (s slowRounds) between(from, to time.Time) bool {
	return slices.ContainsFunc(s, func(m moment) bool { return m.from.Before(to) && m.to.After(from) })
}

// judgeStart tells whether the fault began within the incident's bounds.
func (e *episode) judgeStart(slow slowRounds) finding {
	i := e.latest
	f := within(i.StartsAfter, &i.StartsBefore, e.start)
	if f.text == tooEarly && slow.between(i.StartsBefore.Add(-time.Millisecond), e.start.to) {
		return finding{true, "this machine was busy, answers were slow from then on"}
	}
	return f
}

// judgeEnd tells whether the fault ended within the incident's bounds.
func (e *episode) judgeEnd(slow slowRounds) finding {
	i := e.latest
	f := within(i.EndsAfter, i.EndsBefore, e.end)
	if f.text == tooLate && slow.between(e.end.from, i.EndsAfter.Add(time.Millisecond)) {
		return finding{true, "this machine was busy, answers were slow until then"}
	}
	return f
}

// within tells whether a moment may lie in (after, before].
func within(after, before *time.Time, m moment) finding {
	switch {
	case before == nil || m.from.IsZero():
		return finding{false, "never told"}
	case before.Before(m.from):
		return finding{false, tooEarly}
	case after != nil && !after.Before(m.to):
		return finding{false, tooLate}
	}
	return finding{true, inside}
}

// findings are all that can be right or wrong of one fault.
func (e *episode) findings(slow slowRounds) []finding {
	if e.told == nil {
		return []finding{{false, "not noticed"}}
	}
	return []finding{
		judgeVerdict(e.told.Verdict, e.fault), judgeVerdict(e.latest.Verdict, e.fault),
		e.judgeStart(slow), e.judgeEnd(slow),
	}
}

// wrong counts what did not hold, false alarms too.
func (s *story) wrong() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.past {
		for _, f := range s.past[i].findings(s.slow) {
			if !f.ok {
				n++
			}
		}
	}
	return n + len(s.stray)
}
