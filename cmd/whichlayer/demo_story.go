package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// moment is when something was done: not before the first and not after the second instant.
type moment struct{ from, to time.Time }

// episode is one fault of the demo and what was said of it.
type episode struct {
	fault      lab.Fault
	name       string
	start, end moment // end is zero while the fault lasts
	suspected  time.Time
	opened     time.Time
	// told is the incident as it was first opened, latest as it was last told.
	told, latest *alert.Incident
}

// notice is a message that would have been sent.
type notice struct {
	at time.Time
	alert.Notification
}

// glimpse is one round of one lane on the board.
type glimpse struct {
	outcome probe.Outcome
	stage   probe.StageName // that failed
}

// column is one round.
type column struct {
	state probe.State
	lanes map[string]glimpse
}

// maxColumns is more than the widest board shows.
const maxColumns = 200

// story is everything that has happened so far. The script, the judge and the screen share it.
type story struct {
	acts   []act
	began  time.Time
	length time.Duration // expected

	mu      sync.Mutex
	act     int
	since   time.Time
	noticed chan struct{} // closed once this scene was noticed
	rows    []string      // the lanes' names in the order of their first appearance
	columns []column
	result  *probe.Result
	verdict probe.Verdict
	past    []episode
	slow    slowRounds
	notices []notice
	// stray are incidents that were opened while nothing was broken.
	stray []*alert.Incident
	lines []demoLine // not yet printed, for a screen of lines
}

// demoLine is something to print: a round, or what was done or sent.
type demoLine struct {
	at   time.Time
	p    paint
	text string
}

func newStory(s script, now time.Time) *story {
	return &story{acts: s.acts, length: s.length(), began: now, since: now, noticed: make(chan struct{})}
}

// turn begins a scene. The channel closes once whichlayer has noticed: opened an incident, or resolved it.
func (s *story) turn(i int, when moment) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.acts[i]
	s.act, s.since, s.noticed = i, when.to, make(chan struct{})
	s.lines = append(s.lines, demoLine{when.to, strong, "=== " + a.title})
	switch {
	case a.breaks != "":
		s.past = append(s.past, episode{fault: a.breaks, name: a.name, start: when})
	case a.mends != "" && len(s.past) > 0:
		s.past[len(s.past)-1].end = when
	default:
		close(s.noticed)
	}
	return s.noticed
}

// observe takes a round and what followed from it.
func (s *story) observe(r *probe.Result, v probe.Verdict, events []alert.Event, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := column{state: v.State, lanes: map[string]glimpse{}}
	for i := range r.Lanes {
		if l := &r.Lanes[i]; !l.Extra && l.Of == "" {
			name := laneName(l)
			s.row(name)
			c.lanes[name] = glimpseOf(l)
		}
	}
	if s.columns = append(s.columns, c); len(s.columns) > maxColumns {
		s.columns = s.columns[1:]
	}
	s.result, s.verdict = r, v
	if v.State == probe.Degraded && v.Cause == probe.CauseSlow && len(s.slow) < maxColumns {
		s.slow = append(s.slow, moment{r.Started, r.Ended})
	}
	s.lines = append(s.lines, demoLine{r.Ended, plain, s.roundLine(c, v)})
	for _, e := range events {
		switch {
		case e.Event == alert.EventGap:
			text := fmt.Sprintf(">>> gap of %s: %s", span(e.Gap.To.Sub(e.Gap.From)), e.Gap.Reason)
			s.lines = append(s.lines, demoLine{now, warn, text})
		case e.Incident != nil:
			s.hear(e, now)
		}
	}
}

func (s *story) row(name string) {
	for _, have := range s.rows {
		if have == name {
			return
		}
	}
	s.rows = append(s.rows, name)
}

func glimpseOf(l *probe.Lane) glimpse {
	g := glimpse{outcome: laneOutcome(l)}
	for i := range l.Stages {
		if l.Stages[i].Outcome == g.outcome {
			g.stage = l.Stages[i].Stage
			break
		}
	}
	return g
}

// hear takes a step of an incident and gives it to the fault that it belongs to.
func (s *story) hear(e alert.Event, now time.Time) {
	ep := s.episodeOf(e.Incident)
	if ep == nil && e.Event == alert.EventOpened {
		s.stray = append(s.stray, e.Incident)
	}
	switch e.Event {
	case alert.EventSuspect:
		if ep != nil && ep.suspected.IsZero() {
			ep.suspected = now
		}
	case alert.EventOpened, alert.EventUpdated, alert.EventResolved:
		if n, ok := alert.NewNotification(e); ok {
			s.notices = append(s.notices, notice{now, n})
		}
	}
	if ep != nil && e.Event == alert.EventOpened {
		ep.told, ep.opened = e.Incident, now
	}
	if ep != nil && ep.told != nil {
		ep.latest = e.Incident
	}
	s.lines = append(s.lines, demoLine{now, eventPaint(e.Event), eventLine(e)})
	if e.Event == alert.EventOpened && s.acts[s.act].breaks != "" || e.Event == alert.EventResolved && s.acts[s.act].mends != "" {
		s.notice()
	}
}

// notice closes the scene's channel, once.
func (s *story) notice() {
	select {
	case <-s.noticed:
	default:
		close(s.noticed)
	}
}

// episodeOf is the fault that an incident belongs to: the one that has it already, else the last one if it has none yet,
// rightly or wrongly.
func (s *story) episodeOf(i *alert.Incident) *episode {
	for k := range s.past {
		if t := s.past[k].latest; t != nil && t.ID == i.ID {
			return &s.past[k]
		}
	}
	if n := len(s.past); n > 0 && s.past[n-1].latest == nil {
		return &s.past[n-1]
	}
	return nil
}

func eventPaint(k alert.Kind) paint {
	switch k {
	case alert.EventOpened:
		return bad
	case alert.EventResolved:
		return good
	}
	return warn
}

// eventLine says what would be sent: the default receiver asks for opened and resolved only.
func eventLine(e alert.Event) string {
	what := "nobody is told"
	if e.Event == alert.EventOpened || e.Event == alert.EventResolved {
		what = "people are told"
	}
	n, ok := alert.NewNotification(e)
	if !ok {
		return ">>> " + string(e.Event)
	}
	return fmt.Sprintf(">>> %s (%s): %s", n.Word(), what, n.Headline())
}
