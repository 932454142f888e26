package alert

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// SelfTarget is the target of incidents of this prober's own: no target may be charged with them, and people must hear
// of them all the same.
const SelfTarget = "whichlayer itself"

// Trouble is something that is wrong with this prober itself.
type Trouble struct {
	Cause probe.Cause `json:"cause"`
	// About is what it is about, such as a receiver's name; empty for all of it.
	About string `json:"about,omitempty"`
}

// Self keeps the incidents of the prober's own, one for each trouble. It is pure: time is an argument.
type Self struct {
	newID func(time.Time) string
	open  map[Trouble]*Incident
}

// NewSelf begins without a trouble.
func NewSelf(newID func(time.Time) string) *Self {
	return &Self{newID: newID, open: map[Trouble]*Incident{}}
}

// Begin tells that a trouble is there, and why. One that is known already makes no event.
func (s *Self) Begin(t Trouble, why string, now time.Time) []Event {
	if i := s.open[t]; i != nil {
		i.Verdict.Evidence = []string{why}
		return nil
	}
	now = now.UTC()
	suspect := probe.Suspect{Layer: probe.LayerProber, Cause: t.Cause}
	v := probe.Verdict{State: probe.Degraded, Layer: probe.LayerProber, Cause: t.Cause, Confidence: probe.Confirmed,
		Suspects: []probe.Suspect{suspect}, Evidence: []string{why}, Rule: "self-" + string(t.Cause)}
	i := &Incident{ID: s.newID(now), State: Open, Target: SelfTarget, About: t.About, Bounds: Bounds{StartsBefore: now},
		StartsAt: now, OpenedAt: &now}
	i.change(now, v, "")
	s.open[t] = i
	return []Event{s.event(EventOpened, i, now)}
}

// End tells that a trouble is over. One that is not known makes no event.
func (s *Self) End(t Trouble, now time.Time) []Event {
	i := s.open[t]
	if i == nil {
		return nil
	}
	delete(s.open, t)
	now = now.UTC()
	began := i.StartsBefore
	i.setEnd(&began, &now)
	i.State, i.ResolvedAt = Resolved, &now
	return []Event{s.event(EventResolved, i, now)}
}

// Troubles are those that are there.
func (s *Self) Troubles() []Trouble {
	return slices.SortedFunc(maps.Keys(s.open), func(a, b Trouble) int {
		return cmp.Or(cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.About, b.About))
	})
}

// Incidents are copies of those that are going on.
func (s *Self) Incidents() (out []*Incident) {
	for _, i := range s.open {
		out = append(out, i.snapshot())
	}
	return out
}

func (s *Self) event(k Kind, i *Incident, now time.Time) Event {
	i = i.snapshot()
	return Event{Event: k, Time: now, Target: SelfTarget, Verdict: &i.Verdict, Incident: i}
}

// savedTrouble is a trouble with its incident, as it is kept.
type savedTrouble struct {
	Trouble
	Incident *Incident `json:"incident"`
}

// Checkpoint is what Restore takes.
func (s *Self) Checkpoint() ([]byte, error) {
	var all []savedTrouble
	for t, i := range s.open {
		all = append(all, savedTrouble{t, i})
	}
	slices.SortFunc(all, func(a, b savedTrouble) int { return a.Incident.StartsAt.Compare(b.Incident.StartsAt) })
	return json.Marshal(all)
}

// Restore takes a checkpoint.
func (s *Self) Restore(data []byte) error {
	var all []savedTrouble
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("the prober's own troubles: %w", err)
	}
	for _, t := range all {
		if t.Incident != nil {
			s.open[t.Trouble] = t.Incident
		}
	}
	return nil
}
