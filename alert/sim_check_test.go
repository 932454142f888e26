package alert

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// spell is a time in which an incident was open, as the desk said.
type simSpellOf struct {
	id, target, about string
	opened, ended     time.Duration
	dismissed         bool
	// layers are all that were suspected while it was open, or before.
	layers []string
}

// check looks whether what must hold at the end does.
func (s *sim) check() {
	s.checkAtRest()
	spells := s.spells()
	s.checkBounds()
	s.checkGaps()
	for _, name := range sortedNames(s.inboxes) {
		r := s.inboxes[name]
		told := s.toldTo(name)
		s.checkOrder(r, told)
		s.checkCourse(r)
		s.checkAsked(r, told)
		s.checkContent(r, told)
		for _, x := range spells {
			s.checkTold(r, x, told)
		}
		s.counts.Messages += len(r.got)
		s.counts.Duplicates += r.duplicates
		if r.duplicates > r.excuses {
			s.fault("%s got %d messages twice after %d crashes and lost answers", name, r.duplicates, r.excuses)
		}
	}
	for _, d := range s.store.deliveries {
		s.countDelivery(d)
	}
}

func (s *sim) countDelivery(d Delivery) {
	n := d.Notification
	add := func(to *int, is bool) {
		if is {
			*to++
		}
	}
	add(&s.counts.Refused, d.State == Refused)
	add(&s.counts.Merged, d.State == Merged)
	add(&s.counts.Dropped, d.State == Dropped)
	add(&s.counts.Whole, n.Whole && d.State == Sent)
	add(&s.counts.Reminders, n.Reminder)
	add(&s.counts.Grouped, len(n.Event.Incident.Members) > 1)
	add(&s.counts.Troubles, n.Event.Target == SelfTarget)
}

// toldTo is every delivery to a receiver that was not merged with another, in the order in which they were decided.
func (s *sim) toldTo(receiver string) []Delivery {
	return slices.DeleteFunc(s.decidedFor(receiver), func(d Delivery) bool { return d.State == Merged })
}

