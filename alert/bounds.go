package alert

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// thawTime is how long a thawed process takes to answer what it holds: measured 3 ms in the median, 68 ms at most.
const thawTime = 500 * time.Millisecond

// underWay is how far a held-open request may overlap a stage that failed and still say something about it.
const underWay = 200 * time.Millisecond

// maxLanesSeen bounds the memory of addresses behind a name that changes them all the time.
const maxLanesSeen = 256

// laneKey tells one lane of a target from the others. Address is empty for "any address".
type laneKey struct {
	Kind    probe.LaneKind
	Hop     string
	Address string
}

func keyOf(l *probe.Lane) laneKey { return laneKey{l.Lane, l.Hop, l.Address} }

func (k laneKey) anyAddress() laneKey { k.Address = ""; return k }

// fault is a stage that makes a round bad, and its lane.
type fault struct {
	lane  *probe.Lane
	stage *probe.Stage
}

// key is the lane's; names are resolved before there is an address.
func (f fault) key() laneKey {
	if f.stage.Stage == probe.StageResolve {
		return keyOf(f.lane).anyAddress()
	}
	return keyOf(f.lane)
}

// faultsOf finds the stages that explain a bad round: what users see first. Only when no front lane fails do the other
// lanes count, and only when none fails do slow ones. Further looks made because another lane failed come last: they
// look differently. A round can be bad without any, such as one with a certificate that ends soon.
func faultsOf(r *probe.Result) []fault {
	for _, outcome := range []probe.Outcome{probe.Failed, probe.Slow} {
		for _, extra := range []bool{false, true} {
			for _, front := range []bool{true, false} {
				if f := faultsWith(r, outcome, extra, front); len(f) > 0 {
					return f
				}
			}
		}
	}
	return nil
}

func faultsWith(r *probe.Result, outcome probe.Outcome, extra, front bool) (out []fault) {
	for i := range r.Lanes {
		l := &r.Lanes[i]
		side := l.Lane == probe.LaneVia || l.Lane == probe.LaneBackend
		if l.Extra != extra || front && l.Lane != probe.LaneFront || !front && !side {
			continue
		}
		for j := range l.Stages {
			if l.Stages[j].Outcome == outcome && !l.Stages[j].Started.IsZero() {
				out = append(out, fault{l, &l.Stages[j]})
				break
			}
		}
	}
	return out
}

// lastGood remembers when each stage of each lane last began to be good.
type lastGood struct {
	Stages map[laneKey]map[probe.StageName]time.Time
	// Round is when the last good round began.
	Round time.Time
}

// note takes a good round.
func (g *lastGood) note(r *probe.Result) {
	if g.Stages == nil || len(g.Stages) > maxLanesSeen {
		g.Stages = map[laneKey]map[probe.StageName]time.Time{}
	}
	g.Round = r.Started
	for i := range r.Lanes {
		l := &r.Lanes[i]
		for _, k := range []laneKey{keyOf(l), keyOf(l).anyAddress()} {
			if g.Stages[k] == nil {
				g.Stages[k] = make(map[probe.StageName]time.Time, len(l.Stages))
			}
			for j := range l.Stages {
				if s := &l.Stages[j]; s.Good() && !s.Started.IsZero() {
					g.Stages[k][s.Stage] = s.Started
				}
			}
		}
	}
}

// before is when the same stage began in the last round in which it was good; zero if it never was.
func (g *lastGood) before(f fault) time.Time {
	for _, k := range []laneKey{f.key(), f.key().anyAddress()} {
		if t, ok := g.Stages[k][f.stage.Stage]; ok {
			return t
		}
	}
	return g.Round
}

// start is what bounds a spell's start.
type start struct {
	// After is zero when there was no good round before. Bad is when the first stage that failed began.
	After, Before, Bad time.Time
	// HeldAfter and HeldBefore are the held-open connection's own bounds; zero until it fails too.
	HeldAfter, HeldBefore time.Time
}

// startOf bounds the start from a spell's first bad round. A timeout proves badness only at its end, a refusal or a
// reset at its instant, which is also the stage's end.
func startOf(r *probe.Result, faults []fault, good *lastGood) start {
	if len(faults) == 0 {
		return start{After: good.Round, Before: r.Ended, Bad: r.Started}
	}
	var s start
	for i, f := range faults {
		after := good.before(f)
		if i == 0 || after.Before(s.After) {
			s.After = after
		}
		if i == 0 || f.stage.Ended().Before(s.Before) {
			s.Before = f.stage.Ended()
		}
		if i == 0 || f.stage.Started.Before(s.Bad) {
			s.Bad = f.stage.Started
		}
	}
	return s
}

