package alert

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// How soon to look again, and how much to remember.
const (
	// reprobeSoon is from the begin of a round to the begin of the next, reprobeBreath the least time between two.
	reprobeSoon   = 2 * time.Second
	reprobeBreath = 300 * time.Millisecond
	// reprobeHanging gives a frozen queue a rest: each further connection takes a place in it for good, and the attempt
	// that hangs will date the end by itself.
	reprobeHanging = 5 * time.Second
	resolveRounds  = 3
	historyFirst   = 20
	historyLimit   = 120
)

// watching is the state of an incident that nobody has heard of: one failure.
const watching State = ""

// Tracker turns one target's rounds into incidents. It is pure: it knows no clock and does no I/O, and all times are
// those of the rounds. It is not safe for concurrent use.
type Tracker struct {
	target string
	detect config.Detect
	newID  func(time.Time) string
	s      trackerState
}

// trackerState is everything that a tracker remembers, as plain data.
type trackerState struct {
	Detector Detector
	// Members and Pattern outlive a spell.
	Members members
	Pattern pattern
	// Mild tells that people were told of an incident in which most rounds go well.
	Mild mildness
	// Recurs tells that the failures of the spell come and go, so that its end takes longer to be known; From is the number
	// in Pattern of the first of them.
	Recurs bool
	From   int
	Good   lastGood
	Start  start
	End    end
	// Began is when the spell's first bad round began.
	Began time.Time
	// Run bounds the start of the failures in a row that go on, when they began after good rounds within the spell.
	Run *start
	// Incident is nil while all is well; Last is the one before, which a relapse may reopen.
	Incident, Last *Incident
	// LastBad is when the last bad round ended; GoodRun counts the good rounds since.
	LastBad time.Time
	GoodRun int
	// Other is a verdict that differs from the incident's, seen in the last OtherRounds bad rounds.
	Other       probe.Verdict
	OtherRounds int
	History     []*probe.Result `json:"-"`
	// NoData is the run of rounds that is going on in which we could not look.
	NoData probe.Gap
	// GapsTo is until when gaps have been told.
	GapsTo time.Time
}

// NewTracker prepares a tracker for a target; newID makes an incident's ID from its start, see [NewID].
func NewTracker(target string, d config.Detect, newID func(time.Time) string) *Tracker {
	return &Tracker{target: target, detect: d, newID: newID}
}

// Step is what follows from a round.
type Step struct {
	Events []Event
	// Next, if positive, asks for another round that long after this one's end.
	Next time.Duration
}

// History are the rounds of the incident so far, oldest first: the first ones and the last ones. They are the past
// that [probe.Attribute] takes.
func (t *Tracker) History() []*probe.Result { return slices.Clone(t.s.History) }

// Incident is a copy of the incident that is going on, nil if there is none that was told.
func (t *Tracker) Incident() *Incident {
	if t.s.Incident == nil || t.s.Incident.State == watching {
		return nil
	}
	return t.s.Incident.snapshot()
}

// Observe takes a round and its verdict. Rounds must come in their order.
func (t *Tracker) Observe(r *probe.Result, v probe.Verdict) Step {
	step := Step{Events: t.gapsOf(r, v)}
	v = tidy(v)
	if t.s.Incident != nil {
		t.s.End.late(r)
	}
	switch {
	case hurts(v):
		step.Events = append(step.Events, t.bad(r, v)...)
	case v.State == probe.Up || v.State.Bad():
		step.Events = append(step.Events, t.good(r)...)
	}
	step.Next = t.next(r)
	return step
}

// hurts tells that users suffer now. A certificate that ends some day is no outage yet: it would swallow the start of a
// real one. [CertificateWatch] tells of it.
func hurts(v probe.Verdict) bool { return v.State.Bad() && v.Cause != probe.CauseCertExpires }

// Gap takes a time in which nobody looked. It widens the bounds by itself, because there is no observation in it: an
// outage that began or ended in the gap did so between the last look before it and the first one after. An incident that
// was told goes on with its start; what was merely suspected before a long gap is dropped.
func (t *Tracker) Gap(g probe.Gap) []Event {
	t.s.GapsTo = later(t.s.GapsTo, g.To) // with the monotonic clock, which nobody sets
	g.From, g.To = g.From.UTC(), g.To.UTC()
	if g.To.Before(g.From) { // the clock was set back in it
		g.From = g.To
	}
	i := t.s.Incident
	if i != nil {
		i.Gaps = keepEnds(i.Gaps, g, maxGaps/2, maxGaps)
	}
	events := []Event{{Event: EventGap, Time: g.To, Target: t.target, Gap: &g, Incident: t.Incident()}}
	if g.To.Sub(g.From) <= t.detect.Reopen.Std() || i != nil && i.State != watching && i.State != Suspected {
		return events
	}
	t.s.Members, t.s.Pattern = nil, pattern{}
	return append(events, t.Close(g.To, "nobody looked for "+g.To.Sub(g.From).Round(time.Second).String())...)
}

