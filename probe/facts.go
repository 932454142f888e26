package probe

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// facts is a round turned to face the questions that the rules ask.
type facts struct {
	now  *Result
	past []*Result

	front    *Lane
	failed   *Stage  // the front's failed stage; nil when the front is fine
	others   []*Lane // the front's other addresses, looked at because it failed
	hops     []*Lane // in the order in which a request crosses them
	backends []*Lane
	controls []*Lane
	vantage  []*Lane
	looks    []*Lane // made in another way than users go, to tell look-alikes apart
	held     *Lane   // the front's, if requests are asked on it
	// heldOpens are all held-open connections, the front's first: each hop's, backend's and control port's too.
	heldOpens []*Lane

	// earlier is what was asked of the past already.
	earlier recollection
}

func newFacts(now *Result, past []*Result) *facts {
	f := &facts{now: now, past: past}
	groups := [...]*[]*Lane{&f.others, &f.hops, &f.backends, &f.controls, &f.vantage, &f.looks, &f.heldOpens}
	n := len(now.Lanes)
	room := make([]*Lane, len(groups)*n) // one piece for all groups, of which each could get every lane
	for i, g := range groups {
		*g = room[i*n : i*n : (i+1)*n]
	}
	for i := range now.Lanes {
		l := &now.Lanes[i]
		if g := f.group(l); g != nil {
			*g = append(*g, l)
		}
		f.takeMain(l)
	}
	if f.front == nil {
		f.front = &Lane{Lane: LaneFront}
	}
	return f
}

// group is where a lane stands among the others of its kind; nil for the front.
func (f *facts) group(l *Lane) *[]*Lane {
	switch {
	case l.Look != "":
		return &f.looks
	case l.Lane == LaneFront && l.Extra:
		return &f.others
	case l.Lane == LaneVia:
		return &f.hops
	case l.Lane == LaneBackend:
		return &f.backends
	case l.Lane == LaneControl:
		return &f.controls
	case l.Lane == LaneVantage:
		return &f.vantage
	case l.Lane == LaneHeldOpen:
		return &f.heldOpens
	}
	return nil
}

// takeMain keeps a lane that is the front's, or its old connection.
func (f *facts) takeMain(l *Lane) {
	switch {
	case l.Look != "":
	case l.Lane == LaneFront && !l.Extra:
		f.front, f.failed = l, failedStage(l)
	case l.Lane == LaneHeldOpen && l.Of == "" && (l.HeldOpen == nil || !l.HeldOpen.Mute):
		f.held = l
	}
}

// at tells that the front failed at a stage, and with one of the types, if any are given.
func (f *facts) at(s StageName, types ...Type) bool {
	return f.failed != nil && f.failed.Stage == s && (len(types) == 0 || slices.Contains(types, f.failed.Type))
}

// fine tells that every stage of the lane went well, and that there was one.
func (l *Lane) fine() bool {
	for i := range l.Stages {
		if !l.Stages[i].Good() {
			return false
		}
	}
	return len(l.Stages) > 0
}

// blind tells that we could not look through this lane.
func (l *Lane) blind() bool {
	s := failedStage(l)
	return len(l.Stages) == 0 || s != nil && (s.Outcome == NoData || s.Type.Self())
}

// broken tells that the lane looked and failed.
func (l *Lane) broken() bool { return !l.fine() && !l.blind() }

// answered tells that somebody at the address answered a SYN, if with a refusal.
func (l *Lane) answered() bool {
	s := l.stage(StageConnect)
	return s != nil && (s.Good() || s.Type == TCPRefused && (s.TCPInfo == nil || s.TCPInfo.State != tcpinfo.SynSent))
}

// clocks are the time that the far end told, and ours when its answer had come; ok is false when it told none.
func (l *Lane) clocks() (theirs, ours time.Time, ok bool) {
	if l.HTTP == nil || l.HTTP.Date.IsZero() || len(l.Stages) == 0 {
		return theirs, ours, false
	}
	return l.HTTP.Date, l.Stages[len(l.Stages)-1].Ended(), true
}

// served tells that the lane is known to have gone well before: by itself, or in an earlier round.
func (f *facts) served(l *Lane) bool { return !l.Served.IsZero() || f.servedBefore(l) }

// accuses tells that a lane past the usual way fails and that this is news: one that never worked while users were
// served is just closed to us, unless the same way to another of its role is open.
func (f *facts) accuses(l *Lane) bool {
	open := func(o *Lane) bool { return o.Role == l.Role && (o.fine() || f.served(o)) }
	return l.broken() && (!f.served(f.front) || anyOf(f.hops, open) || anyOf(f.backends, open))
}

