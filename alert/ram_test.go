package alert

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// ram is a store that remembers what was committed, and fails when told to.
type ram struct {
	mu         sync.Mutex
	state      map[string][]byte
	deliveries map[int64]Delivery
	events     []Event
	incidents  map[string]*Incident
	rounds     []probe.RecordedRound
	history    map[spanKey]Span
	commits    int
	// fail is asked before each commit; hang, if not nil, is waited for.
	fail func() error
	hang chan struct{}
}

var _ Store = (*ram)(nil)

func newRAM() *ram {
	return &ram{state: map[string][]byte{}, deliveries: map[int64]Delivery{}, incidents: map[string]*Incident{}, history: map[spanKey]Span{}}
}

func (s *ram) Commit(_ context.Context, b *Batch) error {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	s.commits++
	for k, v := range b.State {
		if v == nil {
			delete(s.state, k)
			continue
		}
		s.state[k] = slices.Clone(v)
	}
	for _, d := range b.Deliveries {
		s.deliveries[d.Seq] = d
	}
	for _, i := range b.Incidents {
		s.incidents[i.ID] = i
	}
	for _, x := range b.History {
		s.history[spanKey{x.Target, x.From.UnixNano()}] = x
	}
	s.events, s.rounds = append(s.events, b.Events...), append(s.rounds, b.Rounds...)
	return nil
}

func (s *ram) Load(context.Context) (*Saved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &Saved{State: maps.Clone(s.state)}
	for _, seq := range slices.Sorted(maps.Keys(s.deliveries)) {
		out.Seq = seq
		if d := s.deliveries[seq]; d.State == Waiting {
			out.Deliveries = append(out.Deliveries, d)
		}
	}
	return out, nil
}

func (s *ram) Rounds(_ context.Context, target string, from, to time.Time, limit int) (out []probe.RecordedRound, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rounds {
		if r.Result.Target == target && !r.Result.Started.Before(from) && !r.Result.Started.After(to) {
			out = append(out, r)
		}
	}
	return latest(out, limit), nil
}

// saved is what a process that begins would find.
func (s *ram) saved() *Saved {
	out, _ := s.Load(context.Background())
	return out
}
