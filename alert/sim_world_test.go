package alert

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// sim is a world made of a seed: targets that break and heal, receivers that fail, a disk that fills, a clock that is set,
// and a prober that is paused, killed and started again. All chance comes from the seed.
type sim struct {
	seed    uint64
	rand    *rand.Rand
	cal     calendar
	now     time.Duration
	agenda  agenda
	n       uint64
	verbose bool
	tell    func(string)

	// horizon is when the world stops doing harm.
	horizon time.Duration
	targets []*simTarget
	inboxes map[string]*simInbox
	pauses  []stretch
	// outOf are stretches in which the prober was dead.
	outOf       []stretch
	disk        stretch // no room on it
	maintenance stretch
	crash       *simCrash
	crashes     []simCrash
	changesSeen []simChange

	cfg   *config.Config
	store *ram
	life  *life
	lives int
	ids   int
	done  bool

	gaps   map[string][]stretch
	counts simCounts
	faults []string
}

// simCrash is a kill at the first instant of a kind.
type simCrash struct {
	from  time.Duration
	point simPoint
	down  time.Duration
}

// simPoint is where a process is killed.
type simPoint int

const (
	simAnywhere     simPoint = iota
	simObserved              // an incident's step was taken, nothing is written yet
	simInCommit              // a write is under way: it happens or not
	simCommitted             // it was written, nothing has left
	simSendingPoint          // a message is under way
	simSettled               // it was answered, that is not written yet
	simPoints
)

// simChange is another configuration: names that are gone from then on.
type simChange struct {
	at      time.Duration
	without map[string]bool
}

// simCounts is what happened, over many worlds.
type simCounts struct {
	Worlds, Rounds, Incidents, Relapses, Dismissed, Crashes, CrashesInIncident, CommitsInFlight     int
	Messages, Attempts, Ambiguous, Duplicates, Refused, Whole, Grouped, Reminders, Withheld, Merged int
	Reloads, Dropped, Pauses, ClockSteps, FailedCommits, Certificates, Troubles, Gaps, Bounds       int
	Points                                                                                          [simPoints]int
}

// errand is something to do at an instant, in one life or, with 0, whatever lives.
type errand struct {
	at   time.Duration
	n    uint64
	life int
	do   func()
}

type agenda []errand

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].n < a[j].n
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(errand)) }
func (a *agenda) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

func (s *sim) schedule(at time.Duration, life int, do func()) {
	s.n++
	heap.Push(&s.agenda, errand{at, s.n, life, do})
}

// after does something in this life.
func (s *sim) after(d time.Duration, do func()) { s.schedule(s.now+d, s.lives, do) }

func (s *sim) say(format string, args ...any) {
	if s.verbose {
		s.tell(fmt.Sprintf("%10.3f  ", s.now.Seconds()) + fmt.Sprintf(format, args...))
	}
}

func (s *sim) fault(format string, args ...any) {
	text := fmt.Sprintf("%.3f s: ", s.now.Seconds()) + fmt.Sprintf(format, args...)
	s.say("FAULT   %s", text)
	if len(s.faults) < 20 {
		s.faults = append(s.faults, text)
	}
}

// ago is an instant as seconds since the begin, for the story.
func (s *sim) ago(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%.3f", s.cal.since(*t).Seconds())
}

// run goes through the world.
func (s *sim) run() {
	s.introduce()
	s.start()
	for len(s.agenda) > 0 && !s.done && len(s.faults) == 0 {
		e := heap.Pop(&s.agenda).(errand)
		s.now = e.at
		if e.life != 0 && (s.life == nil || e.life != s.life.no) {
			continue
		}
		if p, ok := s.pauseIn(stretch{s.now, s.now + 1}); ok && e.life != 0 {
			s.schedule(p.to, e.life, e.do)
			continue
		}
		e.do()
		if s.life != nil {
			s.life.attend()
		}
	}
	if len(s.faults) == 0 {
		s.check()
	}
}