// heldOpen takes what the long-lived connections say in a bad round: they ask every second and so date the start
// finer than rounds do. Only the first word counts, and only when it fits to what the lanes saw: a connection that
// served on while new ones failed says nothing about them, and neither does one that had failed before the last
// good round.
func (s *start) heldOpen(r *probe.Result) {
	for i := range r.Lanes {
		h := r.Lanes[i].HeldOpen
		bad, failing := heldBad(&r.Lanes[i])
		if !failing || !s.HeldBefore.IsZero() || s.After.IsZero() {
			continue
		}
		after := h.LastGoodSent
		if after.After(s.Bad) && after.Sub(s.Bad) <= underWay {
			after = s.Bad // it was under way when the first stage that failed began
		}
		if after.IsZero() || after.After(s.Bad) || !bad.After(s.After) || !bad.After(after) {
			continue
		}
		s.HeldAfter, s.HeldBefore = after, bad
	}
}

// heldBad is when a held-open lane began to fail, if it is failing.
func heldBad(l *probe.Lane) (time.Time, bool) {
	if l.Lane != probe.LaneHeldOpen || l.HeldOpen == nil {
		return time.Time{}, false
	}
	missed, died := l.HeldOpen.Missed, l.HeldOpen.Died
	if missed.IsZero() || !died.IsZero() && died.Before(missed) {
		missed = died
	}
	return missed, !missed.IsZero()
}

// bounds joins both sources, if an established connection suffers from what the verdict says at all.
func (s *start) bounds(v probe.Verdict) Bounds {
	after, before := s.After, s.Before
	if !s.HeldBefore.IsZero() && oldConnectionsSuffer(v) {
		if s.HeldAfter.After(after) {
			after = s.HeldAfter
		}
		if s.HeldBefore.Before(before) {
			before = s.HeldBefore
		}
	}
	b := Bounds{StartsBefore: before.UTC()}
	if s.After.IsZero() {
		return b
	}
	if !after.Before(before) {
		after = before.Add(-time.Nanosecond)
	}
	b.StartsAfter = utc(after)
	return b
}

// oldConnectionsSuffer is false for faults that only new connections meet.
func oldConnectionsSuffer(v probe.Verdict) bool {
	switch v.Cause {
	case probe.CauseNewDropped, probe.CauseRefusesClients, probe.CauseTLSRefused, probe.CauseNotTLS,
		probe.CauseCertExpired, probe.CauseCertExpires, probe.CauseCertName, probe.CauseCertAuthority, probe.CauseCertInvalid:
		return false
	}
	return v.Layer != probe.LayerDNS && v.Layer != probe.LayerProber
}

// end is what bounds a spell's end.
type end struct {
	// KnownBad is the last instant that is known to be bad; BadBegan is when that attempt began.
	KnownBad, BadBegan time.Time
	// Failed are the stages that have failed in the spell, on any address.
	Failed map[laneKey][]probe.StageName
	// HeldFailing tells that a held-open connection failed in the last bad round.
	HeldFailing bool
	// Late is the earliest answer to an attempt that was left open, after KnownBad. LateFalse tells that such an answer
	// was followed by failures, so that late answers date nothing in this spell.
	Late      time.Time
	LateFalse bool
	// Good is when the first good round showed that what had failed works; zero while bad.
	Good time.Time
}

// bad takes a bad round.
func (e *end) bad(r *probe.Result, faults []fault, v probe.Verdict) {
	e.Good, e.HeldFailing = time.Time{}, false
	for i := range r.Lanes {
		if _, failing := heldBad(&r.Lanes[i]); failing {
			e.HeldFailing = true
		}
	}
	if len(faults) == 0 {
		e.KnownBad, e.BadBegan = later(e.KnownBad, r.Started), r.Started
	}
	if e.Failed == nil {
		e.Failed = map[laneKey][]probe.StageName{}
	}
	for _, f := range faults {
		e.KnownBad, e.BadBegan = later(e.KnownBad, lastKnownBad(f, v)), later(e.BadBegan, f.stage.Started)
		k := f.key().anyAddress()
		if !slices.Contains(e.Failed[k], f.stage.Stage) {
			e.Failed[k] = append(e.Failed[k], f.stage.Stage)
		}
	}
	if !e.Late.IsZero() && e.BadBegan.After(e.Late) {
		e.LateFalse = true
	}
	if !e.Late.After(e.KnownBad) {
		e.Late = time.Time{}
	}
}

// late takes the answers to attempts that were left open, whatever the round that brought them.
func (e *end) late(r *probe.Result) {
	for _, l := range r.Late {
		k := laneKey{l.Lane, l.Hop, ""}
		if !l.OK || len(e.Failed[k]) == 0 || !l.Ended.After(e.KnownBad) {
			continue
		}
		if e.Late.IsZero() || l.Ended.Before(e.Late) {
			e.Late = l.Ended
		}
	}
}

