package alert

import (
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// Bounds on what an incident keeps, so that an outage of a week costs no more than one of an hour.
const (
	maxTimeline     = 50
	maxGaps         = 50
	maxSpells       = 20
	maxFingerprints = 32
)

// State of an incident.
type State string

// States of an incident: suspect -> open -> recovering -> resolved, or suspect -> dismissed.
const (
	Suspected  State = "suspect"    // something fails; nobody is paged yet
	Open       State = "open"       // confirmed: people are told
	Recovering State = "recovering" // the last round was good, too few for a promise
	Resolved   State = "resolved"
	Dismissed  State = "dismissed" // the suspicion was not confirmed
)

// Incident is one outage of one target. It is plain data; the tracker hands out copies.
//
// Its start and its end are never one invented instant but two bounds each. The start lies in
// (StartsAfter, StartsBefore], the end in (EndsAfter, EndsBefore]. StartsAfter is null when the target was already
// broken when we began to look, so that no good observation bounds it. EndsAfter and EndsBefore are null until
// a good round follows the last bad one, and again when a bad one follows.
type Incident struct {
	// ID is sortable by time and unique, such as 20261122T140307Z-orders-3f9a.
	ID     string `json:"id"`
	State  State  `json:"state"`
	Target string `json:"target"`
	Bounds
	// StartsAt is the first instant that is known to be bad: it equals StartsBefore.
	StartsAt time.Time `json:"starts_at"`
	// EndsAt is the first instant that is known to be good: it equals EndsBefore.
	EndsAt *time.Time `json:"ends_at"`
	// OpenedAt is when the evidence sufficed to tell people: later than the start. Null before.
	OpenedAt   *time.Time `json:"opened_at"`
	ResolvedAt *time.Time `json:"resolved_at"`
	// Verdict is the best so far, unless contradicted for long.
	Verdict probe.Verdict `json:"verdict"`
	// Timeline are the changes of the verdict, without their evidence: the first ones and the last ones.
	Timeline []Change `json:"timeline"`
	// Rounds counts the rounds since the first bad one, FailedRounds the bad ones of them.
	Rounds       int `json:"rounds"`
	FailedRounds int `json:"failed_rounds"`
	// Gaps are times within the incident in which we did not look.
	Gaps []probe.Gap `json:"gaps"`
	// Fingerprints tell failed attempts from all other traffic in captures and logs: the first ones and the last ones.
	Fingerprints []Fingerprint `json:"fingerprints"`
	// Reopened counts relapses; Spells are then the bounds of each outage in the incident, the first one first.
	Reopened int      `json:"reopened"`
	Spells   []Bounds `json:"spells,omitempty"`
	// About is what a trouble of the prober itself is about, such as a receiver's name; see [SelfTarget].
	About string `json:"about,omitempty"`
	// Group is the ID under which people were told of it, when that is another incident's that it fails together with.
	Group string `json:"group,omitempty"`
	// Members are the targets that fail together, this incident's own first; empty for one alone.
	Members []Member `json:"members,omitempty"`
	// Reason is set when an incident ended for another reason than good rounds.
	Reason string `json:"reason,omitempty"`
}

// Bounds contain the start and the end of an outage; see [Incident].
type Bounds struct {
	StartsAfter  *time.Time `json:"starts_after"`
	StartsBefore time.Time  `json:"starts_before"`
	EndsAfter    *time.Time `json:"ends_after"`
	EndsBefore   *time.Time `json:"ends_before"`
}

// Member is one of several targets that fail together.
type Member struct {
	Target string `json:"target"`
	// Incident is the ID of the target's own.
	Incident string        `json:"incident"`
	State    State         `json:"state"`
	Verdict  probe.Verdict `json:"verdict"`
	Bounds
}

// Change is a verdict and when the incident took it for true.
type Change struct {
	At      time.Time     `json:"at"`
	Verdict probe.Verdict `json:"verdict"`
	// Reason is why it took the place of the one before, such as "surer: confirmed instead of likely"; empty for the
	// first one of an outage.
	Reason string `json:"reason,omitempty"`
}

// Fingerprint identifies one attempt on the wire and in a server's log.
type Fingerprint struct {
	At time.Time `json:"at"`
	// Lane is the lane's kind, Hop the name of the hop or backend.
	Lane probe.LaneKind `json:"lane"`
	Hop  string         `json:"hop,omitempty"`
	// Local and Remote are address:port.
	Local     string `json:"local,omitempty"`
	Remote    string `json:"remote,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Duration is the range of the incident's length: it lasted at least min and at most max. Until its end is known, now
// stands for both of the end's bounds; a max of 0 means that no good observation bounds the start.
func (i *Incident) Duration(now time.Time) (min, max time.Duration) {
	after, before := now, now
	if i.EndsAfter != nil && i.EndsBefore != nil {
		after, before = *i.EndsAfter, *i.EndsBefore
	}
	min = after.Sub(i.StartsBefore)
	if min < 0 {
		min = 0
	}
	if i.StartsAfter != nil {
		max = before.Sub(*i.StartsAfter)
		if max < 0 { // the clock was set back meanwhile
			max = 0
		}
	}
	return min, max
}

// Active tells that the incident has not ended.
func (i *Incident) Active() bool {
	return i.State == Suspected || i.State == Open || i.State == Recovering
}

// snapshot is a copy that shares nothing that the tracker will change.
func (i *Incident) snapshot() *Incident {
	c := *i
	c.Timeline = append([]Change{}, i.Timeline...)
	c.Gaps = append([]probe.Gap{}, i.Gaps...)
	c.Fingerprints = append([]Fingerprint{}, i.Fingerprints...)
	c.Spells = slices.Clone(i.Spells)
	if n := len(c.Spells); n > 0 {
		c.Spells[n-1].EndsAfter, c.Spells[n-1].EndsBefore = i.EndsAfter, i.EndsBefore
	}
	return &c
}

// setEnd sets or, with nil, clears the bounds of the end.
func (i *Incident) setEnd(after, before *time.Time) {
	i.EndsAfter, i.EndsBefore, i.EndsAt = after, before, before
}

// keepEnds appends to a list of which only the first and the last entries are kept, at most limit.
func keepEnds[T any](list []T, x T, first, limit int) []T {
	if list = append(list, x); len(list) > limit {
		list = slices.Delete(list, first, first+1)
	}
	return list
}

// NewID returns a maker of incident IDs for the target: the time in UTC to the second, the target's name as far as it is
// harmless in file names, and two bytes read from random.
func NewID(target string, random io.Reader) func(time.Time) string {
	name := FileName(target)
	return func(t time.Time) string {
		var b [2]byte
		// Without randomness the time and the target still tell incidents apart.
		_, _ = io.ReadFull(random, b[:])
		return t.UTC().Format("20060102T150405Z") + "-" + name + "-" + hex.EncodeToString(b[:])
	}
}

// FileName is a target's name as far as it is harmless within file names, at most 40 bytes.
func FileName(target string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, target)
	return name[:min(len(name), 40)]
}