// introduce tells who is in the story.
func (s *sim) introduce() {
	if !s.verbose {
		return
	}
	for _, t := range s.targets {
		s.say("target  %s every %v, front %d, backend %d, %d addresses, noise %.3f, blind %.3f, certificate until %v: %+v", t.cfg.Name, t.every, t.front, t.backend, t.members, t.noise, t.blind, t.certRenewed, t.faultsTold())
	}
	for _, name := range sortedNames(s.inboxes) {
		r := s.inboxes[name]
		s.say("receiver %s people %v groups %v on %v targets %v layers %v repeat %v moods %v", name, r.cfg.ForPeople(), r.cfg.Groups(), r.cfg.On, r.cfg.Targets, r.cfg.Layers, r.cfg.Repeat.Std(), r.moods)
	}
	s.say("maintenance %v, disk full %v, pauses %v, clock %v", s.maintenance, s.disk, s.pauses, s.cal.steps)
}

func (s *sim) pauseIn(x stretch) (stretch, bool) {
	for _, p := range s.pauses {
		if p.from < x.to && x.from < p.to {
			return p, true
		}
	}
	return stretch{}, false
}

// watched tells that a target is configured now.
func (s *sim) watched(t *simTarget) bool {
	return slices.ContainsFunc(s.cfg.Targets, func(c config.Target) bool { return c.Name == t.cfg.Name })
}

// expect gets ready for the next crash.
func (s *sim) expect() {
	if len(s.crashes) == 0 {
		return
	}
	c := s.crashes[0]
	s.crashes = s.crashes[1:]
	c.from = max(c.from, s.now+time.Millisecond)
	if c.from < s.now+10*time.Second {
		s.crash = &c
	} else {
		s.schedule(c.from-3*time.Second, 0, func() {
			s.crash = &c
			s.life.brace()
		})
	}
	late := c.from
	if c.point != simAnywhere {
		late += 30 * time.Second
	}
	s.schedule(late, 0, func() { s.fallback(&c) })
}

// fallback kills the process when the instant that was waited for did not come.
func (s *sim) fallback(c *simCrash) {
	switch {
	case s.crash != c: // it has happened
	case s.life == nil || !s.kill(simAnywhere):
		s.schedule(s.now+5*time.Second, 0, func() { s.fallback(c) })
	}
}

// crashAt kills the process if it was meant to be here.
func (s *sim) crashAt(p simPoint) bool {
	return s.crash != nil && s.crash.point == p && s.now >= s.crash.from && s.life != nil && s.kill(p)
}

// kill ends the process at once, but not while the disk is full: what happened then may be lost.
func (s *sim) kill(p simPoint) bool {
	l := s.life
	if s.disk.holds(s.now) || l.resting || l.dispatcher.keeper.Broken() || !l.braced() {
		return false
	}
	s.counts.Crashes++
	s.counts.Points[p]++
	if len(l.desk.Incidents()) > 0 {
		s.counts.CrashesInIncident++
	}
	s.say("KILLED  at point %d, down for %v", p, s.crash.down)
	if l.committing && s.rand.IntN(2) == 0 {
		s.counts.CommitsInFlight++
		s.say("        what was being written was written")
		_ = s.store.Commit(context.Background(), l.taken.batch())
	}
	for _, t := range s.targets {
		t.unknown = t.unknown || s.store.state[keySeat+t.cfg.Name] == nil
	}
	for _, w := range l.workers {
		if m := w.sending; m != nil && m.arrives && !m.arrived && s.rand.IntN(2) == 0 {
			m.canceled = true
		}
	}
	for _, r := range s.inboxes {
		s.excuse(r)
	}
	down := s.crash.down
	s.life, s.crash = nil, nil
	from := s.now
	s.schedule(s.now+down, 0, func() {
		s.outOf = append(s.outOf, stretch{from, s.now})
		s.expect()
		s.start()
	})
	return true
}

// excuse notes which messages the next process will have to send again, because it cannot know of them.
func (s *sim) excuse(r *simInbox) {
	r.excuses++
	for seq := range r.last {
		if d, ok := s.store.deliveries[seq]; ok && d.State == Waiting {
			r.again[seq] = true
		}
	}
	for _, w := range s.life.workers {
		if w.inbox == r && w.sending != nil && w.sending.arrives && !w.sending.canceled {
			r.again[w.sending.x.Seq] = true
		}
	}
}

