package alert

import "slices"

// A low steady share of failures never lifts the cumulative sum: below one in thirteen it sinks faster than it rises. So
// the failures among the last rounds are counted, too. They must come in several bursts, or one short outage would be a
// pattern. On a path of which 0.8 % of the rounds fail by chance, 9 of 120 add 0.05 openings a target-year to the 0.47 of
// the cumulative sum, and 8 would add 1.2: counted in 60 years by TestFalseOpenings.
const (
	patternRounds = 120 // 20 minutes at the usual interval
	patternLeast  = 9   // failures
	patternBursts = 3
	// patternBurst is how many failures of one burst count: a real outage is no reason to take the next failure for a
	// pattern.
	patternBurst = 4
	patternSpan  = 10 // rounds from the first failure to the last
	// patternCalm is below how many failures the pattern is over.
	patternCalm = 2
)

// pattern is which of the last rounds failed, as plain data; rounds in which users were served do not count.
type pattern struct {
	// Rounds counts all rounds that looked.
	Rounds int `json:",omitempty"`
	// Bursts are runs of failures, oldest first.
	Bursts []burst `json:",omitempty"`
}

// burst is a run of rounds that failed, from number First to number Last.
type burst struct {
	First, Last int
	// Start bounds when it began.
	Start start
}

// note takes a round; begin bounds when it began to be bad, if it was.
func (p *pattern) note(bad bool, begin start) {
	p.Rounds++
	for len(p.Bursts) > 0 && p.Bursts[0].Last <= p.Rounds-patternRounds {
		p.Bursts = p.Bursts[1:]
	}
	n := len(p.Bursts)
	switch {
	case !bad:
	case n > 0 && p.Bursts[n-1].Last == p.Rounds-1:
		p.Bursts[n-1].Last = p.Rounds
	default:
		p.Bursts = append(p.Bursts, burst{p.Rounds, p.Rounds, begin})
	}
}

// forget drops the failures since the round with the number from: people have been told of them as an outage, so that they
// are no part of another one.
func (p *pattern) forget(from int) {
	p.Bursts = slices.DeleteFunc(p.Bursts, func(b burst) bool { return b.First >= from })
}

// oldest is the number of the first round that still counts.
func (p *pattern) oldest() int { return max(1, p.Rounds-patternRounds+1) }

// failed counts the failures among the last rounds.
func (p *pattern) failed() (n int) {
	for _, b := range p.Bursts {
		n += b.Last - max(b.First, p.oldest()) + 1
	}
	return n
}

// weight counts them, of each burst at most some.
func (p *pattern) weight() (n int) {
	for _, b := range p.Bursts {
		n += min(patternBurst, b.Last-max(b.First, p.oldest())+1)
	}
	return n
}

// recurs tells that failures came in several bursts since the round with the number from.
func (p *pattern) recurs(from int) bool {
	n := len(p.Bursts)
	return n >= patternBursts && p.Bursts[n-patternBursts].First >= from && p.Bursts[n-1].Last-from >= patternSpan
}

// longest is how many rounds in a row went well at most between failures since the round with the number from.
func (p *pattern) longest(from int) (n int) {
	for i := 1; i < len(p.Bursts); i++ {
		if p.Bursts[i-1].First < from {
			continue
		}
		n = max(n, p.Bursts[i].First-p.Bursts[i-1].Last-1)
	}
	return n
}

// looked counts the last rounds.
func (p *pattern) looked() int { return min(p.Rounds, patternRounds) }

// certain tells that failures come and go.
func (p *pattern) certain() bool {
	n := len(p.Bursts)
	return n >= patternBursts && p.Bursts[n-1].Last-max(p.Bursts[0].First, p.oldest()) >= patternSpan && p.weight() >= patternLeast
}

// calm tells that they do not any more.
func (p *pattern) calm() bool { return p.failed() < patternCalm }
