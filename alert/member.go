package alert

import (
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// A name may lead to many addresses of which one is broken. Each round looks at one of them, so that with ten addresses nine
// of ten rounds go well, and the sum over all rounds hardly grows. Hence each address that fails has a sum of its own.
const (
	// maxMembers bounds how many addresses are watched at once.
	maxMembers = 64
	// unseenRounds is after how many rounds that looked elsewhere an address is forgotten, and unseenShare how many for each
	// address of the name if that is more: the name leads there no more.
	unseenRounds = 100
	unseenShare  = 15
)

// member is one address of the front's name since it began to fail. It is plain data.
type member struct {
	Detector Detector
	// First bounds the start of its failures.
	First start
	// Good counts the rounds in which it served since it failed last, Unseen those since that looked elsewhere.
	Good   int `json:",omitempty"`
	Unseen int `json:",omitempty"`
	// Others tells that another address served since it failed last; Apart that it failed again after that, so that the
	// trouble is its own.
	Others bool `json:",omitempty"`
	Apart  bool `json:",omitempty"`
}

// members are the addresses that failed lately.
type members map[string]member

// note takes a round: what it saw of the front's addresses. A round that is bad for another reason than the front's lane
// says nothing about the address that it went to.
func (m *members) note(r *probe.Result, bad bool, blame *fault, first start, served bool) {
	if *m == nil && !bad {
		return
	}
	for i := range r.Lanes {
		l := &r.Lanes[i]
		if l.Lane != probe.LaneFront || l.Look != "" || l.Address == "" {
			continue
		}
		switch {
		case blame != nil && blame.lane == l:
			m.bad(l.Address, first, blame.stage, served)
		case serves(l) && (l.Extra || !bad):
			m.good(l.Address)
		case broken(l):
			m.failedToo(l.Address)
		}
	}
	m.age(r)
}

// bad takes a failure of the address that users would have got.
func (m *members) bad(address string, first start, s *probe.Stage, served bool) {
	x, known := (*m)[address]
	switch {
	case !known && len(*m) >= maxMembers:
		return
	case !known:
		x.First = first
	}
	if *m == nil {
		*m = members{}
	}
	x.Detector.Bad(s.Started, s.Ended(), served)
	x.Apart = x.Apart || x.Others
	x.Good, x.Unseen, x.Others = 0, 0, false
	(*m)[address] = x
}

// good takes a success; for the other addresses it is one that was not theirs.
func (m *members) good(address string) {
	for a, x := range *m {
		if a != address {
			x.Others = true
			(*m)[a] = x
			continue
		}
		x.Good++
		x.Unseen = 0
		x.Detector.Good()
		if x.Detector.Quiet() && x.Good >= resolveRounds {
			delete(*m, a)
		} else {
			(*m)[a] = x
		}
	}
}

// failedToo takes the failure of an address that was looked at because another one had failed.
func (m *members) failedToo(address string) {
	if x, known := (*m)[address]; known {
		x.Good, x.Unseen = 0, 0
		(*m)[address] = x
	}
}

// age counts the rounds that looked elsewhere.
func (m *members) age(r *probe.Result) {
	limit := unseenRounds
	if l := frontLane(r); l != nil {
		limit = max(limit, unseenShare*min(len(l.Addresses), maxMembers))
	}
	for a, x := range *m {
		if lookedAt(r, a) {
			continue
		}
		if x.Unseen++; x.Unseen >= limit {
			delete(*m, a)
		} else {
			(*m)[a] = x
		}
	}
}

// certain finds an address whose own failures are more than bad luck while others serve.
func (m members) certain(confirm time.Duration) (address string, x member, ok bool) {
	for a, y := range m {
		if y.Apart && y.Detector.Certain(confirm) && (!ok || a < address) {
			address, x, ok = a, y, true
		}
	}
	return address, x, ok
}

// suspicious tells that an address failed twice in a row, as far as it was looked at.
func (m members) suspicious(address string) bool {
	x, known := m[address]
	return known && x.Detector.Suspicious()
}

// owed tells that an address that failed by itself has not served for so many rounds since.
func (m members) owed(rounds int) bool {
	for _, x := range m {
		if x.Apart && x.Good < rounds {
			return true
		}
	}
	return false
}

// awaited tells that an address has not been seen to serve since it failed.
func (m members) awaited() bool {
	for _, x := range m {
		if x.Good == 0 {
			return true
		}
	}
	return false
}

func lookedAt(r *probe.Result, address string) bool {
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Lane == probe.LaneFront && l.Look == "" && l.Address == address {
			return true
		}
	}
	return false
}

// serves tells that every stage of a lane went well, and that there was one.
func serves(l *probe.Lane) bool {
	for i := range l.Stages {
		if !l.Stages[i].Good() {
			return false
		}
	}
	return len(l.Stages) > 0
}

// broken tells that a stage of a lane failed.
func broken(l *probe.Lane) bool {
	for i := range l.Stages {
		if l.Stages[i].Outcome == probe.Failed {
			return true
		}
	}
	return false
}

// frontLane is the lane that looks as users do; nil if there is none.
func frontLane(r *probe.Result) *probe.Lane {
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Lane == probe.LaneFront && !l.Extra && l.Look == "" {
			return l
		}
	}
	return nil
}