// change takes another configuration, in a running process or for the next one.
func (s *sim) change(c simChange) {
	s.counts.Reloads++
	s.changesSeen = append(s.changesSeen, c)
	s.configure(c.without)
	s.say("RELOAD  without %v", slices.Sorted(maps.Keys(c.without)))
	l := s.life
	if l == nil {
		return
	}
	if err := l.dispatcher.Reload(s.cfg); err != nil {
		s.fault("a reload: %v", err)
	}
	old := l.desk.targets
	l.desk.Reload(s.cfg, s.cal.at(s.now), nil)
	l.steady()
	for _, t := range s.targets {
		if s.watched(t) && old[t.cfg.Name] == nil {
			l.watch(t)
		}
	}
}

// configure makes the configuration of all that is there but some.
func (s *sim) configure(without map[string]bool) {
	c := &config.Config{}
	for _, t := range s.targets {
		if !without[t.cfg.Name] {
			c.Targets = append(c.Targets, t.cfg)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.inboxes)) {
		r := s.inboxes[name]
		here := len(r.there) > 0 && r.there[len(r.there)-1].to == forever
		switch {
		case without[name] && here:
			r.there[len(r.there)-1].to = s.now
		case !without[name] && !here:
			r.there = append(r.there, stretch{s.now, forever})
		}
		if !without[name] {
			c.Receivers = append(c.Receivers, r.cfg)
		}
	}
	if m := s.maintenance; m.to > 0 {
		c.Maintenance = []config.Maintenance{{Name: "window", Duration: config.Duration(m.to - m.from),
			Schedule: config.Schedule{Spec: "once", Cron: once(s.cal.at(m.from).Round(0))}, Targets: []string{"t0", "t1"}}}
	}
	s.cfg = c
}

// forever is longer than any world lasts.
const forever = 1000 * time.Hour

// once is a schedule that comes one time.
type once time.Time

func (o once) Next(t time.Time) time.Time {
	if time.Time(o).After(t) {
		return time.Time(o)
	}
	return time.Time{}
}

// gap takes a time that was told as one in which nobody looked.
func (s *sim) gap(target string, g probe.Gap) {
	if g.To.Before(g.From) {
		s.fault("a gap of %s from %v to %v", target, g.From, g.To)
	}
	s.counts.Gaps++
	s.gaps[target] = append(s.gaps[target], stretch{s.cal.since(g.From), s.cal.since(g.To)})
}

// arrive takes a message at a receiver.
func (s *sim) arrive(r *simInbox, x Delivery, life int) {
	s.say("arrived %s %s of %s (%d)%s", r.cfg.Name, x.Transition, x.Incident, x.Seq, flags(&x.Notification))
	if r.arrive(s.now, x, s.life == nil || s.life.no != life) {
		s.fault("%s was told %s of %s (%d) twice, though the prober knew", r.cfg.Name, x.Transition, x.Incident, x.Seq)
	}
}

