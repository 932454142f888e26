package probe

import "slices"

// What the earlier rounds of an incident tell. There may be hundreds, and each question goes through the lanes of all of
// them, so that nothing is copied or built on the way, and what several rules ask is remembered.

// recollection is what was found in the past already.
type recollection struct {
	// lanes and served say of which lanes it was asked whether they went well before, and the answers.
	lanes  []*Lane
	served []bool
	// looks and nameLooks are the latest looks, once looked and named are set.
	looked, named    bool
	looks, nameLooks []*Lane
	// lossy is whether packets were lost on the way to the front's host, once weighed is set.
	weighed, lossy bool
}

// servedBefore tells that a lane went well in an earlier round.
func (f *facts) servedBefore(l *Lane) bool {
	known := &f.earlier
	if i := slices.Index(known.lanes, l); i >= 0 {
		return known.served[i]
	}
	served := slices.ContainsFunc(f.past, func(r *Result) bool {
		for i := range r.Lanes {
			if o := &r.Lanes[i]; o.Lane == l.Lane && o.Hop == l.Hop && !o.Extra && o.fine() {
				return true
			}
		}
		return false
	})
	known.lanes, known.served = append(known.lanes, l), append(known.served, served)
	return served
}

// pastLooks are the looks of the rounds in which the front failed as it does now, newest first, each kind at each lane
// once. Rounds that went to another address of the name say nothing about this one.
func (f *facts) pastLooks() []*Lane {
	known := &f.earlier
	if known.looked {
		return known.looks
	}
	known.looked = true
	for _, r := range slices.Backward(f.past) {
		l := frontLane(r)
		switch {
		case l != nil && l.Address != "" && l.Address != f.front.Address:
		case !f.sameFailure(r):
			return known.looks
		default:
			known.looks = appendLooks(known.looks, r)
		}
	}
	return known.looks
}

// pastNameLooks are the same of the rounds since the name resolved last.
func (f *facts) pastNameLooks() []*Lane {
	known := &f.earlier
	if known.named {
		return known.nameLooks
	}
	known.named = true
	for _, r := range slices.Backward(f.past) {
		known.nameLooks = appendLooks(known.nameLooks, r)
		if resolved(r) {
			break
		}
	}
	return known.nameLooks
}

// appendLooks adds the looks of a round of which no newer one is known.
func appendLooks(known []*Lane, r *Result) []*Lane {
	for i := range r.Lanes {
		l := &r.Lanes[i]
		same := func(o *Lane) bool { return o.Look == l.Look && o.Lane == l.Lane && o.Hop == l.Hop }
		if l.Look != "" && !slices.ContainsFunc(known, same) {
			known = append(known, l)
		}
	}
	return known
}

// sameFailure tells that the front failed in an earlier round as it does now.
func (f *facts) sameFailure(r *Result) bool {
	l := frontLane(r)
	if l == nil {
		return false
	}
	s := failedStage(l)
	return s != nil && l.Address == f.front.Address && s.Stage == f.failed.Stage && s.Type == f.failed.Type
}

// lossy tells that small packets to another port of the front's host had to be sent again, in this round or one before of
// the same failure: what stays without an answer may be lost.
func (f *facts) lossy() bool {
	known := &f.earlier
	if known.weighed {
		return known.lossy
	}
	known.weighed = true
	known.lossy = f.resentBeside(f.now)
	for i := len(f.past) - 1; i >= 0 && !known.lossy && f.sameFailure(f.past[i]); i-- {
		known.lossy = f.resentBeside(f.past[i])
	}
	return known.lossy
}

// resentBeside tells that in a round something was sent again on the way to a control port of the front's host.
func (f *facts) resentBeside(r *Result) bool {
	for i := range r.Lanes {
		l := &r.Lanes[i]
		if l.Lane != LaneControl || l.Look != "" && l.Look != LookExchange {
			continue
		}
		connect, few := l.stage(StageConnect), l.stage(StageRequest)
		resent := connect != nil && connect.TCPInfo.Timeouts() > 0 || few != nil && few.TCPInfo.Timeouts() > 0 && few.TCPInfo.Open()
		if resent && hostOf(l.Address) == hostOf(f.front.Address) {
			return true
		}
	}
	return false
}

// wasSilentBefore: an earlier round of this incident saw the front's handshake or request acknowledged and unanswered.
func (f *facts) wasSilentBefore() bool {
	return slices.ContainsFunc(f.past, func(r *Result) bool {
		for i := range r.Lanes {
			l := &r.Lanes[i]
			if l.Lane == LaneFront && l.Look == "" && l.Address == f.front.Address && l.failedWith(TLSTimedOut) && silent(failedStage(l).TCPInfo) {
				return true
			}
		}
		return false
	})
}

// glance is what an earlier round saw of the front and of its old connection, and nothing else.
func glance(r *Result) (f facts) {
	f.now = r
	for i := range r.Lanes {
		f.takeMain(&r.Lanes[i])
	}
	return f
}