// good takes a good round and returns the bounds of the end: the earliest good evidence after the last bad one.
func (e *end) good(r *probe.Result, v probe.Verdict) (after, before *time.Time) {
	if e.Good.IsZero() {
		e.Good = e.worksAgain(r)
	}
	bad, good := e.KnownBad, e.Good
	if evidenceIsPrompt(v) {
		if t := e.heldGood(r); !t.IsZero() && t.Before(good) {
			good = t
		}
		if !e.Late.IsZero() && !e.LateFalse {
			if e.Late.Before(good) {
				good = e.Late
			}
			if thaw := e.Late.Add(-thawTime); frozen(v) && thaw.Before(good) {
				bad = later(bad, thaw)
			}
		}
	}
	if !bad.Before(good) {
		bad = e.BadBegan // the two contradict each other: take the wider interval
	}
	if !bad.Before(good) {
		bad = good.Add(-time.Nanosecond)
	}
	return utc(bad), utc(good)
}

// worksAgain is when, in a good round, the last of the stages that had failed in the spell was over.
func (e *end) worksAgain(r *probe.Result) time.Time {
	var t time.Time
	for i := range r.Lanes {
		l := &r.Lanes[i]
		for j := range l.Stages {
			s := &l.Stages[j]
			if s.Good() && !s.Started.IsZero() && slices.Contains(e.Failed[keyOf(l).anyAddress()], s.Stage) {
				t = later(t, s.Ended())
			}
		}
	}
	if t.IsZero() {
		return r.Ended
	}
	return t
}

// heldGood is when a held-open connection that had failed was answered again; zero if it was not.
func (e *end) heldGood(r *probe.Result) time.Time {
	var t time.Time
	if !e.HeldFailing {
		return t
	}
	for i := range r.Lanes {
		l := &r.Lanes[i]
		if _, failing := heldBad(l); failing || l.Lane != probe.LaneHeldOpen || l.HeldOpen == nil {
			continue
		}
		if a := l.HeldOpen.LastGoodAnswered; a.After(e.KnownBad) && (t.IsZero() || a.Before(t)) {
			t = a
		}
	}
	return t
}

// lastKnownBad is the last instant at which a stage that failed proves badness.
//
// An answer, be it a refusal, is true when it left the peer. A timeout with nothing acknowledged proves it when the
// last (re)transmission was lost, less than one retransmission timeout before the end. A timeout of an attempt that the
// frozen peer's kernel has acknowledged proves it to its very end: a process that runs would have answered what it
// holds. Any other timeout, such as that of a proxy that waits for somebody else, and slowness prove only their beginning.
func lastKnownBad(f fault, v probe.Verdict) time.Time {
	s, info := f.stage, f.stage.TCPInfo
	known := s.Started
	switch {
	case s.Outcome != probe.Failed:
	case !timedOut(s.Type):
		rtt := s.Duration.Std()
		if info != nil && info.RTT > 0 {
			rtt = time.Duration(info.RTT) * time.Microsecond
		}
		if s.Stage == probe.StageConnect || info != nil && info.RTT > 0 {
			known = s.Ended().Add(-rtt)
		} else {
			known = s.Ended()
		}
	case info == nil:
	case info.State == tcpinfo.SynSent || info.Unacked > 0:
		known = s.Ended().Add(-info.Retransmission())
	case frozen(v):
		known = s.Ended()
	}
	return later(known, s.Started)
}

// timedOut tells that the type is silence, not an answer.
func timedOut(t probe.Type) bool {
	switch t {
	case probe.DNSTimedOut, probe.TCPTimedOut, probe.TLSTimedOut, probe.HTTPTimedOut, probe.HTTPBodyStalled, probe.AppTimedOut:
		return true
	}
	return false
}

// frozen tells that the verdict takes a process for stopped: one that answers what it holds as soon as it runs.
func frozen(v probe.Verdict) bool {
	local := v.Layer == probe.LayerProxy || v.Layer == probe.LayerBalancer || v.Layer == probe.LayerBackend
	return local && (v.Cause == probe.CauseFrozen || v.Cause == probe.CauseQueueFull)
}

// evidenceIsPrompt is false for slowness: there a late answer is the fault itself, not its end.
func evidenceIsPrompt(v probe.Verdict) bool {
	switch v.Cause {
	case probe.CauseSlow, probe.CauseBodyStalled, probe.CauseUnknown, probe.CauseNone, probe.CausePartial, "":
		return false
	}
	return true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func utc(t time.Time) *time.Time {
	t = t.UTC()
	return &t
}
