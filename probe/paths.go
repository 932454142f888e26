package probe

import (
	"slices"
	"time"
)

const (
	// pathWindow and pathTries bound what is remembered of the way to one host, maxPaths of how many hosts.
	pathWindow = 3 * time.Minute
	pathTries  = 60
	maxPaths   = 64
)

// paths remembers how often something had to be sent again on the way to each host. One lost packet happens on any path
// and TCP hides most of them; only many connections together tell that a path loses more than others do.
type paths struct {
	hosts map[string][]try
	// failed tells that the front failed in the round before: what is sent again in the next one was lost in the outage.
	failed bool
}

// try is one connection, or one question.
type try struct {
	at     time.Time
	resent bool
}

// note takes a round. Only connections that went well count: what ends in a timeout is an outage, not loss.
func (p *paths) note(lanes []Lane) {
	p.noteQuestions(lanes)
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
				p.count(hostOf(l.Address), try{s.Started, !s.Good() || s.TCPInfo.Timeouts() > 0})
			}
		case l.Look == "" && l.Lane != LaneHeldOpen && l.Lane != LaneVantage && l.Address != "" && l.fine():
			s := l.Stages[len(l.Stages)-1]
			p.count(hostOf(l.Address), try{l.Stages[0].Started, s.TCPInfo.Timeouts() > 0})
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
			p.count(a.Server, try{s.Started, i < a.Resent})
		}
	}
}

// noteQuestions counts the questions to each name server.
func (p *paths) noteQuestions(lanes []Lane) {
	for i := range lanes {
		l := &lanes[i]
		s := l.stage(StageResolve)
		if s == nil || l.Look != "" {
			continue
		}
		for _, a := range s.Asked {
			for n := range a.Questions {
				p.count(a.Server, try{s.Started, n < a.Resent})
			}
		}
	}
}

// count takes one try.
func (p *paths) count(host string, t try) {
	if p.hosts == nil {
		p.hosts = map[string][]try{}
	}
	if _, known := p.hosts[host]; !known && len(p.hosts) >= maxPaths {
		return
	}
	p.hosts[host] = keep(append(p.hosts[host], t), pathTries)
}

// facts are the ways on which something was sent again, ordered by host.
func (p *paths) facts(now time.Time) (out []Path) {
	for host, tries := range p.hosts {
		tries = slices.DeleteFunc(tries, func(t try) bool { return now.Sub(t.at) > pathWindow })
		if len(tries) == 0 {
			delete(p.hosts, host)
			continue
		}
		p.hosts[host] = tries
		f := Path{Host: host, Since: tries[0].at.UTC(), Tries: len(tries)}
		for _, t := range tries {
			if t.resent {
				f.Resent++
			}
		}
		if f.Resent > 0 {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b Path) int {
		if a.Host < b.Host {
			return -1
		}
		return 1
	})
	return out
}
