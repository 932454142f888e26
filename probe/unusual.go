package probe

import "time"

// What makes a stage that went well unusually slow: many times what is typical of it, and by so much more
// that users notice. Some calm rounds must have shown what is usual, and the rounds right after an outage are not calm.
const (
	unusualFactor  = 10
	unusualConnect = 250 * time.Millisecond
	unusualAnswer  = time.Second
	calmRounds     = 10
	// typicalShare is what one round adds to the moving average, outlierFactor how far it may pull at most, typicalGrowth
	// how fast what stays slow becomes typical: tenfold in some 230 rounds.
	typicalShare  = 0.1
	outlierFactor = 2
	typicalGrowth = 1.01
)

// average takes a lane's stages into what is typical of it.
func (p *patience) average(l *Lane) {
	key := string(l.Lane) + "/" + l.Hop
	if p.typical == nil {
		p.typical = map[string]map[StageName]time.Duration{}
	}
	typical := p.typical[key]
	if typical == nil {
		typical = map[StageName]time.Duration{}
		p.typical[key] = typical
	}
	for i := range l.Stages {
		s := &l.Stages[i]
		t := float64(typical[s.Stage])
		switch {
		case s.Unusual:
			typical[s.Stage] = time.Duration(t * typicalGrowth)
		case s.Good() && t == 0:
			typical[s.Stage] = s.Duration.Std()
		case s.Good():
			typical[s.Stage] += time.Duration(typicalShare * (min(float64(s.Duration), outlierFactor*t) - t))
		}
	}
}

// mark turns the stages of a round that were unusually slow into slow ones. A stage on which something had to be sent
// again is left alone: that is loss.
func (p *patience) mark(lanes []Lane) {
	if p.calm < calmRounds {
		return
	}
	for i := range lanes {
		l := &lanes[i]
		if l.Extra || l.Lane != LaneFront && l.Lane != LaneVia && l.Lane != LaneBackend {
			continue
		}
		typical := p.typical[string(l.Lane)+"/"+l.Hop]
		for j := range l.Stages {
			s := &l.Stages[j]
			u := typical[s.Stage]
			if s.Outcome != OK || s.Stage == StageResolve || u == 0 || s.Duration.Std() < u*unusualFactor || s.TCPInfo.Timeouts() > 0 {
				continue
			}
			more := unusualAnswer
			if s.Stage == StageConnect {
				more = unusualConnect
			}
			if s.Duration.Std() >= u+more {
				s.Outcome, s.Unusual, s.Error = Slow, true, "usually "+seconds(u)
			}
		}
	}
}