// Close ends an incident because its target is looked at no more.
func (t *Tracker) Close(at time.Time, reason string) []Event {
	i := t.Incident()
	t.end(nil)
	if i == nil {
		return nil
	}
	i.State, i.Reason = Dismissed, reason
	return []Event{{Event: EventDismissed, Time: at.UTC(), Target: t.target, Verdict: &i.Verdict, Incident: i}}
}

// gapsOf reports the times of a round in which this process did not run, and a run of rounds without data once it is
// over.
func (t *Tracker) gapsOf(r *probe.Result, v probe.Verdict) (events []Event) {
	blind := !v.State.Bad() && v.State != probe.Up
	if run := &t.s.NoData; !blind && !run.From.IsZero() {
		events = append(events, t.Gap(*run)...)
		*run = probe.Gap{}
	}
	if blind {
		if t.s.NoData.From.IsZero() {
			t.s.NoData = probe.Gap{From: r.Started, Reason: "no data: " + causeWords(v.Cause)}
		}
		t.s.NoData.To = r.Ended
		return events
	}
	for _, g := range r.Self.Gaps {
		if g.To.After(t.s.GapsTo) {
			events = append(events, t.Gap(g)...)
		}
	}
	return events
}

func (t *Tracker) bad(r *probe.Result, v probe.Verdict) []Event {
	faults := faultsOf(r)
	if t.s.Incident == nil {
		t.begin(r, v, faults)
	}
	s, i := &t.s, t.s.Incident
	t.count(r, v, faults)
	v = t.soften(v)
	t.restart(r, v, faults)
	s.LastBad, s.GoodRun = r.Ended, 0
	i.Rounds++
	i.FailedRounds++
	t.remember(r)
	i.fingerprint(r)
	changed := t.consider(r, v)
	s.Start.heldOpen(r)
	s.End.bad(r, faults, i.Verdict)
	t.bound()
	i.setEnd(nil, nil)
	return t.afterBad(r, changed)
}

// afterBad makes the transitions that a bad round can cause.
func (t *Tracker) afterBad(r *probe.Result, changed bool) (events []Event) {
	i := t.s.Incident
	if i.State == Recovering {
		i.State = Open
	}
	if i.State == Open && changed {
		events = append(events, t.event(EventUpdated, r))
	}
	if i.State == watching && t.suspicious(r) {
		i.State = Suspected
		events = append(events, t.event(EventSuspect, r))
	}
	if i.State == Suspected && t.certain() {
		if t.s.Mild != notMild {
			i.Verdict = t.soften(i.Verdict)
			t.bound()
		}
		i.State = Open
		if i.OpenedAt == nil {
			i.OpenedAt = utc(r.Ended)
		}
		if len(i.Spells) > 0 {
			i.Reopened++
		}
		events = append(events, t.event(EventOpened, r))
	}
	return events
}

func (t *Tracker) good(r *probe.Result) (events []Event) {
	s, i := &t.s, t.s.Incident
	defer s.Good.note(r)
	elsewhere := s.Members.owed(1)
	s.Members.note(r, false, nil, start{}, false)
	s.Pattern.note(false, start{})
	if i == nil {
		return nil
	}
	s.Detector.Good()
	s.GoodRun++
	i.Rounds++
	t.remember(r)
	i.setEnd(s.End.good(r, i.Verdict, t.promise(), elsewhere))
	t.bound()
	calm := s.GoodRun >= resolveRounds && apart(r.Ended, later(s.LastBad, *i.EndsAfter)) >= t.detect.Resolve.Std()
	innocent := (calm || s.Detector.Quiet()) && !s.Members.awaited()
	switch {
	case i.State == watching && innocent:
		t.end(nil)
	case i.State == Suspected && innocent:
		i.State = Dismissed
		events = append(events, t.event(EventDismissed, r))
		t.end(nil)
	case i.State == Open || i.State == Recovering:
		i.State = Recovering
		if calm && t.settled() {
			i.State, i.ResolvedAt = Resolved, utc(r.Ended)
			events = append(events, t.event(EventResolved, r))
			t.end(i)
		}
	}
	return events
}

// apart is the time between two instants, whichever is later: a wall clock that was set back must not make an incident
// last until it has caught up.
func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

// clockSetBack takes note that the clock shows an earlier time than when the tracker's state was kept.
func (t *Tracker) clockSetBack(now time.Time) {
	s := &t.s
	for _, at := range []*time.Time{&s.GapsTo, &s.LastBad, &s.End.KnownBad, &s.End.BadBegan, &s.Detector.Since, &s.Detector.FirstBad, &s.Detector.LastBad} {
		if at.After(now) {
			*at = now
		}
	}
}

