package probe

import (
	"fmt"
	"math"
	"time"
)

// judgeUp: every lane is fine.
func judgeUp(f *facts) *conclusion {
	if !f.front.fine() || f.front.slow() || f.namesLate() || f.expiring() || f.held != nil && !f.heldServes() || f.loses() != nil {
		return nil
	}
	for _, l := range f.lanesBut(f.front) {
		if !l.fine() {
			return nil
		}
	}
	return &conclusion{state: Up}
}

func (l *Lane) slow() bool {
	for _, s := range l.Stages {
		if s.Outcome == Slow && s.resent() == 0 { // a question that was lost is no slowness; see namesLate
			return true
		}
	}
	return false
}

func (f *facts) expiring() bool {
	t := f.front.TLS
	return t != nil && t.MinDays > 0 && !t.NotAfter.IsZero() && t.NotAfter.Before(f.now.Started.AddDate(0, 0, t.MinDays))
}

// judgeExpiring: the certificate is valid, but not for long. What is wrong besides comes before it, since it hurts now.
func judgeExpiring(f *facts) *conclusion {
	if !f.front.fine() || !f.expiring() {
		return nil
	}
	layer, _ := f.certOwner()
	return degraded(f.expiry(), suspect(layer, CauseCertExpires)).agreed(f.clockAgrees())
}

// Expiring is the verdict on the front's certificate alone, for a round that shows one that ends soon, whatever else is
// wrong in it.
func Expiring(r *Result) Verdict {
	f := newFacts(r, nil)
	layer, _ := f.certOwner()
	v := Verdict{State: Degraded, Layer: layer, Cause: CauseCertExpires, Confidence: Likely, Rule: ruleExpires,
		Suspects: []Suspect{suspect(layer, CauseCertExpires)}, Evidence: []string{}}
	if f.front.TLS != nil {
		v.Evidence = append(v.Evidence, f.expiry())
	}
	return v
}

// expiry says when the front's certificate ends.
func (f *facts) expiry() string {
	left := f.front.TLS.NotAfter.Sub(f.now.Started)
	return fmt.Sprintf("front/tls: the certificate ends on %s, in %.1f days; expected are at least %d",
		stamp(f.front.TLS.NotAfter), left.Hours()/24, f.front.TLS.MinDays)
}

// A path loses packets when more of its connections than one in seven needed something sent again after a timeout, with
// the confidence of two standard deviations (the lower bound of Wilson, JASA 1927). A path that loses one packet in
// twenty shows it on one connection in ten or so, one that loses one in five on two of five.
const (
	lossShare     = 0.15
	lossDeviation = 2.0
	// lossLeast is how many connections must have needed something sent again.
	lossLeast = 3
)

// loses is the worst of the paths that users' requests take: to the front, to a hop, or to another port of one of their
// hosts; nil if none loses much. What is lost on one port only may be a filter's doing, so that each counts by itself, and
// all of a host's together.
func (f *facts) loses() (worst *Path) {
	for i := range f.now.Paths {
		p := &f.now.Paths[i]
		h := hostOf(p.Address)
		onTheWay := h == hostOf(f.front.Address) || anyOf(f.hops, func(l *Lane) bool { return hostOf(l.Address) == h })
		if onTheWay && !p.Names && p.Resent >= lossLeast && p.leastShare() > lossShare && (worst == nil || p.leastShare() > worst.leastShare()) {
			worst = p
		}
	}
	return worst
}

// leastShare is the least share of connections with something sent again that agrees with what was counted.
func (p *Path) leastShare() float64 {
	if p.Tries == 0 {
		return 0
	}
	n, share, z2 := float64(p.Tries), float64(p.Resent)/float64(p.Tries), lossDeviation*lossDeviation
	spread := lossDeviation * math.Sqrt(share*(1-share)/n+z2/(4*n*n))
	return (share + z2/(2*n) - spread) / (1 + z2/n)
}

// judgeLoss: users are served, after packets had been sent again on many of the last connections.
func judgeLoss(f *facts) *conclusion {
	p := f.loses()
	if !f.front.fine() || p == nil {
		return nil
	}
	return degraded(fmt.Sprintf("network: on %d of the last %d connections to %s retransmission timers fired, since %s",
		p.Resent, p.Tries, p.Address, stamp(p.Since)), suspect(LayerNetwork, CauseLoss))
}

