package alert

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// thawTime is how long a thawed process takes to answer what it holds: measured 3 ms in the median, 68 ms at most.
const thawTime = 500 * time.Millisecond

// end is what bounds a spell's end.
type end struct {
	// KnownBad is the last instant that is known to be bad; BadBegan is when that attempt began.
	KnownBad, BadBegan time.Time
	// Failed are the stages that have failed in the spell, on any address.
	Failed map[laneKey][]probe.StageName
	// HeldFailing tells that the front's held-open connection failed in the last bad round.
	HeldFailing bool
	// Late is the earliest answer to an attempt that was left open, after KnownBad. LateFalse tells that such an answer
	// was followed by failures, so that late answers date nothing in this spell.
	Late      time.Time
	LateFalse bool
	// LateStage is the stage that was answered then, BadStage the furthest one that failed in the last bad round: that a
	// handshake is answered ends no outage in which handshakes succeed.
	LateStage, BadStage probe.StageName
	// Good is when the first good round showed that what had failed works; zero while bad. GoodRounds counts the good rounds
	// since.
	Good       time.Time
	GoodRounds int
	// Longest is the most good rounds in a row that were followed by bad ones.
	Longest int
	// Relapsed tells that good rounds of the spell were followed by bad ones, so that a single one proves no end.
	Relapsed bool
}

// bad takes a bad round.
func (e *end) bad(r *probe.Result, faults []fault, v probe.Verdict) {
	e.Relapsed = e.Relapsed || e.GoodRounds > 0
	e.Longest = max(e.Longest, e.GoodRounds)
	e.Good, e.GoodRounds, e.HeldFailing = time.Time{}, 0, false
	for i := range r.Lanes {
		if _, failing := heldBad(&r.Lanes[i]); failing && asks(&r.Lanes[i]) {
			e.HeldFailing = true
		}
	}
	if len(faults) == 0 {
		e.KnownBad, e.BadBegan = later(e.KnownBad, r.Started), r.Started
	}
	e.BadStage = ""
	if e.Failed == nil {
		e.Failed = map[laneKey][]probe.StageName{}
	}
	for _, f := range faults {
		e.KnownBad, e.BadBegan = later(e.KnownBad, lastKnownBad(f, v)), later(e.BadBegan, f.stage.Started)
		if beyond(f.stage.Stage, e.BadStage) {
			e.BadStage = f.stage.Stage
		}
		k := f.key().anyAddress()
		if !slices.Contains(e.Failed[k], f.stage.Stage) {
			e.Failed[k] = append(e.Failed[k], f.stage.Stage)
		}
	}
	if !e.Late.IsZero() && e.BadBegan.After(e.Late) {
		e.LateFalse = true
	}
	if !e.Late.After(e.KnownBad) || beyond(e.BadStage, e.LateStage) {
		e.Late = time.Time{}
	}
}

// beyond tells that a lane comes to a stage only after another one.
func beyond(a, b probe.StageName) bool {
	return slices.Index(probe.StageNames, a) > slices.Index(probe.StageNames, b)
}

// late takes the answers to attempts that were left open, whatever the round that brought them.
func (e *end) late(r *probe.Result) {
	for _, l := range r.Late {
		k := laneKey{l.Lane, l.Hop, ""}
		if !l.OK || len(e.Failed[k]) == 0 || !l.Ended.After(e.KnownBad) || beyond(e.BadStage, l.Stage) {
			continue
		}
		if e.Late.IsZero() || l.Ended.Before(e.Late) {
			e.Late, e.LateStage = l.Ended, l.Stage
		}
	}
}

