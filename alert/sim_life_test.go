package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// life is one process of the prober: the real desk, dispatcher and outbox, driven step by step. What goroutines do there
// is done here at made-up times: a commit takes a while, a message is under way, a worker waits.
type life struct {
	s          *sim
	no         int
	began      time.Duration
	desk       *Desk
	dispatcher *Dispatcher
	workers    []*simWorker
	// committing tells that a commit is under way, resting that one failed and is tried again later.
	committing, resting bool
	taken               pending
	waiters             []chan struct{}
	verdict             probe.Verdict
	looking             map[string]bool // a round of the target is under way
	ended               map[string]bool // incidents that ended
	// savedAll tells that checkpoints are kept, because a crash is near.
	savedAll bool
	// late tells that they were not from the begin.
	late bool
}

// simWorker is what a goroutine does for one receiver.
type simWorker struct {
	*worker
	inbox   *simInbox
	sending *simSending
	synced  chan struct{} // not nil: waits until this is closed
	wakeAt  time.Duration
}

// simSending is a message on its way.
type simSending struct {
	x        Delivery
	arrives  bool
	arrived  bool
	err      error
	canceled bool
}

// noRegistry takes all metrics and shows none.
type noRegistry struct{}

func (noRegistry) Register(prometheus.Collector) error  { return nil }
func (noRegistry) MustRegister(...prometheus.Collector) {}
func (noRegistry) Unregister(prometheus.Collector) bool { return true }

// simStore is a disk: what was committed survives.
type simStore struct {
	*ram
	s *sim
}

// Rounds are without monotonic clocks, as a file has none.
func (d *simStore) Rounds(ctx context.Context, target string, from, to time.Time, limit int) ([]probe.RecordedRound, error) {
	all, err := d.ram.Rounds(ctx, target, from.Round(0), to.Round(0), limit)
	for i := range all {
		all[i].Result = *withoutMonotonic(&all[i].Result)
	}
	return all, err
}

func withoutMonotonic(r *probe.Result) *probe.Result {
	c := *r
	c.Started, c.Ended, c.Due = c.Started.Round(0), c.Ended.Round(0), c.Due.Round(0)
	c.Lanes = append([]probe.Lane{}, r.Lanes...)
	for i := range c.Lanes {
		l := &c.Lanes[i]
		l.Stages = append([]probe.Stage{}, l.Stages...)
		for j := range l.Stages {
			l.Stages[j].Started = l.Stages[j].Started.Round(0)
		}
		if h := l.HeldOpen; h != nil {
			l.HeldOpen = &probe.HeldOpenFacts{LastGoodSent: h.LastGoodSent.Round(0), LastGoodAnswered: h.LastGoodAnswered.Round(0),
				Pending: h.Pending.Round(0), Missed: h.Missed.Round(0)}
		}
	}
	c.Late = append([]probe.LateAnswer{}, r.Late...)
	for i := range c.Late {
		c.Late[i].Started, c.Late[i].Ended = c.Late[i].Started.Round(0), c.Late[i].Ended.Round(0)
	}
	c.Self.Gaps = append([]probe.Gap{}, r.Self.Gaps...)
	for i := range c.Self.Gaps {
		c.Self.Gaps[i].From, c.Self.Gaps[i].To = c.Self.Gaps[i].From.Round(0), c.Self.Gaps[i].To.Round(0)
	}
	return &c
}

// fromDisk is what a process that begins reads.
func (s *sim) fromDisk() *Saved {
	saved := s.store.saved()
	for i := range saved.Deliveries {
		data, err := json.Marshal(saved.Deliveries[i])
		var d Delivery
		if err = errors.Join(err, json.Unmarshal(data, &d)); err != nil {
			s.fault("a delivery cannot be kept: %v", err)
		}
		saved.Deliveries[i] = d
	}
	return saved
}

// start begins a process as the daemon does.
func (s *sim) start() {
	s.lives++
	l := &life{s: s, no: s.lives, began: s.now, looking: map[string]bool{}, ended: map[string]bool{}, savedAll: s.crash != nil}
	s.life = l
	log, clock := slog.New(slog.DiscardHandler), func() time.Time { return s.cal.at(s.now) }
	store, saved := &simStore{s.store, s}, s.fromDisk()
	d, err := NewDispatcher(s.cfg, saved, store, func(config.Receiver, Memory) (Notifier, error) { return nil, nil }, log, noRegistry{})
	if err != nil {
		s.fault("a dispatcher: %v", err)
		return
	}
	d.now = clock
	desk, err := NewDesk(s.cfg, l.saw, d.Take, log, noRegistry{})
	if err != nil {
		s.fault("a desk: %v", err)
		return
	}
	desk.now, desk.attribute = clock, func(*probe.Result, []*probe.Result) probe.Verdict { return l.verdict }
	l.desk, l.dispatcher = desk, d
	d.Watch(desk)
	l.steady()
	desk.Restore(context.Background(), saved, store)
	l.steady()
	s.compare()
	for _, t := range s.targets {
		l.watch(t)
	}
	s.after(time.Second, l.tick)
	s.after(lazily, l.lazily)
	l.attend()
}