func flags(n *Notification) string {
	var out []string
	for word, is := range map[string]bool{"whole": n.Whole, "reminder": n.Reminder, "degraded": n.Degraded, "members": len(n.Event.Incident.Members) > 0} {
		if is {
			out = append(out, word)
		}
	}
	slices.Sort(out)
	return " " + strings.Join(out, " ")
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// newSim makes a world of a seed.
func newSim(seed uint64) *sim {
	rnd := rand.New(rand.NewPCG(seed, 2026))
	s := &sim{seed: seed, rand: rnd, inboxes: map[string]*simInbox{}, store: newRAM(), gaps: map[string][]stretch{}}
	s.horizon = s.between(2*time.Minute, 4*time.Minute)
	s.makeTargets()
	s.makeFaults()
	s.makeReceivers()
	if s.chance(0.25) {
		from := s.between(0, s.horizon-time.Minute)
		s.pauses = []stretch{{from, from + s.between(1500*time.Millisecond, 40*time.Second)}}
		s.counts.Pauses++
		s.schedule(s.pauses[0].to, 0, func() {
			if s.life != nil {
				s.say("RESUMED after %v", s.pauses[0].to-s.pauses[0].from)
				s.life.resumed(s.pauses[0])
			}
		})
	}
	if s.chance(0.12) {
		s.disk.from = s.between(0, s.horizon-time.Minute)
		s.disk.to = s.disk.from + s.between(time.Second, 2*time.Minute)
	}
	switch {
	case s.chance(0.15):
		step := []time.Duration{-time.Hour, -5 * time.Second, 5 * time.Second, time.Hour, 26 * time.Hour, -26 * time.Hour}[rnd.IntN(6)]
		s.cal.steps = []clockStep{{s.between(0, s.horizon), step}}
		s.counts.ClockSteps++
	case s.chance(0.3):
		s.maintenance.from = s.between(0, s.horizon-2*time.Minute)
		s.maintenance.to = min(s.maintenance.from+s.between(30*time.Second, 6*time.Minute), s.horizon)
	}
	s.makeCrashes()
	s.makeChanges()
	s.configure(nil)
	s.expect()
	s.counts.Worlds = 1
	return s
}

func (s *sim) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(s.rand.Int64N(int64(hi-lo)+1))
}

func (s *sim) chance(p float64) bool { return s.rand.Float64() < p }

func (s *sim) makeTargets() {
	n := []int{1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6}[s.rand.IntN(12)]
	detect := defaultDetect
	if s.chance(0.9) { // smaller numbers make for smaller worlds
		detect = config.Detect{Confirm: config.Duration(s.between(5*time.Second, 20*time.Second)), Resolve: config.Duration(s.between(10*time.Second, 30*time.Second)),
			Reopen: config.Duration(s.between(30*time.Second, 4*time.Minute))}
	}
	fronts, backends := 1+s.rand.IntN(n), 1+s.rand.IntN(n)
	for i := range n {
		t := &simTarget{cal: &s.cal, horizon: s.horizon, unknown: true, rand: rand.New(rand.NewPCG(s.seed, uint64(i))), every: s.between(8*time.Second, 40*time.Second),
			front: s.rand.IntN(fronts), backend: s.rand.IntN(backends), members: 1, heldOpen: s.chance(0.5), seen: map[*simFault]int{}, said: map[simPicture]bool{}}
		t.cfg = config.Target{Name: fmt.Sprintf("t%d", i), Detect: detect}
		t.subnet = t.front / 2
		t.frontAddress = fmt.Sprintf("10.0.%d.%d:443", t.subnet, 10+t.front)
		t.badAddress = fmt.Sprintf("10.0.%d.%d:443", t.subnet, 100+t.front)
		if s.chance(0.15) {
			t.members = 2 + s.rand.IntN(5)
		}
		if s.chance(0.3) {
			t.noise = s.rand.Float64() * 0.04
		}
		if s.chance(0.2) {
			t.blind = s.rand.Float64() * 0.15
		}
		if s.chance(0.05) {
			t.certEnds, t.certRenewed = epoch.AddDate(0, 0, s.rand.IntN(14)).Add(time.Hour), s.between(s.horizon/2, s.horizon)
			s.counts.Certificates++
		}
		s.targets = append(s.targets, t)
	}
}

// makeFaults breaks components, for all that is behind them.
func (s *sim) makeFaults() {
	var all []*simFault
	for range []int{1, 1, 1, 2, 2, 3}[s.rand.IntN(6)] {
		t := s.targets[s.rand.IntN(len(s.targets))]
		f := &simFault{what: simMechanism(s.rand.IntN(int(simMechanisms))), share: 1}
		f.from = s.between(0, s.horizon-30*time.Second)
		switch s.rand.IntN(5) {
		case 0: // too short for anybody
			f.to = f.from + s.between(50*time.Millisecond, 5*time.Second)
		case 1: // comes and goes
			f.share = []float64{0.3, 0.5, 0.8}[s.rand.IntN(3)]
			f.to = f.from + s.between(30*time.Second, 2*time.Minute)
		default:
			f.to = f.from + s.between(10*time.Second, 90*time.Second)
		}
		f.to = min(f.to, s.horizon)
		if s.chance(0.4) {
			f.unsure = 1 + s.rand.IntN(12)
		}
		f.where = map[simMechanism]int{simDropped: t.subnet, simLost: t.subnet, simStatus: t.backend, simNames: 0}[f.what]
		if f.what <= simMemberDead {
			f.where = t.front
		}
		if !slices.ContainsFunc(all, f.overlaps) {
			all = append(all, f)
		}
	}
	for _, t := range s.targets {
		for _, f := range all {
			if t.meets(f) {
				t.faults = append(t.faults, f)
			}
		}
	}
}

