package probe

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// leastCourse is from how many rounds on it is worth a word how they went.
const leastCourse = 4

// course is how the front did over the rounds of an incident.
type course struct {
	since          time.Time
	rounds, failed int
	changes        int // from good to failed and back
	addresses      []addressCourse
}

// addressCourse is the same for one of the addresses behind the front's name.
type addressCourse struct {
	address        string
	rounds, failed int
}

// courseOf goes through the rounds of an incident, the present one last; there is none while the front is fine.
func (f *facts) courseOf() (c course) {
	if f.failed == nil || len(f.past) == 0 {
		return c
	}
	before := 0 // 1 good, 2 failed
	for i := range len(f.past) + 1 {
		r := f.now
		if i < len(f.past) {
			r = f.past[i]
		}
		l := frontLane(r)
		if l == nil || l.blind() {
			continue
		}
		state := 1
		if !l.fine() {
			state = 2
		}
		if c.rounds == 0 {
			c.since = r.Started
		}
		if before != 0 && before != state {
			c.changes++
		}
		before = state
		c.rounds++
		c.failed += state - 1
		c.count(l.Address, state-1)
	}
	return c
}

// frontLane is the lane that looks as users do; nil if there is none.
func frontLane(r *Result) *Lane {
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Lane == LaneFront && !l.Extra {
			return l
		}
	}
	return nil
}

func (c *course) count(address string, failed int) {
	if address == "" {
		return
	}
	i := slices.IndexFunc(c.addresses, func(a addressCourse) bool { return a.address == address })
	if i < 0 {
		if len(c.addresses) > maxExtraAddresses {
			return
		}
		i = len(c.addresses)
		c.addresses = append(c.addresses, addressCourse{address: address})
	}
	c.addresses[i].rounds++
	c.addresses[i].failed += failed
}

// intermittent tells that the front failed in some rounds and went well in others, more than once.
func (c *course) intermittent() bool {
	return c.rounds >= leastCourse && c.failed > 0 && c.changes > 1
}

// sentence says how an outage that comes and goes went; empty for one that just lasts.
func (c *course) sentence() string {
	if !c.intermittent() {
		return ""
	}
	s := fmt.Sprintf("course: the front failed in %d of %d rounds since %s", c.failed, c.rounds, stamp(c.since))
	if len(c.addresses) < 2 {
		return s + ", so it comes and goes"
	}
	slices.SortFunc(c.addresses, func(a, b addressCourse) int { return strings.Compare(a.address, b.address) })
	words := make([]string, len(c.addresses))
	for i, a := range c.addresses {
		words[i] = fmt.Sprintf("%s in %d of %d", a.address, a.failed, a.rounds)
	}
	return s + ": " + strings.Join(words, ", ")
}