// judgeSlow: the front serves, slower than it should. The stage that took the time, and whether the backend is as slow
// without the proxy, say where.
func judgeSlow(f *facts) *conclusion {
	if !f.front.fine() || !f.front.slow() {
		return nil
	}
	longest := &f.front.Stages[0]
	for i := range f.front.Stages {
		if s := &f.front.Stages[i]; s.Outcome == Slow && (longest.Outcome != Slow || s.Duration > longest.Duration) {
			longest = s
		}
	}
	because := fmt.Sprintf("front/%s: took %s", longest.Stage, seconds(longest.Duration.Std()))
	switch {
	case longest.Stage == StageConnect:
		return degraded(because, suspect(LayerNetwork, CauseLoss), suspect(f.frontLayer(), CauseSlow)).lean()
	case longest.resentSome():
		return degraded(because+", after packets had been lost and sent again", suspect(LayerNetwork, CauseLoss), suspect(f.frontLayer(), CauseSlow)).lean()
	case longest.Stage == StageTLS:
		return degraded(because, suspect(f.frontLayer(), CauseSlow), suspect(LayerNetwork, CauseLoss)).lean()
	case anyOf(f.backends, (*Lane).slow):
		return degraded(because, suspect(LayerBackend, CauseSlow)).agreed(all(f.backends, (*Lane).slow))
	case all(f.backends, (*Lane).fine):
		return degraded(because, suspect(f.frontLayer(), CauseSlow), suspect(LayerLink, CauseSlow))
	}
	return degraded(because, suspect(LayerBackend, CauseSlow), suspect(LayerLink, CauseSlow), suspect(f.frontLayer(), CauseSlow))
}

// resentSome tells that packets of the stage's connection were lost, in one direction or the other.
func (s *Stage) resentSome() bool {
	i := s.TCPInfo
	return i.Timeouts() > 0 || i != nil && (i.RcvOOO > 0 || i.TotalRetrans > i.DSACKDups)
}

// judgeUnusual: the front serves, much slower than it did before. A slow connect is the path's, whose round trip the kernel
// measures by itself; a slow answer is the backend's when its own lane is as unusual.
func judgeUnusual(f *facts) *conclusion {
	if !f.front.fine() {
		return nil
	}
	for i := range f.front.Stages {
		s := &f.front.Stages[i]
		if !s.Unusual {
			continue
		}
		because := fmt.Sprintf("front/%s: took %s, %s", s.Stage, seconds(s.Duration.Std()), s.Error)
		front, link, backend := suspect(f.frontLayer(), CauseSlow), suspect(LayerLink, CauseSlow), suspect(LayerBackend, CauseSlow)
		switch {
		case s.Stage == StageConnect:
			return degraded(because, suspect(LayerNetwork, CauseSlow), front).lean()
		case s.Stage == StageTLS:
			return degraded(because, front, suspect(LayerNetwork, CauseLoss)).lean()
		case anyOf(f.backends, (*Lane).slow):
			return degraded(because, backend).agreed(all(f.backends, (*Lane).slow))
		case f.backendsFine():
			return degraded(because, front, link)
		}
		return degraded(because, backend, link, front)
	}
	return nil
}

// judgePoolBackend: the front was served this time, but one of several backends does not serve when asked directly. A
// connect that stays silent may only mean that the direct way is closed to us.
func judgePoolBackend(f *facts) *conclusion {
	return judgePool(f, f.backends)
}

// judgePoolHop is the same for one of several hops of a role.
func judgePoolHop(f *facts) *conclusion {
	for _, role := range []Role{RoleBalancer, RoleProxy} {
		var same []*Lane
		for _, h := range f.hops {
			if h.Role == role {
				same = append(same, h)
			}
		}
		if c := judgePool(f, same); c != nil {
			return c
		}
	}
	return nil
}

func judgePool(f *facts, members []*Lane) *conclusion {
	if !f.front.fine() || len(members) < 2 || !anyOf(members, (*Lane).fine) {
		return nil
	}
	for _, m := range members {
		if s := failedStage(m); s != nil && m.broken() && (s.Stage != StageConnect || m.answered()) {
			return degraded(fmt.Sprintf("%s: fails while the others serve; users who get it suffer", title(m)),
				suspect(f.layerOf(m.Role), CausePartial))
		}
	}
	return nil
}

// heldOpenPatience is how long a held-open request may wait before it is more than a slow answer.
const heldOpenPatience = 3 * time.Second

// judgeHeldOpenDropped: new connections are fine and the old one is cut off: a box on the way forgot it.
func judgeHeldOpenDropped(f *facts) *conclusion {
	if !f.front.fine() || !f.heldWaits() || f.held.HeldOpen.Tainted || f.held.Stages[0].Duration.Std() < heldOpenPatience {
		return nil
	}
	if f.heldUnheard() {
		return degraded("heldopen: our request is not acknowledged on the old connection, while new ones are served",
			suspect(LayerNetwork, CauseEstablishedDropped))
	}
	return degraded("heldopen: our request is acknowledged and unanswered on the old connection, while new ones are served",
		suspect(LayerBackend, CausePartial), suspect(f.frontLayer(), CausePartial))
}

// judgeSideLane: users are served. That a lane past the usual way is closed to us is no outage.
func judgeSideLane(f *facts) *conclusion {
	if !f.front.fine() {
		return nil
	}
	return &conclusion{state: Up, because: "front: serves as expected; what fails beside it does not touch users"}
}
