package alert

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

const (
	// keySeat and a target's name hold where the target's detection stands.
	keySeat = "seat/"
	// checkpointEvery is how often that is kept while nothing happens.
	checkpointEvery = time.Minute
	// spanLimit is how long one span of the history may be.
	spanLimit = 10 * time.Minute
)

// seat is one target's place at the desk. Its lock keeps the target's events in their order.
type seat struct {
	mu      sync.Mutex
	cfg     config.Target
	tracker *Tracker
	certs   *CertificateWatch
	span    Span
	// ended is when the last round ended, kept when the state was last written.
	ended, kept time.Time
	// closed tells that the desk has another seat, or none, for the target.
	closed bool
	// path is a digest of what of the configuration says how the service is reached. Secrets are not in it.
	path string
	// save is (*seat).checkpoint.
	save func(*seat) []byte
}

func newSeat(t config.Target) *seat {
	id := NewID(t.Name, rand.Reader)
	return &seat{cfg: t, tracker: NewTracker(t.Name, t.Detect, id), certs: NewCertificateWatch(t.Name, id), path: pathOf(&t), save: (*seat).checkpoint}
}

// Entry is what a target's round brought, to be told and kept together.
type Entry struct {
	// At is when it happened.
	At time.Time
	// Events are steps of incidents, in their order.
	Events []Event
	// Batch is what is kept with them.
	Batch Batch
	// Urgent tells that it should be kept at once.
	Urgent bool
}

// observe takes a round and its verdict.
func (s *seat) observe(r *probe.Result, v probe.Verdict) (Entry, []Event, time.Duration) {
	step := s.tracker.Observe(r, v)
	events := append(step.Events, s.certs.Observe(r, v)...)
	s.ended = later(s.ended, r.Ended)
	e := s.entry(r.Ended, events)
	e.Batch.Rounds = []probe.RecordedRound{{Result: *r, Verdict: v}}
	e.Batch.History = []Span{s.extend(r, v)}
	return e, events, step.Next
}

// entry keeps the steps of incidents and, when something goes on or it is time, where the detection stands.
func (s *seat) entry(at time.Time, events []Event) Entry {
	e := Entry{At: at}
	for _, x := range events {
		if _, ok := x.Event.Transition(); ok && x.Incident != nil {
			e.Events = append(e.Events, x)
			e.Batch.Incidents = append(e.Batch.Incidents, s.tracker.kept(x))
		}
	}
	e.Batch.Events, e.Urgent = events, len(events) > 0 || s.tracker.Busy()
	if len(events) > 0 || s.tracker.Busy() || at.Sub(s.kept) >= checkpointEvery {
		s.kept = at
		e.Batch.State = map[string][]byte{keySeat + s.cfg.Name: s.save(s)}
		if i := s.tracker.Incident(); i != nil && len(e.Events) == 0 {
			e.Batch.Incidents = append(e.Batch.Incidents, i)
		}
	}
	return e
}

// extend takes a round into the history in short.
func (s *seat) extend(r *probe.Result, v probe.Verdict) Span {
	if s.span.Rounds == 0 || s.span.State != v.State || s.span.Layer != v.Layer || s.span.Cause != v.Cause || r.Ended.Sub(s.span.From) > spanLimit {
		s.span = Span{Target: r.Target, From: r.Started.UTC(), State: v.State, Layer: v.Layer, Cause: v.Cause}
	}
	s.span.To = r.Ended.UTC()
	s.span.Rounds++
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Lane == probe.LaneFront && !l.Extra && l.Look == "" && len(l.Stages) > 0 {
			took := 0.0
			for j := range l.Stages {
				took += l.Stages[j].Duration.Std().Seconds()
			}
			s.span.FrontSum += took
			s.span.FrontMax = max(s.span.FrontMax, took)
			break
		}
	}
	return s.span
}

// savedSeat is where a target's detection stands, as it is kept.
type savedSeat struct {
	// Path tells one way to the service from another: an incident of another way is not this one's.
	Path    string          `json:"path"`
	Ended   time.Time       `json:"ended"`
	Tracker json.RawMessage `json:"tracker"`
	Certs   json.RawMessage `json:"certificates"`
}

// state is the checkpoint under its key. Should one ever fail, what was kept before stays.
func (s *seat) state() map[string][]byte {
	data := s.checkpoint()
	if data == nil {
		return nil
	}
	return map[string][]byte{keySeat + s.cfg.Name: data}
}

// checkpoint is nil if it fails.
func (s *seat) checkpoint() []byte {
	tracker, err1 := s.tracker.Checkpoint()
	certs, err2 := s.certs.Checkpoint()
	if err1 != nil || err2 != nil {
		return nil
	}
	data, err := json.Marshal(savedSeat{s.path, s.ended.UTC(), tracker, certs})
	if err != nil {
		return nil
	}
	return data
}

func pathOf(t *config.Target) string {
	data, _ := json.Marshal([]any{t.Front, t.Via, t.Backends})
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// restore goes on where an earlier process ended, and returns until when it had looked.
func (s *seat) restore(ctx context.Context, data []byte, store Store, now time.Time) (until time.Time, err error) {
	var saved savedSeat
	if err := json.Unmarshal(data, &saved); err != nil {
		return time.Time{}, fmt.Errorf("what was kept of %q cannot be read: %w", s.cfg.Name, err)
	}
	if saved.Path != s.path {
		return time.Time{}, fmt.Errorf("what was kept of %q is for another way to it", s.cfg.Name)
	}
	if err := s.tracker.Restore(saved.Tracker, nil); err != nil {
		return time.Time{}, err
	}
	if err := s.certs.Restore(saved.Certs); err != nil {
		return time.Time{}, err
	}
	s.ended, s.kept = saved.Ended, saved.Ended
	if i := s.tracker.s.Incident; i != nil {
		if err := s.recall(ctx, saved.Tracker, store, i.StartsBefore, now); err != nil {
			return time.Time{}, err
		}
	}
	if saved.Ended.After(now) {
		s.tracker.clockSetBack(now)
		s.ended, s.kept = now, time.Time{}
		return now, nil
	}
	err = s.repeat(ctx, store, saved.Ended, now)
	return s.ended, err
}

// repeat goes through the rounds that were kept after the last checkpoint. Nothing happened in them, or there would be a
// later one, but they say when all was well.
func (s *seat) repeat(ctx context.Context, store Store, since, now time.Time) error {
	rounds, err := store.Rounds(ctx, s.cfg.Name, since, now, historyLimit)
	if err != nil {
		return fmt.Errorf("the last rounds of %q cannot be read: %w", s.cfg.Name, err)
	}
	for i := range rounds {
		s.tracker.Observe(&rounds[i].Result, rounds[i].Verdict)
		s.certs.Observe(&rounds[i].Result, rounds[i].Verdict)
		s.ended = later(s.ended, rounds[i].Result.Ended)
	}
	return nil
}

// recall gives the tracker the rounds of the incident that goes on.
func (s *seat) recall(ctx context.Context, tracker []byte, store Store, began, now time.Time) error {
	rounds, err := store.Rounds(ctx, s.cfg.Name, began.Add(-time.Minute), now, historyLimit)
	if err != nil {
		return fmt.Errorf("the last rounds of %q cannot be read: %w", s.cfg.Name, err)
	}
	var past []*probe.Result
	for i := range rounds {
		if !rounds[i].Result.Ended.Before(began) {
			past = append(past, &rounds[i].Result)
		}
	}
	return s.tracker.Restore(tracker, past)
}

// Busy tells that something goes on, be it that nobody has heard of it yet.
func (t *Tracker) Busy() bool { return t.s.Incident != nil }
