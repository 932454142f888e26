package probe

import (
	"fmt"
	"slices"
	"time"
)

// judgeUp: every lane is fine.
func judgeUp(f *facts) *conclusion {
	if !f.front.fine() || f.front.slow() || f.namesLate() || f.expiring() || f.held != nil && !f.heldServes() || f.lossy() > 1 {
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

// judgeExpiring: the certificate is valid, but not for long.
func judgeExpiring(f *facts) *conclusion {
	if !f.front.fine() || !f.expiring() {
		return nil
	}
	left := f.front.TLS.NotAfter.Sub(f.now.Started)
	layer, _ := f.certOwner()
	return degraded(fmt.Sprintf("front/tls: the certificate ends on %s, in %.1f days; expected are at least %d",
		stamp(f.front.TLS.NotAfter), left.Hours()/24, f.front.TLS.MinDays), suspect(layer, CauseCertExpires)).agreed(f.clockAgrees())
}

// recovering tells that the front failed in the round before: what had to be sent again in this one was lost in the
// outage that is over now.
func (f *facts) recovering() bool {
	if len(f.past) == 0 {
		return false
	}
	last := f.past[len(f.past)-1]
	return slices.ContainsFunc(last.Lanes, func(l Lane) bool { return l.Lane == LaneFront && !l.Extra && failedStage(&l) != nil })
}

// lossy counts the lanes to the front's host on which a retransmission timer fired although they went well.
func (f *facts) lossy() (n int) {
	if f.recovering() {
		return 0
	}
	h := hostOf(f.front.Address)
	for i := range f.now.Lanes {
		l := &f.now.Lanes[i]
		if hostOf(l.Address) != h || l.Lane == LaneHeldOpen || !l.fine() {
			continue
		}
		if s := l.Stages[len(l.Stages)-1]; s.TCPInfo.Timeouts() > 0 {
			n++
		}
	}
	return n
}

// judgeLoss: more than one lane to the same host had to retransmit after a timeout. One alone happens on any path.
func judgeLoss(f *facts) *conclusion {
	if n := f.lossy(); f.front.fine() && n > 1 {
		return degraded(fmt.Sprintf("network: on %d lanes to %s retransmission timers fired", n, hostOf(f.front.Address)),
			suspect(LayerNetwork, CauseLoss))
	}
	return nil
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
	case longest.Stage == StageTLS:
		return degraded(because, suspect(f.frontLayer(), CauseSlow))
	case anyOf(f.backends, (*Lane).slow):
		return degraded(because, suspect(LayerBackend, CauseSlow)).agreed(all(f.backends, (*Lane).slow))
	case all(f.backends, (*Lane).fine):
		return degraded(because, suspect(f.frontLayer(), CauseSlow), suspect(LayerLink, CauseSlow))
	}
	return degraded(because, suspect(LayerBackend, CauseSlow), suspect(LayerLink, CauseSlow), suspect(f.frontLayer(), CauseSlow))
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
