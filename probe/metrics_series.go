package probe

import (
	"net/netip"
	"sync"
	"time"
)

// targetSeries is what is emitted of one target: values of the last round, and counts since its first.
type targetSeries struct {
	name string

	mu      sync.Mutex
	http    bool // phases of HTTP are told
	rounds  map[Trigger]uint64
	skipped uint64
	ended   time.Time // of the last round; zero before the first
	verdict Verdict   // without its sentences
	lanes   map[laneKey]*laneSeries
	front   frontSeries
	held    heldSeries
}

type laneKey struct {
	lane LaneKind
	hop  string
}

// laneSeries are the values of one lane. Counts stay when a round leaves the lane out, values do not.
type laneSeries struct {
	seen                 bool // in the last round
	stages               [5]stageSeries
	failures             map[failureKey]uint64
	retransmits, rtos    uint64
	connection           time.Time // of the long-lived connection whose counters were last read
	lastRetrans, lastRTO uint64
}

// stageSeries is the last value of one stage; an empty outcome is a stage that the lane does not have.
type stageSeries struct {
	outcome  Outcome
	duration time.Duration
}

// ran tells that there was something to measure.
func (s stageSeries) ran() bool { return s.outcome == OK || s.outcome == Slow || s.outcome == Failed }

type failureKey struct {
	stage StageName
	typ   Type
}

// frontSeries are the values that blackbox_exporter tells too.
type frontSeries struct {
	judged, success bool
	took            time.Duration
	ipVersion       int
	tls             bool
	certEnds        time.Time
	http            bool
	status          int
	length          int64
}

func newTargetSeries(name string) *targetSeries {
	t := &targetSeries{name: name, http: true, lanes: make(map[laneKey]*laneSeries), rounds: make(map[Trigger]uint64)}
	for _, by := range []Trigger{BySchedule, ByReprobe, ByHeldOpen, ByLate} {
		t.rounds[by] = 0
	}
	return t
}

// observe takes a round in. It returns whether the front lane was good, and how long it took.
func (t *targetSeries) observe(r *Result, v Verdict) (good bool, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rounds[r.Trigger]++
	t.ended = r.Ended
	t.verdict = Verdict{State: v.State, Layer: v.Layer, Cause: v.Cause, Confidence: v.Confidence}
	t.front = frontSeries{}
	for _, l := range t.lanes {
		l.seen = false
	}
	for i := range r.Lanes {
		t.lane(&r.Lanes[i])
	}
	return t.front.judged && t.front.success, t.front.took
}

// seriesKey is by what name a lane is emitted. A held-open connection beside another lane says whose it is, since a hop and
// a backend may have the same name; one to a control port is not emitted: the control's own lane is.
func seriesKey(l *Lane) (laneKey, bool) {
	kind := l.Lane
	if kind == LaneHeldOpen && l.Of != "" {
		kind += "_" + l.Of
	}
	return laneKey{kind, l.Hop}, l.Lane != LaneHeldOpen || l.Of != LaneControl
}

// lane takes one lane in. A further look at the same hop adds to the counts; the values are the first look's.
func (t *targetSeries) lane(l *Lane) {
	key, ok := seriesKey(l)
	if !ok {
		return
	}
	s := t.lanes[key]
	if s == nil {
		s = &laneSeries{failures: make(map[failureKey]uint64)}
		t.lanes[key] = s
	}
	s.count(l)
	if l.HeldOpen != nil && l.Of == "" && !l.HeldOpen.Mute {
		t.held.observe(l.HeldOpen)
	}
	if s.seen || l.Extra {
		return
	}
	s.seen = true
	s.keep(l)
	if l.Lane == LaneFront {
		t.front = frontOf(l)
	}
}

// keep stores the stages' last values.
func (s *laneSeries) keep(l *Lane) {
	s.stages = [5]stageSeries{}
	for i := range l.Stages {
		st := &l.Stages[i]
		n := stageIndex(st.Stage)
		if n < 0 {
			continue
		}
		s.stages[n] = stageSeries{st.Outcome, st.Duration.Std()}
		if st.Outcome == Failed && l.Testified() {
			s.stages[n].outcome = OK
		}
	}
}

// Testified tells that a witness has shown what it is asked for: its host answers. A refusal does that too; most
// gateways listen nowhere.
func (l *Lane) Testified() bool {
	return (l.Lane == LaneControl || l.Lane == LaneVantage) && l.answered()
}

func stageIndex(name StageName) int {
	for i, n := range StageNames {
		if n == name {
			return i
		}
	}
	return -1
}

// count adds the lane's failures and its connection's counters, which its last reading holds as totals.
func (s *laneSeries) count(l *Lane) {
	var retrans, rtos uint64
	for i := range l.Stages {
		st := &l.Stages[i]
		if st.Outcome == Failed && !l.Testified() {
			s.failures[failureKey{st.Stage, st.Type}]++
		}
		if st.TCPInfo != nil {
			retrans, rtos = uint64(st.TCPInfo.TotalRetrans), uint64(st.TCPInfo.Timeouts())
		}
	}
	if l.HeldOpen != nil {
		retrans, rtos = s.since(l.HeldOpen.Since, retrans, rtos)
	}
	s.retransmits += retrans
	s.rtos += rtos
}

// since turns the totals of a connection that lives longer than a round into what was added to them.
func (s *laneSeries) since(connection time.Time, retrans, rtos uint64) (uint64, uint64) {
	if !s.connection.Equal(connection) {
		s.connection, s.lastRetrans, s.lastRTO = connection, 0, 0
	}
	addedRetrans, addedRTO := retrans-min(retrans, s.lastRetrans), rtos-min(rtos, s.lastRTO)
	s.lastRetrans, s.lastRTO = max(retrans, s.lastRetrans), max(rtos, s.lastRTO)
	return addedRetrans, addedRTO
}

// frontOf judges the front lane as a user would. What we could not look at is neither success nor failure.
func frontOf(l *Lane) frontSeries {
	f := frontSeries{judged: len(l.Stages) > 0, success: true}
	for i := range l.Stages {
		st := &l.Stages[i]
		f.took += st.Duration.Std()
		f.success = f.success && st.Good()
		if st.Outcome == NoData || st.Type.Self() {
			f.judged = false
		}
	}
	if a, err := netip.ParseAddrPort(l.Address); err == nil {
		f.ipVersion = 6
		if a.Addr().Unmap().Is4() {
			f.ipVersion = 4
		}
	}
	if l.TLS != nil {
		f.tls, f.certEnds = true, l.TLS.NotAfter
	}
	if l.HTTP != nil {
		f.http, f.status, f.length = true, l.HTTP.Status, l.HTTP.ContentLength
	}
	return f
}

// heldSeries follows the long-lived connection through the front.
type heldSeries struct {
	facts    HeldOpenFacts
	answered uint64
	deaths   uint64
	seen     bool
}

// observe adds what happened on the connection since the last look. A connection that was replaced has died, seen or
// not.
func (h *heldSeries) observe(f *HeldOpenFacts) {
	before := h.facts
	replaced := !before.Since.IsZero() && !f.Since.Equal(before.Since)
	switch {
	case !f.Died.IsZero() && !f.Died.Equal(before.Died):
		h.deaths++
	case replaced && before.Died.IsZero():
		h.deaths++
	}
	if f.Since.Equal(before.Since) {
		h.answered += f.Answered - min(f.Answered, before.Answered)
	} else {
		h.answered += f.Answered
	}
	h.facts, h.seen = *f, true
}
