package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

// maxVerdictKinds bounds what a summary counts apart; hostile files may have any number.
const maxVerdictKinds = 500

// replaySum is what all rounds of a replay come to.
type replaySum struct {
	Files   int       `json:"files"`
	Rounds  int       `json:"rounds"`
	Targets int       `json:"targets"`
	Changed int       `json:"changed"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Bytes   int64     `json:"bytes"`
	Seconds float64   `json:"seconds"`
	// Verdicts are ordered by how often they were given, then or now.
	Verdicts  []verdictCount    `json:"verdicts"`
	Incidents []*alert.Incident `json:"incidents"`
	// Dismissed counts suspicions that came to nothing.
	Dismissed int `json:"dismissed"`

	kinds   map[verdictKind]*verdictCount
	targets map[string]bool
}

// verdictCount is how often a verdict was given then, and is now.
type verdictCount struct {
	verdictKind
	Was int `json:"was"`
	Is  int `json:"is"`
}

func newReplaySum() replaySum {
	return replaySum{kinds: map[verdictKind]*verdictCount{}, targets: map[string]bool{}}
}

// count takes a round.
func (s *replaySum) count(j *judgement) {
	s.Rounds++
	if j.Changed {
		s.Changed++
	}
	if s.From.IsZero() || j.Time.Before(s.From) {
		s.From = j.Time
	}
	if j.Time.After(s.To) {
		s.To = j.Time
	}
	s.targets[j.Target] = true
	s.kind(kindOf(j.Was)).Was++
	s.kind(kindOf(j.Is)).Is++
}

// kind is the count of a verdict; those beyond the bound are counted together.
func (s *replaySum) kind(k verdictKind) *verdictCount {
	if s.kinds[k] == nil && len(s.kinds) >= maxVerdictKinds {
		k = verdictKind{State: "others"}
	}
	if s.kinds[k] == nil {
		s.kinds[k] = &verdictCount{verdictKind: k}
	}
	return s.kinds[k]
}

// close derives what is told from what was counted.
func (s *replaySum) close() {
	s.Targets = len(s.targets)
	s.Verdicts = make([]verdictCount, 0, len(s.kinds))
	for _, c := range s.kinds {
		s.Verdicts = append(s.Verdicts, *c)
	}
	slices.SortFunc(s.Verdicts, func(a, b verdictCount) int {
		return cmp.Or(max(b.Was, b.Is)-max(a.Was, a.Is), cmp.Compare(a.String(), b.String()))
	})
}