// overlaps tells that another fault is of the same kind, place and time: the two would be one.
func (f *simFault) overlaps(o *simFault) bool {
	return o.what == f.what && o.where == f.where && o.from <= f.to && f.from <= o.to
}

func (s *sim) makeReceivers() {
	on := [][]config.Transition{nil, nil, {config.Opened, config.Updated, config.Resolved},
		{config.Suspect, config.Opened, config.Updated, config.Resolved, config.Dismissed}, {config.Suspect, config.Resolved, config.Dismissed},
		{config.Opened}, {config.Resolved}}
	for i := range 1 + s.rand.IntN(3) {
		r := &simInbox{cfg: config.Receiver{Name: fmt.Sprintf("r%d", i)}, rand: rand.New(rand.NewPCG(s.seed, uint64(100+i))), last: map[int64]int{}, again: map[int64]bool{}}
		if s.chance(0.5) {
			r.cfg.Slack = &config.Slack{}
		} else {
			r.cfg.Webhook = &config.Webhook{Format: config.WebhookJSON}
		}
		if i > 0 {
			r.cfg.On = on[s.rand.IntN(len(on))]
			if s.chance(0.3) {
				r.cfg.Targets = []string{"t0", "t2"}
			}
			if s.chance(0.3) {
				r.cfg.Layers = [][]config.Layer{{"proxy"}, {"network", "host"}, {"backend", "prober"}, {"dns", "proxy"}}[s.rand.IntN(4)]
			}
			if s.chance(0.2) {
				yes := s.chance(0.5)
				r.cfg.Group = &yes
			}
		}
		if s.chance(0.3) {
			r.cfg.Repeat = config.Duration(s.between(time.Minute, 3*time.Minute))
		}
		for range s.rand.IntN(3) {
			from := s.between(0, s.horizon)
			mood := simMood(1 + s.rand.IntN(int(simMoods)-1))
			if mood == simForGood && s.chance(0.6) {
				mood = simRefuses
			}
			r.moods = append(r.moods, simSpell{stretch{from, from + s.between(time.Second, 4*time.Minute)}, mood})
		}
		s.inboxes[r.cfg.Name] = r
	}
}

func (s *sim) makeCrashes() {
	for range []int{0, 0, 0, 0, 0, 0, 1, 1, 2, 3}[s.rand.IntN(10)] {
		down := s.between(100*time.Millisecond, 20*time.Second)
		if s.chance(0.15) {
			down = s.between(time.Minute, 15*time.Minute)
		}
		s.crashes = append(s.crashes, simCrash{s.between(0, s.horizon+time.Minute), simPoint(s.rand.IntN(int(simPoints))), down})
	}
	slices.SortFunc(s.crashes, func(a, b simCrash) int { return int(a.from - b.from) })
}

// makeChanges takes a target or a receiver out of the configuration, and some of them in again.
func (s *sim) makeChanges() {
	if !s.chance(0.2) || len(s.cal.steps) > 0 {
		return
	}
	name := fmt.Sprintf("t%d", s.rand.IntN(len(s.targets)))
	if s.chance(0.6) {
		name = fmt.Sprintf("r%d", s.rand.IntN(len(s.inboxes)))
	}
	at := s.between(0, s.horizon)
	changes := []simChange{{at, map[string]bool{name: true}}}
	if s.chance(0.5) {
		changes = append(changes, simChange{s.between(at, s.horizon+10*time.Second), nil})
	}
	for _, c := range changes {
		s.schedule(c.at, 0, func() { s.change(c) })
	}
}
