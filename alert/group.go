package alert

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

const (
	// maxGroup bounds the targets that one message tells of by name.
	maxGroup = 200
	// sameOutage is how far apart two incidents may begin that share no suspect and are still taken for one.
	sameOutage = 5 * time.Minute
	// rememberGroup is for how long a group that is over is known, so that a relapse comes back to it.
	rememberGroup = time.Hour
)

// group is what a receiver is told as one incident: those of several targets that fail together, or of one. It is plain
// data. Its ID is that of the first member's incident.
type group struct {
	ID      string   `json:"id"`
	Members []string `json:"members"` // IDs of incidents, in the order in which they joined
	// Components are those of all members.
	Components []string `json:"components,omitempty"`
	// Suspected and Opened tell which transitions the receiver has been told, or would have been if it wanted them.
	Suspected bool `json:"suspected,omitempty"`
	Opened    bool `json:"opened,omitempty"`
	// Told is when it was last told, Changed when something changed that was not told yet.
	Told    time.Time `json:"told,omitzero"`
	Changed time.Time `json:"changed,omitzero"`
	// Over is when the last member had ended.
	Over time.Time `json:"over,omitzero"`
}

// takes tells that another incident belongs to the group.
func (g *group) takes(e *Event, components []string, seen map[string]*Event) bool {
	if !g.Over.IsZero() || len(g.Members) >= maxGroup || shared(g.Components, components) == "" {
		return false
	}
	for _, id := range g.Members {
		m := seen[id]
		if m != nil && (m.Incident.StartsBefore.Sub(e.Incident.StartsBefore).Abs() <= sameOutage || sameSuspect(m.Verdict, e.Verdict)) {
			return true
		}
	}
	return false
}

func sameSuspect(a, b *probe.Verdict) bool {
	return slices.ContainsFunc(a.Suspects, func(s probe.Suspect) bool { return slices.Contains(b.Suspects, s) })
}

// join adds an incident, or what is now known of it.
func (g *group) join(id string, components []string) (joined bool) {
	if !slices.Contains(g.Members, id) {
		g.Members, joined = append(g.Members, id), true
	}
	for _, c := range components {
		if len(g.Components) < maxComponents && !slices.Contains(g.Components, c) {
			g.Components = append(g.Components, c)
		}
	}
	return joined
}

// clockSetBack lets nothing wait until a clock that was set back has caught up.
func (g *group) clockSetBack(now time.Time) {
	for _, at := range []*time.Time{&g.Told, &g.Changed, &g.Over} {
		if at.After(now) {
			*at = now
		}
	}
}

// active tells that a member goes on.
func (g *group) active(seen map[string]*Event) bool {
	return slices.ContainsFunc(g.Members, func(id string) bool { return seen[id] != nil && seen[id].Incident.Active() })
}

// event is what is told of the group: of one member its own event, of several that of the one that says most, with the
// bounds of all.
func (g *group) event(kind Kind, at time.Time, seen map[string]*Event) (Event, bool) {
	members := g.events(seen)
	if len(members) == 0 {
		return Event{}, false
	}
	e := *speaker(members)
	i := e.Incident.snapshot()
	if len(members) > 1 || i.ID != g.ID { // of others before it only the name is left
		i.merge(members)
	}
	i.ID = g.ID
	e.Event, e.Time, e.Incident, e.Verdict = kind, at.UTC(), i, &i.Verdict
	return e, true
}

func (g *group) events(seen map[string]*Event) (out []*Event) {
	for _, id := range g.Members {
		if e := seen[id]; e != nil {
			out = append(out, e)
		}
	}
	return out
}

// speaker is the member whose verdict is the surest, of those that go on if there are any; the first of equals.
func speaker(members []*Event) *Event {
	best := members[0]
	for _, e := range members[1:] {
		switch a, b := e.Incident.Active(), best.Incident.Active(); {
		case a && !b, a == b && e.Incident.State != Suspected && best.Incident.State == Suspected,
			a == b && rank(e.Verdict.Confidence) > rank(best.Verdict.Confidence) && (e.Incident.State != Suspected || best.Incident.State == Suspected):
			best = e
		}
	}
	return best
}

// merge makes an incident that of all members. The first of several starts lies between the earliest of the lower and
// the earliest of the upper bounds, the last of several ends between the latest ones.
func (i *Incident) merge(members []*Event) {
	first := members[0].Incident
	i.Bounds, i.Spells, i.Reopened = first.Bounds, nil, first.Reopened
	i.OpenedAt, i.Fingerprints = nil, nil
	ended := true
	for k, e := range members {
		m := e.Incident
		i.Members = append(i.Members, Member{Target: m.Target, Incident: m.ID, State: m.State, Verdict: *e.Verdict, Bounds: m.Bounds})
		ended = ended && m.EndsBefore != nil
		if m.OpenedAt != nil && (i.OpenedAt == nil || m.OpenedAt.Before(*i.OpenedAt)) {
			i.OpenedAt = m.OpenedAt
		}
		for _, f := range m.Fingerprints {
			i.Fingerprints = keepEnds(i.Fingerprints, f, maxFingerprints/4, maxFingerprints)
		}
		i.State = moreUrgent(i.State, m.State)
		if k == 0 {
			continue
		}
		if m.StartsBefore.Before(i.StartsBefore) {
			i.StartsBefore = m.StartsBefore
		}
		if i.StartsAfter != nil && (m.StartsAfter == nil || m.StartsAfter.Before(*i.StartsAfter)) {
			i.StartsAfter = m.StartsAfter
		}
		i.endWith(m.Bounds)
	}
	i.StartsAt, i.EndsAt = i.StartsBefore, i.EndsBefore
	if !ended {
		i.setEnd(nil, nil)
	}
}

// endWith takes the later of two ends.
func (b *Bounds) endWith(o Bounds) {
	if o.EndsAfter != nil && (b.EndsAfter == nil || o.EndsAfter.After(*b.EndsAfter)) {
		b.EndsAfter = o.EndsAfter
	}
	if o.EndsBefore != nil && (b.EndsBefore == nil || o.EndsBefore.After(*b.EndsBefore)) {
		b.EndsBefore = o.EndsBefore
	}
}

// moreUrgent of two states of members is that of the whole.
func moreUrgent(a, b State) State {
	order := []State{Open, Suspected, Recovering, Resolved, Dismissed}
	if slices.Index(order, b) < slices.Index(order, a) {
		return b
	}
	return a
}
