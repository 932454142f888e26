package alert

import (
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// Kind says what an event tells.
type Kind string

// Kinds of event. Those that are transitions of an incident have the words of [config.Transition].
const (
	EventResult    Kind = "result" // one round and its verdict
	EventSuspect   Kind = Kind(config.Suspect)
	EventOpened    Kind = Kind(config.Opened)
	EventUpdated   Kind = Kind(config.Updated)
	EventResolved  Kind = Kind(config.Resolved)
	EventDismissed Kind = Kind(config.Dismissed)
	EventGap       Kind = "gap"   // a time in which we did not look
	EventDrill     Kind = "drill" // a made-up incident
)

// Transition is the incident's step that the event tells; false for a result or a gap.
func (k Kind) Transition() (config.Transition, bool) {
	switch k {
	case EventSuspect, EventOpened, EventUpdated, EventResolved, EventDismissed:
		return config.Transition(k), true
	}
	return "", false
}

// Event is one line of the event stream. Its field names are a contract with other programs: they are only added to.
// Absent parts are null. Times are UTC.
type Event struct {
	// Event is empty in the output of a single check.
	Event Kind `json:"event,omitempty"`
	// Time is when the round that caused the event had ended, not when the incident began.
	Time   time.Time `json:"time"`
	Target string    `json:"target"`
	// Verdict is the round's own in a result, else the incident's.
	Verdict *probe.Verdict `json:"verdict,omitempty"`
	// Lanes are those of the round that caused the event.
	Lanes    []probe.Lane `json:"lanes,omitempty"`
	Incident *Incident    `json:"incident,omitempty"`
	Gap      *probe.Gap   `json:"gap,omitempty"`
}

// NewResult is the event of one round.
func NewResult(r *probe.Result, v probe.Verdict) Event {
	v = tidy(v)
	return Event{Event: EventResult, Time: r.Ended.UTC(), Target: r.Target, Verdict: &v, Lanes: r.Lanes}
}

// tidy makes a verdict whose lists are never null in JSON.
func tidy(v probe.Verdict) probe.Verdict {
	if v.Suspects == nil {
		v.Suspects = []probe.Suspect{}
	}
	if v.Evidence == nil {
		v.Evidence = []string{}
	}
	return v
}