// watch begins to look at a target.
func (l *life) watch(t *simTarget) {
	t.begin(l.s.now)
	t.loop++
	l.again(t, t.between(0, min(t.every, 5*time.Second)))
}

// again looks once more after a while, if nothing else has begun to.
func (l *life) again(t *simTarget, wait time.Duration) {
	loop := t.loop
	l.s.after(wait, func() {
		if t.loop == loop && l.s.watched(t) {
			l.look(t)
		}
	})
}

// steady takes chance out of what was made anew.
func (l *life) steady() {
	for _, line := range l.dispatcher.outbox.lines {
		line.queue.pause.RandomizationFactor = 0
	}
	l.desk.self.newID = l.s.newID(SelfTarget)
	for name, seat := range l.desk.targets {
		id := l.s.newID(name)
		seat.tracker.newID, seat.certs.newID, seat.save = id, id, l.save
	}
}

// save keeps a checkpoint when a crash is near enough to need it: they are what costs most.
func (l *life) save(s *seat) []byte {
	if l.savedAll {
		return s.checkpoint()
	}
	return nil
}

// brace keeps everything from now on, because a crash is near.
func (l *life) brace() {
	l.savedAll, l.late = true, true
	for _, name := range sortedNames(l.desk.targets) {
		s := l.desk.targets[name]
		l.dispatcher.Take(Entry{At: l.s.cal.at(l.s.now), Urgent: true, Batch: Batch{State: map[string][]byte{keySeat + name: s.checkpoint()}}})
	}
}

// braced tells that all that a process always keeps is on disk.
func (l *life) braced() bool {
	for name := range l.desk.targets {
		if l.late && l.s.store.state[keySeat+name] == nil {
			return false
		}
	}
	return true
}

// saw takes an event of the stream.
func (l *life) saw(e Event) {
	if e.Event == EventGap {
		l.s.gap(e.Target, *e.Gap)
	}
	if _, ok := e.Event.Transition(); ok && !e.Incident.Active() {
		l.ended[e.Incident.ID] = true
	}
	if l.s.verbose && e.Event != EventResult {
		text := ""
		if i := e.Incident; i != nil {
			text = fmt.Sprintf("%s %s, began %v to %v: %s %s %s", i.ID, i.State, l.s.ago(i.StartsAfter), l.s.ago(&i.StartsBefore), i.Verdict.Layer, i.Verdict.Cause, i.Verdict.Confidence)
			if i.EndsAfter != nil {
				text += fmt.Sprintf(", ended %v to %v", l.s.ago(i.EndsAfter), l.s.ago(i.EndsBefore))
			}
		}
		if e.Gap != nil {
			text = fmt.Sprintf("%v to %v: %s; %s", l.s.ago(&e.Gap.From), l.s.ago(&e.Gap.To), e.Gap.Reason, text)
		}
		l.s.say("event   %s %s: %s", e.Target, e.Event, text)
	}
}

// look begins a round of a target.
func (l *life) look(t *simTarget) {
	s := l.s
	l.looking[t.cfg.Name] = true
	r, v, end := t.look(s.now)
	if p, ok := s.pauseIn(stretch{s.now, end}); ok { // what was seen around a pause is no evidence
		t.at = s.now
		r.Lanes, r.Late = nil, nil
		t.hanging, t.beat = nil, simBeat{p.to + 300*time.Millisecond, -1, -1, -1, -1}
		r.Self.Gaps = []probe.Gap{{From: s.cal.at(p.from), To: s.cal.at(p.to), Reason: "paused"}}
		r, v, end = t.cannotLook(r, p.to-s.now+t.between(0, time.Second))
	}
	s.counts.Rounds++
	s.after(end-s.now, func() { l.judge(t, r, v) })
}

// judge takes a round that is over.
func (l *life) judge(t *simTarget, r *probe.Result, v probe.Verdict) {
	s := l.s
	l.looking[t.cfg.Name] = false
	if s.verbose {
		s.say("round   %s %s %s %s %s (%v)", t.cfg.Name, v.State, v.Layer, v.Cause, v.Confidence, r.Ended.Sub(r.Started))
	}
	if v.State == probe.Unknown {
		t.blindRounds = append(t.blindRounds, stretch{s.cal.since(r.Started), s.now})
	} else {
		t.lastLook = s.now
	}
	l.verdict = v
	_, again := l.desk.Observe(r)
	wait := t.every
	if again > 0 {
		wait = min(wait, again)
	}
	l.again(t, wait)
	s.crashAt(simObserved)
}