// decidedFor is every delivery to a receiver in its order.
func (s *sim) decidedFor(receiver string) (out []Delivery) {
	for _, d := range s.store.deliveries {
		if d.Receiver == receiver {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b Delivery) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// mayLeave looks whether a message that leaves would survive a crash, or says that it would not.
func (s *sim) mayLeave(r *simInbox, x *Delivery) {
	if d, ok := s.store.deliveries[x.Seq]; (!ok || d.State != Waiting) && !x.Notification.Degraded {
		s.fault("%s is sent %s of %s (%d), which is %q on disk", r.cfg.Name, x.Transition, x.Incident, x.Seq, d.State)
	}
}

// bounded looks whether anything grows without end, and whether all is over.
func (s *sim) bounded() {
	o := s.life.dispatcher.outbox
	if len(o.seen) > 100 {
		s.fault("%d incidents are remembered", len(o.seen))
	}
	waiting := 0
	for _, l := range o.lines {
		waiting += l.queue.len()
		if len(l.ledger.Groups) > 100 || l.queue.len() > 100 || len(l.queue.notBefore) > l.queue.len() {
			s.fault("%s: %d groups, %d messages, %d pauses", l.cfg.Name, len(l.ledger.Groups), l.queue.len(), len(l.queue.notBefore))
		}
	}
	if n := len(s.life.dispatcher.keeper.pending.rounds); n > maxKeptRounds {
		s.fault("%d rounds wait for the disk", n)
	}
	if s.now < s.horizon {
		return
	}
	over := s.now > s.horizon+20*time.Second && waiting == 0 && s.crash == nil && len(s.crashes) == 0 && !s.life.dispatcher.keeper.Broken()
	left := s.leftOver()
	if over && len(left) == 0 && s.life.idle() {
		s.done = true
	}
	if s.now > s.horizon+3*time.Hour {
		s.fault("%d messages and the incidents %v are left over 3 h after all was well", waiting, left)
	}
}

// leftOver are the incidents that go on. That a receiver refused a message is a trouble until it takes another one.
func (s *sim) leftOver() (out []string) {
	for _, i := range s.life.desk.Incidents() {
		refuses := i.Target == SelfTarget && i.Verdict.Cause == probe.CauseReceiverRefuses
		if there := s.inboxes[i.About]; !refuses || there == nil || !there.isThere(stretch{s.now, s.now}) {
			out = append(out, i.ID+" "+i.About+" "+string(i.Verdict.Cause))
		}
	}
	return out
}

// idle tells that nothing is being written or sent.
func (l *life) idle() bool {
	k := l.dispatcher.keeper
	return !l.committing && len(k.pending.deliveries) == 0 && len(k.pending.events) == 0 &&
		!slices.ContainsFunc(l.workers, func(w *simWorker) bool { return w.sending != nil })
}

// checkAtRest looks whether nothing is left in memory or on disk some hours later, but what may be.
func (s *sim) checkAtRest() {
	d := s.life.dispatcher
	for _, x := range s.store.deliveries {
		if x.State == Waiting {
			s.fault("%s of %s (%d) to %s still waits on disk", x.Transition, x.Incident, x.Seq, x.Receiver)
		}
	}
	kept := len(s.life.desk.Incidents()) // troubles that may last
	if s.life.committing {
		_ = s.store.Commit(context.Background(), s.life.taken.batch())
	}
	later := s.cal.at(s.now + 2*rememberGroup)
	d.outbox.Tick(later)
	d.outbox.Tick(later.Add(2 * rememberGroup)) // a clock that was set back makes the first one start anew
	d.flush(Batch{}, true)
	taken, _ := d.keeper.take()
	_ = s.store.Commit(context.Background(), taken.batch())
	if n := len(d.outbox.seen); n > kept {
		s.fault("%d incidents are remembered after hours", n)
	}
	if kept > 0 {
		return
	}
	for key := range s.store.state {
		switch prefix, _, _ := strings.Cut(key, "/"); prefix {
		case "seen":
			s.fault("%s is left on disk", key)
		case "ledger":
			if text := string(s.store.state[key]); text != "null" && text != "[]" {
				s.fault("%s is %s on disk", key, text)
			}
		}
	}
}

// spells are the times in which incidents were open, in the words of what was kept.
func (s *sim) spells() (out []simSpellOf) {
	open := map[string]*simSpellOf{}
	layers := map[string][]string{}
	for _, e := range s.store.events {
		if _, ok := e.Event.Transition(); !ok {
			continue
		}
		id, at := e.Incident.ID, s.cal.since(e.Time)
		layers[id] = append(layers[id], string(e.Verdict.Layer))
		for _, x := range e.Verdict.Suspects {
			layers[id] = append(layers[id], string(x.Layer))
		}
		x := open[id]
		switch e.Event {
		case EventOpened:
			if x != nil {
				s.fault("%s opened twice", id)
			}
			if e.Incident.Reopened > 0 {
				s.counts.Relapses++
			}
			open[id] = &simSpellOf{id: id, target: e.Target, about: e.Incident.About, opened: at}
			s.counts.Incidents++
		case EventResolved, EventDismissed:
			if x == nil {
				s.counts.Dismissed++
			} else {
				x.ended, x.dismissed, x.layers = at, e.Event == EventDismissed, layers[id]
				out = append(out, *x)
			}
			delete(open, id)
			delete(layers, id)
		}
	}
	for _, e := range s.store.events {
		if e.Event == EventResolved && s.store.incidents[e.Incident.ID].State == Dismissed {
			s.fault("%s was resolved and is kept as dismissed", e.Incident.ID)
		}
	}
	for id, x := range open {
		if x.about == "" {
			s.fault("%s never ended", id)
		}
	}
	return out
}

// checkOrder: the messages of an incident arrive in the order in which they were decided, each for the first time.
func (s *sim) checkOrder(r *simInbox, told []Delivery) {
	last, seen := map[string]int64{}, map[int64]bool{}
	for _, a := range r.got {
		if !seen[a.x.Seq] && !a.orphan && a.x.Seq < last[a.x.Incident] {
			s.fault("%s got %s of %s (%d) after %d", r.cfg.Name, a.x.Transition, a.x.Incident, a.x.Seq, last[a.x.Incident])
		}
		seen[a.x.Seq] = true
		last[a.x.Incident] = max(last[a.x.Incident], a.x.Seq)
	}
	for _, d := range told {
		if d.State == Sent && !seen[d.Seq] {
			s.fault("%s never got %s of %s (%d)", r.cfg.Name, d.Transition, d.Incident, d.Seq)
		}
	}
}

// checkCourse: what a receiver is told of an incident makes sense in itself.
func (s *sim) checkCourse(r *simInbox) {
	on := r.cfg.On
	if len(on) == 0 {
		on = []config.Transition{config.Opened, config.Resolved}
	}
	hears := func(t config.Transition) bool { return slices.Contains(on, t) }
	state := map[string]config.Transition{} // suspect, opened, or nothing
	if len(r.there) > 1 {                   // whether one that was gone begins anew depends on whether the prober ran meanwhile
		return
	}
	for _, d := range s.decidedFor(r.cfg.Name) {
		if d.State == Merged && d.Transition == config.Suspect && state[d.Incident] == "" { // its end may be told all the same
			state[d.Incident] = config.Suspect
		}
		if d.State == Dropped || d.State == Merged {
			continue
		}
		was, wrong := state[d.Incident], false
		next := d.Transition
		switch d.Transition {
		case config.Suspect:
			wrong = was != ""
		case config.Opened:
			wrong = was == config.Opened && hears(config.Resolved)
		case config.Updated:
			wrong = was != config.Opened && hears(config.Opened)
			next = was
		case config.Resolved:
			wrong = !d.Notification.Whole && was != config.Opened && hears(config.Opened) || d.Notification.Whole && was == config.Opened
			next = ""
		case config.Dismissed:
			wrong = was == "" && hears(config.Opened) && hears(config.Suspect)
			next = ""
		}
		if wrong {
			s.fault("%s was told %s of %s (%d%s) after %q", r.cfg.Name, d.Transition, d.Incident, d.Seq, flags(&d.Notification), was)
		}
		state[d.Incident] = next
	}
	for id, t := range state {
		if s.life.dispatcher.outbox.seen[id] != nil { // it goes on
			continue
		}
		ends := t == config.Opened && (hears(config.Resolved) || t == config.Suspect && hears(config.Dismissed))
		if ends && r.isThere(stretch{0, s.now}) {
			s.fault("%s was never told the end of %s", r.cfg.Name, id)
		}
	}
}

// checkAsked: nothing for a receiver that did not ask for it, and nothing new in a maintenance.
func (s *sim) checkAsked(r *simInbox, told []Delivery) {
	for _, d := range told {
		n := &d.Notification
		i := n.Event.Incident
		members := i.Members
		if len(members) == 0 {
			members = []Member{{Target: i.Target, Verdict: *n.Event.Verdict}}
		}
		wantsTarget := false
		for _, m := range members {
			wantsTarget = wantsTarget || r.cfg.WantsTarget(m.Target) || m.Target == SelfTarget
		}
		forced := d.Transition == config.Updated && n.Reminder || d.Transition == config.Dismissed
		asked := len(r.cfg.On) == 0 && (d.Transition == config.Opened || d.Transition == config.Resolved) || slices.Contains(r.cfg.On, d.Transition)
		if !wantsTarget || !asked && !forced || i.About == r.cfg.Name {
			s.fault("%s did not ask for %s of %s (%d)", r.cfg.Name, d.Transition, d.Incident, d.Seq)
		}
		if len(r.cfg.Layers) > 0 && !s.everSuspected(r, members) {
			s.fault("%s asks for %v and was told %s of %s (%d): %s", r.cfg.Name, r.cfg.Layers, d.Transition, d.Incident, d.Seq, n.Event.Verdict.Layer)
		}
		at := s.cal.since(d.Created)
		if s.maintenance.holds(at) && len(members) == 1 && (d.Transition == config.Suspect || d.Transition == config.Opened && !s.toldBefore(told, d)) &&
			slices.Contains([]string{"t0", "t1"}, i.Target) {
			s.fault("%s was told %s of %s (%d) in a maintenance", r.cfg.Name, d.Transition, d.Incident, d.Seq)
		}
	}
}

// toldBefore tells that an update became the first message, because the one that opened was still waiting.
func (s *sim) toldBefore(told []Delivery, d Delivery) bool {
	for _, x := range s.store.deliveries {
		if x.State == Merged && x.Receiver == d.Receiver && x.Incident == d.Incident && x.Seq < d.Seq && !s.maintenance.holds(s.cal.since(x.Created)) {
			return true
		}
	}
	return false
}

// everSuspected tells that a layer that the receiver asks for was suspected in one of the incidents.
func (s *sim) everSuspected(r *simInbox, members []Member) bool {
	for _, e := range s.store.events {
		if e.Incident == nil || e.Verdict == nil || !slices.ContainsFunc(members, func(m Member) bool { return m.Target == e.Target }) {
			continue
		}
		layers := []string{string(e.Verdict.Layer)}
		for _, x := range e.Verdict.Suspects {
			layers = append(layers, string(x.Layer))
		}
		if r.cfg.WantsLayer(layers...) {
			return true
		}
	}
	return false
}

// checkContent: what is told is what the world said, with a start that the incident had.
func (s *sim) checkContent(r *simInbox, told []Delivery) {
	starts := map[string]map[int64]bool{}
	for _, e := range s.store.events {
		if e.Incident != nil {
			if starts[e.Incident.ID] == nil {
				starts[e.Incident.ID] = map[int64]bool{}
			}
			starts[e.Incident.ID][e.Incident.StartsBefore.UnixNano()] = true
		}
	}
	for _, d := range told {
		n := &d.Notification
		i := n.Event.Incident
		if i.Target == SelfTarget {
			continue
		}
		picture, known := pictureOf(n.Event.Verdict), false
		for _, t := range s.targets {
			member := t.cfg.Name == i.Target || slices.ContainsFunc(i.Members, func(m Member) bool { return m.Target == t.cfg.Name })
			known = known || member && t.said[picture]
		}
		if !known {
			s.fault("%s was told %v of %s (%d), which the world never said", r.cfg.Name, picture, d.Incident, d.Seq)
		}
		switch {
		case len(i.Members) == 0 && !starts[i.ID][i.StartsBefore.UnixNano()]:
			s.fault("%s was told that %s began before %v, which it never did", r.cfg.Name, i.ID, i.StartsBefore)
		case i.StartsAfter != nil && len(s.cal.steps) == 0 && !i.StartsAfter.Before(i.StartsBefore):
			s.fault("%s was told that %s began after %v and before %v", r.cfg.Name, i.ID, i.StartsAfter, i.StartsBefore)
		}
	}
}

// checkTold: an incident that was open was told to a receiver that wants it, and its end too.
func (s *sim) checkTold(r *simInbox, x simSpellOf, told []Delivery) {
	on := r.cfg.On
	if len(on) == 0 {
		on = []config.Transition{config.Opened, config.Resolved}
	}
	wants := r.cfg.WantsTarget(x.target) && r.cfg.WantsLayer(x.layers...)
	if x.target == SelfTarget {
		wants = len(r.cfg.Targets) == 0 && r.cfg.WantsLayer("prober") && x.about != r.cfg.Name
	}
	there := len(s.changesSeen) == 0 || !r.cfg.Groups() && r.isThere(stretch{x.opened, x.ended + time.Minute}) || r.isThere(stretch{x.opened, s.now})
	m := s.maintenance
	// It may have become the receiver's in a maintenance, or while the receiver was gone.
	late := len(r.cfg.Layers) > 0 && (m.from < x.ended && x.opened < m.to || len(r.there) > 1)
	if !wants || !there || late || !s.tellable(x) {
		return
	}
	about := func(d *Delivery) bool {
		i := d.Notification.Event.Incident
		return i.ID == x.id || slices.ContainsFunc(i.Members, func(m Member) bool { return m.Incident == x.id })
	}
	began, ended := false, false
	for k := range told {
		d := &told[k]
		if !about(d) {
			continue
		}
		created, n := s.cal.since(d.Created), &d.Notification
		inTime := created >= x.opened || len(s.cal.steps) > 0
		began = began || inTime && (d.Transition == config.Opened || n.Whole) || r.cfg.Groups()
		ended = ended || (created >= x.ended || len(s.cal.steps) > 0) && (d.Transition == config.Resolved || d.Transition == config.Dismissed)
	}
	// An incident that joins others which were told is an update, or a part of their end.
	alone := !r.cfg.Groups() || slices.Contains(on, config.Updated) || slices.Contains(on, config.Resolved)
	if !began && alone && slices.Contains(on, config.Opened) {
		s.fault("%s was never told that %s opened at %v", r.cfg.Name, x.id, x.opened)
	}
	if !ended && slices.Contains(on, config.Resolved) && (!x.dismissed || slices.Contains(on, config.Opened)) {
		s.fault("%s was never told that %s ended at %v", r.cfg.Name, x.id, x.ended)
	}
}

// tellable tells that no maintenance lay over a spell from begin to end.
func (s *sim) tellable(x simSpellOf) bool {
	const slack = 12 * time.Second // two ticks
	if s.maintenance.to == 0 || !slices.Contains([]string{"t0", "t1"}, x.target) || !s.maintenance.holds(x.opened) {
		return true
	}
	free := x.ended - s.maintenance.to
	for _, dead := range s.outOf {
		free -= max(0, min(dead.to, x.ended)-max(dead.from, s.maintenance.to))
	}
	for _, p := range s.pauses {
		free -= p.to - p.from
	}
	if free <= slack {
		s.counts.Withheld++
	}
	return free > slack
}

// checkBounds: the truth lies within the bounds of each resolved incident.
func (s *sim) checkBounds() {
	if len(s.cal.steps) > 0 {
		return
	}
	for _, e := range s.store.events {
		if e.Event != EventResolved || e.Target == SelfTarget {
			continue
		}
		t := s.targets[slices.IndexFunc(s.targets, func(t *simTarget) bool { return t.cfg.Name == e.Target })]
		if t.noise > 0 || !t.certEnds.IsZero() {
			continue
		}
		all := e.Incident.Spells
		if len(all) == 0 {
			all = []Bounds{e.Incident.Bounds}
		}
		s.checkSpell(t, e.Incident.ID, all[len(all)-1])
		s.counts.Bounds++
	}
}

func (s *sim) checkSpell(t *simTarget, id string, b Bounds) {
	after, before := -time.Hour, s.cal.since(b.StartsBefore)
	if b.StartsAfter != nil {
		after = s.cal.since(*b.StartsAfter)
	}
	endAfter, endBefore := s.cal.since(*b.EndsAfter), s.cal.since(*b.EndsBefore)
	begins, ends, met := false, false, 0
	for _, f := range t.faults {
		if f.from > endBefore || f.to < after {
			continue
		}
		// Of what comes and goes, the first attempt that fails may come long after the begin.
		met++
		slack := time.Duration(0)
		if len(t.faults) > 1 { // a thawed process may fail in another way for the moment that its answer takes
			slack = thawTime
		}
		begins = begins || f.from <= before && (after < f.from || f.share < 1 || f.what == simMemberDead)
		ends = ends || endAfter <= f.to && (f.to <= endBefore+slack || f.share < 1 || f.what == simMemberDead)
	}
	if !begins {
		s.fault("%s began in (%v, %v], in which nothing did (%v)", id, after, before, t.faultsTold())
	}
	// What was seen of a second fault just before a crash is lost.
	lost := met > 1 && slices.ContainsFunc(s.outOf, func(o stretch) bool { return endAfter < o.from && o.from < endAfter+time.Minute })
	if !ends && !lost {
		s.fault("%s ended in (%v, %v], in which nothing did (%v)", id, endAfter, endBefore, t.faultsTold())
	}
}

func (t *simTarget) faultsTold() (out []simFault) {
	for _, f := range t.faults {
		out = append(out, *f)
	}
	return out
}

// checkGaps: every time in which nobody looked at a target was told as a gap.
func (s *sim) checkGaps() {
	if len(s.cal.steps) > 0 {
		return
	}
	for _, t := range s.targets {
		if slices.ContainsFunc(s.changesSeen, func(c simChange) bool { return c.without[t.cfg.Name] }) {
			continue
		}
		var blind []stretch
		blind = append(append(append(blind, s.pauses...), s.outOf...), t.blindRounds...)
		for _, b := range blind {
			dead := slices.ContainsFunc(s.outOf, func(o stretch) bool { return o.from <= b.from && b.to <= o.to && o != b })
			if !dead && b.to < t.lastLook && t.lookedBefore(b.from) && !covered(b, s.gaps[t.cfg.Name]) {
				s.fault("nobody looked at %s from %v to %v, which was never told: %v", t.cfg.Name, b.from, b.to, s.gaps[t.cfg.Name])
			}
		}
	}
}

// lookedBefore tells that a round had begun before an instant, and that this was known on disk.
func (t *simTarget) lookedBefore(at time.Duration) bool { return !t.unknown && t.firstLook < at }

// covered tells that stretches hold all of a time.
func covered(x stretch, by []stretch) bool {
	sorted := slices.SortedFunc(slices.Values(by), func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	at := x.from
	for _, b := range sorted {
		if b.from <= at && at < b.to {
			at = b.to
		}
	}
	return at >= x.to
}

// compare looks whether a process that began goes on with the incidents of the one before, from the same start.
func (s *sim) compare() {
	now := map[string]*Incident{}
	for _, i := range s.life.desk.Incidents() {
		now[i.ID] = i
	}
	for _, id := range slices.Sorted(maps.Keys(s.store.incidents)) {
		was := s.store.incidents[id]
		if !was.Active() || s.life.ended[id] {
			continue
		}
		i := now[id]
		switch {
		case i == nil:
			s.fault("%s (%s) is forgotten after a restart", id, was.State)
		case !i.StartsBefore.Round(0).Equal(was.StartsBefore.Round(0)) || (i.StartsAfter == nil) != (was.StartsAfter == nil) ||
			i.StartsAfter != nil && !i.StartsAfter.Round(0).Equal(was.StartsAfter.Round(0)):
			s.fault("%s began in (%v, %v], after a restart in (%v, %v]", id, was.StartsAfter, was.StartsBefore, i.StartsAfter, i.StartsBefore)
		}
	}
}