// stage is the lane's stage of that name, nil if it has none.
func (l *Lane) stage(n StageName) *Stage {
	for i := range l.Stages {
		if l.Stages[i].Stage == n {
			return &l.Stages[i]
		}
	}
	return nil
}

// failedWith tells that the lane failed with one of the types.
func (l *Lane) failedWith(types ...Type) bool {
	s := failedStage(l)
	return s != nil && slices.Contains(types, s.Type)
}

func all(lanes []*Lane, is func(*Lane) bool) bool {
	return len(lanes) > 0 && !slices.ContainsFunc(lanes, func(l *Lane) bool { return !is(l) })
}

func anyOf(lanes []*Lane, is func(*Lane) bool) bool { return slices.ContainsFunc(lanes, is) }

// layerOf is the layer of what stands at a lane's far end. A front that no hop describes is a balancer when there are
// hops behind it, else whatever terminates TLS there.
func (f *facts) layerOf(r Role) Layer {
	switch r {
	case RoleBalancer:
		return LayerBalancer
	case RoleBackend:
		return LayerBackend
	case RoleFront:
		if len(f.hops) > 0 {
			return LayerBalancer
		}
	}
	return LayerProxy
}

// frontLayer is the layer of the box at the front's address.
func (f *facts) frontLayer() Layer { return f.layerOf(f.front.Role) }

// culprit is the layer of the last box on the way that fails at the same stage: a box in front of it only passes the
// failure on. Several boxes of a role share the load; one that serves clears nothing behind a balancer, but when all
// serve the balancer is left.
func (f *facts) culprit() (layer Layer, same int) {
	layer = f.frontLayer()
	for _, h := range f.hops {
		if s := failedStage(h); s != nil && s.Stage == f.failed.Stage && f.accuses(h) {
			layer = f.layerOf(h.Role)
			same++
		}
	}
	return layer, same
}

// deadHop is a hop behind the front whose own lane already fails at connect; nil if there is none.
func (f *facts) deadHop() *Lane {
	for _, h := range f.hops {
		if s := failedStage(h); s != nil && s.Stage == StageConnect && f.accuses(h) {
			return h
		}
	}
	return nil
}

// host tells whether the host of a lane is known to answer (up), known not to (down), or not known at all.
func (f *facts) host(l *Lane) (up, downToo bool) {
	h := hostOf(l.Address)
	for _, o := range slices.Concat(f.controls, f.hops, f.backends, f.others) {
		if o == l || hostOf(o.Address) != h || o.blind() || o.Address == l.Address && o.Lane != LaneControl {
			continue
		}
		if o.answered() {
			up = true
		} else {
			downToo = true
		}
	}
	return up || f.kernelAnswers(h, failedAt(l)), downToo
}

// failedAt is when the stage began at which a lane failed; zero if none did.
func failedAt(l *Lane) (t time.Time) {
	if s := failedStage(l); s != nil {
		t = s.Started
	}
	return t
}

// The held-open connection as a witness.

// heldServes: it goes on answering.
func (f *facts) heldServes() bool { return f.held != nil && f.held.fine() }

// heldSilent: the peer's kernel takes our request and its process does not answer.
func (f *facts) heldSilent() bool {
	return f.heldWaits() && f.heldInfo().AckedAll()
}

// heldUnheard: our request is not even acknowledged.
func (f *facts) heldUnheard() bool { return f.heldWaits() && f.heldInfo().Unheard() }

// heldBack: this host does not let our request out.
func (f *facts) heldBack() bool { return f.heldWaits() && f.heldInfo().HeldBack() }

// heldClosed and heldReset: the peer ended it.
func (f *facts) heldClosed() bool { return f.held != nil && f.held.failedWith(HTTPClosed) }
func (f *facts) heldReset() bool  { return f.held != nil && f.held.failedWith(HTTPReset) }

func (f *facts) heldWaits() bool { return f.held != nil && f.held.failedWith(HTTPTimedOut) }

func (f *facts) heldInfo() *tcpinfo.Info {
	if f.held == nil || len(f.held.Stages) == 0 {
		return nil
	}
	return f.held.Stages[0].TCPInfo
}

// otherAddressServes: the front's name leads to another address, and that one is fine.
func (f *facts) otherAddressServes() bool { return anyOf(f.others, (*Lane).fine) }

// silent: all of ours arrived in the peer's kernel, and nothing came back.
func silent(i *tcpinfo.Info) bool {
	return i.AckedAll() && i.BytesReceived == 0 && i.RcvOOO == 0 && i.Timeouts() == 0
}