// resumed ends a time in which the process did not run.
func (l *life) resumed(p stretch) {
	s := l.s
	for _, t := range s.targets {
		if s.watched(t) && !l.looking[t.cfg.Name] {
			l.desk.Gap(t.cfg.Name, probe.Gap{From: s.cal.at(p.from), To: s.cal.at(p.to), Reason: "paused"})
			t.begin(s.now)
		}
	}
}

func (l *life) tick() {
	l.dispatcher.tick()
	l.s.after(5*time.Second, l.tick)
	l.s.bounded()
}

func (l *life) lazily() {
	if !l.committing && !l.resting {
		l.commit()
	}
	l.s.after(lazily, l.lazily)
}

// attend does what goroutines that were woken would do.
func (l *life) attend() {
	for _, w := range l.dispatcher.fresh() {
		l.workers = append(l.workers, &simWorker{worker: w, inbox: l.s.inboxes[w.cfg.Name]})
	}
	select {
	case <-l.dispatcher.keeper.wake:
		switch {
		case l.resting:
			l.dispatcher.keeper.release()
		case l.committing:
			l.dispatcher.keeper.signal() // it is looked at again when the commit is over
		default:
			l.commit()
		}
	default:
	}
	for _, w := range l.workers {
		l.serve(w)
	}
}

// commit begins to write what waits.
func (l *life) commit() {
	k := l.dispatcher.keeper
	l.taken, l.waiters = k.take()
	b := l.taken.batch()
	l.resting = false
	if b.empty() {
		k.settle(l.taken, l.waiters, nil)
		return
	}
	l.committing = true
	urgent := len(l.taken.deliveries) > 0
	l.s.after(time.Millisecond+time.Duration(l.s.rand.Int64N(int64(30*time.Millisecond))), func() {
		if urgent && l.s.crashAt(simInCommit) {
			return
		}
		l.committed(b)
		if urgent {
			l.s.crashAt(simCommitted)
		}
	})
}

func (l *life) committed(b *Batch) {
	l.committing = false
	var err error
	if l.s.disk.holds(l.s.now) {
		err = errors.New("no space left on device")
		l.s.counts.FailedCommits++
	} else {
		err = l.s.store.Commit(context.Background(), b)
	}
	if !l.dispatcher.keeper.settle(l.taken, l.waiters, err) {
		l.resting = true
		l.s.after(10*time.Second, l.commit)
	}
}

// serve sends the next message, if the worker is free.
func (l *life) serve(w *simWorker) {
	if w.sending != nil || w.leaving.Err() != nil {
		return
	}
	if w.synced != nil {
		select {
		case <-w.synced:
			w.synced = nil
		default:
			return
		}
	}
	x, wait, ok := l.dispatcher.next(w.cfg.Name)
	if !ok {
		if at := l.s.now + wait; wait > 0 && (w.wakeAt <= l.s.now || at < w.wakeAt) {
			w.wakeAt = at
			l.s.after(wait, func() {})
		}
		return
	}
	l.send(w, x)
}

func (l *life) send(w *simWorker, x Delivery) {
	s := l.s
	l.s.mayLeave(w.inbox, &x)
	took, arrives, err := w.inbox.attempt(s.now)
	m := &simSending{x: x, arrives: arrives, err: err}
	w.sending = m
	s.counts.Attempts++
	if err != nil && arrives {
		s.counts.Ambiguous++
	}
	if arrives {
		s.schedule(s.now+took/2, 0, func() {
			if !m.canceled {
				m.arrived = true
				s.arrive(w.inbox, x, l.no)
			}
		})
	}
	s.after(took/4, func() { s.crashAt(simSendingPoint) })
	s.after(took, func() { l.sent(w, m) })
}

// sent takes the answer, or that there is none.
func (l *life) sent(w *simWorker, m *simSending) {
	if l.s.verbose {
		l.s.say("sent    %s %s of %s (%d): %v", w.cfg.Name, m.x.Transition, m.x.Incident, m.x.Seq, m.err)
	}
	var permanent *PermanentError
	if m.err != nil && m.arrives && !errors.As(m.err, &permanent) {
		w.inbox.excuse(m.x.Seq)
	}
	w.sending = nil
	if l.dispatcher.settled(m.x, m.err) && !l.dispatcher.keeper.Broken() {
		w.synced = make(chan struct{})
		l.dispatcher.keeper.waiters = append(l.dispatcher.keeper.waiters, w.synced)
	}
	l.dispatcher.keeper.signal()
	l.s.crashAt(simSettled)
}

// newID makes the IDs of a world: unique, and the same each time.
func (s *sim) newID(target string) func(time.Time) string {
	return func(t time.Time) string {
		s.ids++
		return t.UTC().Format("150405") + "-" + target + "-" + strconv.Itoa(s.ids)
	}
}
