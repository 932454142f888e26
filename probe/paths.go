package probe

import (
	"slices"
	"strings"
	"time"
)

const (
	// pathWindow and pathTries bound what is remembered of the way to one host, maxPaths of how many hosts.
	pathWindow = 3 * time.Minute
	pathTries  = 60
	// recentTries are enough to see a change.
	recentTries = 12
	maxPaths    = 64
)

// paths remembers how often something had to be sent again on the way to each address. One lost packet happens on any path
// and TCP hides most of them; only many connections together tell that a path loses more than others do.
type paths struct {
	ways map[way][]try
	// failed tells that the front failed in the round before: what is sent again in the next one was lost in the outage.
	failed bool
}

// way is to an address and port; names tells questions to a name server from connections.
type way struct {
	address string
	names   bool
}

// try is one connection, or one question.
type try struct {
	at     time.Time
	resent bool
}

// note takes a round. Only connections that went well count: what ends in a timeout is an outage, not loss.
func (p *paths) note(lanes []Lane) {
	was := p.failed
	p.failed = len(lanes) > 0 && failedStage(&lanes[0]) != nil
	if was {
		return
	}
	for i := range lanes {
		l := &lanes[i]
		switch {
		case l.Look == LookBurst:
			for _, s := range l.Stages {
				p.count(way{address: l.Address}, try{s.Started, !s.Good() || s.TCPInfo.Timeouts() > 0})
			}
		case l.Look == "" && l.Lane != LaneHeldOpen && l.Lane != LaneVantage && l.Address != "" && l.fine():
			s := l.Stages[len(l.Stages)-1]
			p.count(way{address: l.Address}, try{l.Stages[0].Started, s.TCPInfo.Timeouts() > 0})
			p.countNames(l.stage(StageResolve))
		}
	}
}

// countNames takes the questions of a resolve stage. A name server is named with its port.
func (p *paths) countNames(s *Stage) {
	if s == nil {
		return
	}
	for _, a := range s.Asked {
		for i := range a.Questions {
			p.count(way{a.Server, true}, try{s.Started, i < a.Resent})
		}
	}
}

// count takes one try.
func (p *paths) count(w way, t try) {
	if p.ways == nil {
		p.ways = map[way][]try{}
	}
	if _, known := p.ways[w]; !known && len(p.ways) >= maxPaths {
		return
	}
	p.ways[w] = keep(append(p.ways[w], t), pathTries)
}

// worse counts either all tries or the last few of them, whichever speaks more for loss: what has just begun would take
// long to show among what went well before.
func (w way) worse(tries []try) (worst Path) {
	for _, n := range []int{len(tries), recentTries} {
		last := keep(tries, n)
		f := Path{Address: w.address, Names: w.names, Since: last[0].at.UTC(), Tries: len(last)}
		for i, t := range last {
			if !t.resent {
				continue
			}
			if before := len(tries) - len(last) + i - 1; f.Resent == 0 && before >= 0 {
				f.Clean = tries[before].at.UTC()
			}
			f.Resent++
		}
		if worst.Tries == 0 || f.leastShare() > worst.leastShare() {
			worst = f
		}
	}
	return worst
}

// facts are the ways on which something was sent again, ordered by address.
func (p *paths) facts(now time.Time) (out []Path) {
	for w, tries := range p.ways {
		tries = slices.DeleteFunc(tries, func(t try) bool { return now.Sub(t.at) > pathWindow })
		if len(tries) == 0 {
			delete(p.ways, w)
			continue
		}
		p.ways[w] = tries
		if f := w.worse(tries); f.Resent > 0 {
			out = append(out, f)
		}
	}
	for host, tries := range p.hosts() {
		if f := (way{address: host}).worse(tries); f.Resent > 0 {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b Path) int { return strings.Compare(a.Address, b.Address) })
	return out
}

// hosts takes together what was counted for the ports of one host, of those with more than one: what loses packets on the
// way to a host loses them for each of its ports, and no port alone may have seen enough of it.
func (p *paths) hosts() map[string][]try {
	ports, out := map[string]int{}, map[string][]try{}
	for w, tries := range p.ways {
		if !w.names {
			host := hostOf(w.address)
			ports[host]++
			out[host] = append(out[host], tries...)
		}
	}
	for host, tries := range out {
		if ports[host] < 2 {
			delete(out, host)
			continue
		}
		slices.SortFunc(tries, func(a, b try) int {
			switch {
			case !a.at.Equal(b.at) || a.resent == b.resent:
				return a.at.Compare(b.at)
			case a.resent: // of those of one instant the clean ones first
				return 1
			}
			return -1
		})
		out[host] = keep(tries, pathTries)
	}
	return out
}