// kept is what is to be known of an incident after an event. A suspected relapse that came to nothing leaves the outage
// before it as it was.
func (t *Tracker) kept(e Event) *Incident {
	if last := t.s.Last; e.Event == EventDismissed && last != nil && last.ID == e.Incident.ID {
		return last.snapshot()
	}
	return e.Incident
}

// begin starts a spell: nobody hears of it yet. Soon after a resolved incident it is the same one again.
func (t *Tracker) begin(r *probe.Result, v probe.Verdict, faults []fault) {
	s := &t.s
	s.Start, s.End, s.Began = startOf(r, faults, &s.Good), end{}, r.Started.UTC()
	s.Start.loss(r, v)
	s.Detector, s.OtherRounds, s.History, s.Run = Detector{}, 0, nil, nil
	s.Mild, s.Recurs, s.From = notMild, false, s.Pattern.Rounds+1
	b := s.Start.bounds(v)
	if last := s.Last; last != nil && apart(r.Started, *last.ResolvedAt) <= t.detect.Reopen.Std() {
		i := last.snapshot()
		if len(i.Spells) == 0 {
			i.Spells = []Bounds{i.Bounds}
		}
		i.Spells = keepEnds(i.Spells, b, 1, maxSpells)
		i.State, i.ResolvedAt, i.Verdict = watching, nil, probe.Verdict{}
		s.Incident = i
		return
	}
	s.Incident = &Incident{ID: t.newID(b.StartsBefore), State: watching, Target: t.target, Bounds: b}
}

// end forgets the spell. What is kept is the incident that a relapse may reopen.
func (t *Tracker) end(resolved *Incident) {
	if resolved != nil {
		t.s.Last = resolved.snapshot()
		t.s.Members = nil
		t.s.Pattern.forget(t.s.From)
	}
	t.s.Incident, t.s.History, t.s.Detector = nil, nil, Detector{}
	t.s.Mild, t.s.Recurs = notMild, false
}

// bound writes the bounds of the spell's start, by the latest verdict, into the incident.
func (t *Tracker) bound() {
	i := t.s.Incident
	b := t.s.Start.bounds(i.Verdict)
	if i.EndsAfter != nil && b.StartsAfter != nil && i.EndsAfter.Before(*b.StartsAfter) {
		i.EndsAfter = b.StartsAfter
	}
	if n := len(i.Spells); n > 0 {
		i.Spells[n-1].StartsAfter, i.Spells[n-1].StartsBefore = b.StartsAfter, b.StartsBefore
	} else {
		i.StartsAfter, i.StartsBefore = b.StartsAfter, b.StartsBefore
	}
	i.StartsAt = i.StartsBefore
}

func (t *Tracker) event(k Kind, r *probe.Result) Event {
	i := t.s.Incident.snapshot()
	return Event{Event: k, Time: r.Ended.UTC(), Target: t.target, Verdict: &i.Verdict, Lanes: r.Lanes, Incident: i}
}

func (t *Tracker) remember(r *probe.Result) {
	t.s.History = keepEnds(t.s.History, r, historyFirst, historyLimit)
}

// next asks for another look while anything is going on. Until people have been told, speed matters more than a frozen
// queue.
func (t *Tracker) next(r *probe.Result) time.Duration {
	i := t.s.Incident
	switch {
	case i == nil:
		return 0
	case t.s.Mild == byPattern && t.s.Detector.Quiet():
		return 0 // what fails once in twenty rounds is not known sooner by asking without end
	case i.State == Open && frozen(i.Verdict) && i.Verdict.Layer != probe.LayerBackend:
		return reprobeHanging
	}
	return max(reprobeSoon-r.Ended.Sub(r.Started), reprobeBreath)
}

// fingerprint notes the attempts of a round that failed, each once: the held-open connection is the same for many
// rounds. A witness that refuses has not failed.
func (i *Incident) fingerprint(r *probe.Result) {
	for k := range r.Lanes {
		l := &r.Lanes[k]
		j := slices.IndexFunc(l.Stages, func(s probe.Stage) bool { return s.Outcome == probe.Failed })
		if j < 0 || l.Local == "" && l.RequestID == "" || l.Testified() {
			continue
		}
		f := Fingerprint{At: l.Stages[0].Started.UTC(), Lane: l.Lane, Hop: l.Hop,
			Local: l.Local, Remote: l.Address, RequestID: l.RequestID}
		if !slices.Contains(i.Fingerprints, f) {
			i.Fingerprints = keepEnds(i.Fingerprints, f, maxFingerprints/4, maxFingerprints)
		}
	}
}
