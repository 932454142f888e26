package alert

import (
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// updateBreath is how long people are spared a further update of the same incident.
const updateBreath = 10 * time.Second

// ledger is what one receiver has been told and has still to be told. It decides which transitions become messages; it
// knows nothing of how they are sent. Time is an argument.
type ledger struct {
	cfg *config.Receiver
	// maintenance tells until when a target's incidents are not told; zero if they are.
	maintenance func(target string, at time.Time) time.Time
	// own tells that this receiver hears of the prober's own troubles.
	own    bool
	Groups []*group
}

// take decides what follows from an incident's step: a transition to be told, or none. seen holds the last event of each
// incident, this one's included.
func (l *ledger) take(e *Event, components []string, seen map[string]*Event, now time.Time) (out []Notification) {
	if !l.concerns(e) && !l.tells(e.Incident.ID) {
		return nil
	}
	g, joined := l.groupOf(e, components, seen)
	if g == nil {
		return nil
	}
	kind := e.Event
	if !g.active(seen) {
		g.Over = now
	}
	switch kind {
	case EventSuspect:
		if !g.Suspected && !g.Opened && !l.withheld(e.Target, now) {
			g.Suspected = true
			out = l.say(g, config.Suspect, EventSuspect, seen, now)
		}
	case EventOpened:
		switch {
		case g.Opened:
			out = l.update(g, joined, seen, now)
		case !l.withheld(e.Target, now):
			out = l.open(g, seen, now)
		}
	case EventUpdated:
		switch {
		case g.Opened:
			out = l.update(g, false, seen, now)
		case l.tellable(g, seen, now): // it was not known before that this receiver wants it
			out = l.open(g, seen, now)
		}
	case EventResolved, EventDismissed:
		out = l.close(g, kind, seen, now)
	}
	return out
}

// concerns tells whether the receiver has a part in an incident: it is for the target, and nobody is told of its own
// failure.
func (l *ledger) concerns(e *Event) bool {
	if e.Target == SelfTarget {
		return l.own && e.Incident.About != l.cfg.Name
	}
	return l.cfg.WantsTarget(e.Target)
}

// tells tells that the receiver is being told of an incident: it hears the rest, whatever it asks for by now.
func (l *ledger) tells(id string) bool {
	return slices.ContainsFunc(l.Groups, func(g *group) bool { return g.Over.IsZero() && slices.Contains(g.Members, id) })
}

// wantsLayer tells whether one of the suspects is of a layer that the receiver asks for.
func (l *ledger) wantsLayer(e *Event) bool {
	layers := []string{string(e.Verdict.Layer)}
	for _, s := range e.Verdict.Suspects {
		layers = append(layers, string(s.Layer))
	}
	return l.cfg.WantsLayer(layers...)
}

// groupOf finds the group of an incident, or begins one; nil when the receiver does not ask for its layers.
func (l *ledger) groupOf(e *Event, components []string, seen map[string]*Event) (g *group, joined bool) {
	id := e.Incident.ID
	for _, g := range l.Groups {
		if g.ID == id || slices.Contains(g.Members, id) { // a group that lost its first member has its name still
			g.revive(e)
			return g, g.join(id, components)
		}
	}
	if !e.Incident.Active() || !l.wantsLayer(e) {
		return nil, false
	}
	if l.cfg.Groups() && e.Target != SelfTarget {
		for _, g := range l.Groups {
			if g.takes(e, components, seen) {
				return g, g.join(id, components)
			}
		}
	}
	g = &group{ID: id, Members: []string{id}, Components: components}
	l.Groups = append(l.Groups, g)
	return g, false
}

// revive lets a group go on that was over, with the incident that relapses alone.
func (g *group) revive(e *Event) {
	if g.Over.IsZero() || !e.Incident.Active() {
		return
	}
	*g = group{ID: g.ID, Members: []string{e.Incident.ID}}
}

// withheld tells that a maintenance keeps an incident from being told now; it is told at its end if it still lasts.
func (l *ledger) withheld(target string, now time.Time) bool {
	return l.maintenance(target, now).After(now)
}

func (l *ledger) open(g *group, seen map[string]*Event, now time.Time) []Notification {
	g.Opened, g.Told, g.Changed = true, now, time.Time{}
	return l.say(g, config.Opened, EventOpened, seen, now)
}

// update tells a change, at once where programs listen, else not too often.
func (l *ledger) update(g *group, joined bool, seen map[string]*Event, now time.Time) []Notification {
	if !slices.Contains(l.cfg.On, config.Updated) {
		return nil
	}
	if l.cfg.ForPeople() && (joined || now.Sub(g.Told) < updateBreath) {
		g.Changed = now
		return nil
	}
	g.Told, g.Changed = now, time.Time{}
	return l.say(g, config.Updated, EventUpdated, seen, now)
}

// close tells the end, once no member goes on.
func (l *ledger) close(g *group, kind Kind, seen map[string]*Event, now time.Time) []Notification {
	switch {
	case g.Over.IsZero():
		if g.Opened {
			return l.update(g, true, seen, now)
		}
		return nil
	case g.Opened:
		t := config.Resolved
		if kind == EventDismissed && !slices.ContainsFunc(g.events(seen), func(e *Event) bool { return e.Incident.State == Resolved }) {
			t = config.Dismissed
		}
		return l.tell(g, t, Kind(t), seen, now)
	case g.Suspected:
		return l.say(g, config.Dismissed, EventDismissed, seen, now)
	}
	return nil
}

// say tells a transition if the receiver asks for it.
func (l *ledger) say(g *group, t config.Transition, kind Kind, seen map[string]*Event, now time.Time) []Notification {
	if !slices.Contains(l.cfg.On, t) {
		return nil
	}
	return l.tell(g, t, kind, seen, now)
}

// tell makes the notification. The end of what was told as open is always told.
func (l *ledger) tell(g *group, t config.Transition, kind Kind, seen map[string]*Event, now time.Time) []Notification {
	if t == config.Resolved && !slices.Contains(l.cfg.On, config.Resolved) || t == config.Dismissed && g.Opened && !slices.Contains(l.cfg.On, config.Opened) {
		return nil
	}
	e, ok := g.event(kind, now, seen)
	if !ok {
		return nil
	}
	return []Notification{{Transition: t, Event: e}}
}

// tick tells what time alone makes due: the end of a maintenance, changes that were held back, reminders. It returns
// whether anything changed, told or not.
func (l *ledger) tick(seen map[string]*Event, now time.Time) (out []Notification, changed bool) {
	before := len(l.Groups)
	l.Groups = slices.DeleteFunc(l.Groups, func(g *group) bool { return !g.Over.IsZero() && now.Sub(g.Over) > rememberGroup })
	changed = len(l.Groups) != before
	for _, g := range l.Groups {
		g.clockSetBack(now)
		told := g.Told
		switch {
		case !g.Over.IsZero():
		case !g.Opened && l.tellable(g, seen, now):
			out = append(out, l.open(g, seen, now)...)
		case g.Opened && !g.Changed.IsZero() && now.Sub(g.Told) >= updateBreath:
			g.Told, g.Changed = now, time.Time{}
			out = append(out, l.say(g, config.Updated, EventUpdated, seen, now)...)
		case g.Opened && l.cfg.Repeat > 0 && now.Sub(g.Told) >= l.cfg.Repeat.Std():
			g.Told = now
			for _, n := range l.tell(g, config.Updated, EventUpdated, seen, now) {
				n.Reminder = true
				out = append(out, n)
			}
		}
		changed = changed || !g.Told.Equal(told)
	}
	return out, changed
}

// tellable tells that a member is open and no maintenance of its target goes on.
func (l *ledger) tellable(g *group, seen map[string]*Event, now time.Time) bool {
	return slices.ContainsFunc(g.events(seen), func(e *Event) bool {
		return (e.Incident.State == Open || e.Incident.State == Recovering) && !l.withheld(e.Target, now)
	})
}