// good takes a good round and returns the bounds of the end: the earliest good evidence after the last bad one. Of a spell
// that came and went before, only as many good rounds in a row as a promise takes are an end. Elsewhere tells that the good
// rounds before this one say nothing, because they did not look where it was broken.
func (e *end) good(r *probe.Result, v probe.Verdict, promise int, elsewhere bool) (after, before *time.Time) {
	e.GoodRounds++
	if e.Good.IsZero() {
		e.Good = e.worksAgain(r)
		e.KnownBad = later(e.KnownBad, e.resent(r, v))
	}
	relapsed := e.Relapsed || promise > resolveRounds
	if elsewhere || relapsed && e.GoodRounds <= promise {
		e.Good = later(e.Good, r.Ended)
	}
	bad, good := e.KnownBad, e.Good
	if evidenceIsPrompt(v) && !relapsed && !elsewhere {
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

// synTimeout is after what time an unanswered SYN is sent again, the first time and at least (RFC 6298, 2.1).
const synTimeout = time.Second

// resent is the last instant that is known to be bad by what had to be sent again in a round that was good in the end;
// zero if nothing was. Our own connect counts its SYNs that were lost; the proxy's to its backend shows as an answer that
// took as long as a SYN's timeout.
func (e *end) resent(r *probe.Result, v probe.Verdict) (t time.Time) {
	for i := range r.Lanes {
		l := &r.Lanes[i]
		for j := range l.Stages {
			s := &l.Stages[j]
			if l.Lane != probe.LaneFront || !s.Good() || !slices.Contains(e.Failed[keyOf(l).anyAddress()], s.Stage) {
				continue
			}
			lost := s.TCPInfo.Timeouts()
			switch {
			case s.Stage == probe.StageConnect && lost > 0 && s.Duration.Std() >= synTimeout:
				t = later(t, s.Started.Add(time.Duration(lost-1)*synTimeout))
			case s.Stage == probe.StageRequest && v.Layer == probe.LayerLink && s.Duration.Std() >= synTimeout:
				t = later(t, s.Started)
			}
		}
	}
	return t
}

// asks tells that a lane is the held-open connection on which requests go the users' way.
func asks(l *probe.Lane) bool {
	return l.Lane == probe.LaneHeldOpen && l.Of == "" && l.HeldOpen != nil && !l.HeldOpen.Mute
}

// heldGood is when the held-open connection that had failed was answered again; zero if it was not.
func (e *end) heldGood(r *probe.Result) time.Time {
	var t time.Time
	if !e.HeldFailing {
		return t
	}
	for i := range r.Lanes {
		l := &r.Lanes[i]
		if _, failing := heldBad(l); failing || !asks(l) {
			continue
		}
		a := l.HeldOpen.GoodSince
		if !a.After(e.KnownBad) {
			a = l.HeldOpen.LastGoodAnswered
		}
		if a.After(e.KnownBad) && (t.IsZero() || a.Before(t)) {
			t = a
		}
	}
	return t
}

// lastKnownBad is the last instant at which a stage that failed proves badness.
//
// An answer, be it a refusal, is true when it left the peer; one to a handshake is chosen with the ClientHello, and took
// long to make. A timeout with nothing acknowledged proves it when the
// last (re)transmission was lost, less than one retransmission timeout before the end. A timeout of an attempt that the
// frozen peer's kernel has acknowledged proves it to its very end: a process that runs would have answered what it
// holds. Any other timeout, such as that of a proxy that waits for somebody else, and slowness prove only their beginning.
func lastKnownBad(f fault, v probe.Verdict) time.Time {
	s, info := f.stage, f.stage.TCPInfo
	asked := s.Started
	if !timedOut(s.Type) {
		asked = f.asked()
	}
	known := asked
	switch {
	case s.Outcome != probe.Failed:
	case !timedOut(s.Type):
		if s.Stage != probe.StageTLS && info != nil && info.RTT > 0 {
			known = s.Ended().Add(-answerAge(info))
		}
	case s.Type == probe.DNSTimedOut:
		// Every server is asked at least twice, in equal shares of the time: the last question is not older than half.
		known = s.Started.Add(s.Duration.Std() / 2)
	case info == nil:
	case info.State == tcpinfo.SynSent || info.Unacked > 0:
		known = s.Ended().Add(-info.Retransmission())
	case frozen(v):
		known = s.Ended()
	}
	return later(known, asked)
}

// asked is when the question went out whose answer the stage saw: a response's status was decided before we began to
// read it.
func (f fault) asked() time.Time {
	for i := range f.lane.Stages {
		if s := &f.lane.Stages[i]; f.stage.Stage == probe.StageResponse && s.Stage == probe.StageRequest && !s.Started.IsZero() {
			return s.Started
		}
	}
	return f.stage.Started
}

// kernelTick is how coarse the kernel's ages are, at CONFIG_HZ=100.
const kernelTick = 10 * time.Millisecond

// answerAge is how long before we had read it an answer left the peer: it was on its way, and waited in our kernel until
// this process ran.
func answerAge(i *tcpinfo.Info) time.Duration {
	return time.Duration(i.RTT)*time.Microsecond + time.Duration(i.LastDataRecv)*time.Millisecond + kernelTick
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
