package notify

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

const (
	alertKey = "alert/"
	// maxAlerts bounds the alerts that are held; the oldest of more is no longer repeated.
	maxAlerts = 5000
)

// held is an alert as it is remembered.
type held struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"starts_at"`
	GeneratorURL string            `json:"generator_url,omitempty"`
	// EndsAt is the true end; zero while the alert fires.
	EndsAt time.Time `json:"ends_at,omitzero"`
	// Closed is when the end was told to this notifier.
	Closed time.Time `json:"closed,omitzero"`
	// Taken is when an instance first had it.
	Taken time.Time `json:"taken,omitzero"`
	// Brief alerts end when they end, however short they were: a suspicion that came to nothing need not be seen.
	Brief bool `json:"brief,omitempty"`
	// Until is set for an alert that ends by itself and is not repeated beyond: a drill, a suspicion.
	Until time.Time `json:"until,omitzero"`
}

// post is an alert of the API, version 2.
type post struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// over tells that the alert has ended and been shown for long enough; at is when that is, zero if nobody knows yet.
func (h *held) over(now time.Time, shown time.Duration) (over bool, at time.Time) {
	switch {
	case !h.Until.IsZero():
		return !now.Before(h.Until), h.Until
	case h.Closed.IsZero():
		return false, time.Time{}
	case h.Brief:
		return true, h.Closed
	case h.Taken.IsZero():
		return false, time.Time{}
	}
	at = h.Taken.Add(shown)
	if at.Before(h.Closed) {
		at = h.Closed
	}
	return !now.Before(at), at
}

func (h *held) post(now time.Time, shown time.Duration) post {
	p := post{h.Labels, h.Annotations, h.StartsAt, now.Add(amEnds), h.GeneratorURL}
	switch over, _ := h.over(now, shown); {
	case !h.Until.IsZero():
		p.EndsAt = h.Until
	case over:
		p.EndsAt = h.EndsAt
	}
	if p.EndsAt.Before(p.StartsAt) { // would be refused
		p.EndsAt = p.StartsAt
	}
	return p
}

// forget tells that the alert need not be repeated any more.
func (h *held) forget(now time.Time, shown time.Duration) bool {
	over, at := h.over(now, shown)
	switch {
	case !h.Until.IsZero():
		return over
	case h.Closed.IsZero():
		return false
	case at.IsZero(): // no instance ever had it
		at = h.Closed
	}
	return now.Sub(at) > amAfter
}

// amSet are the alerts by incident, as the memory has them.
type amSet struct {
	memory  alert.Memory
	loading sync.Once
	// saving orders what is written; mu is for held alone, so that a disk that hangs delays no repeat.
	saving sync.Mutex
	mu     sync.Mutex
	held   map[string]held
}

func newAMSet(memory alert.Memory) *amSet {
	return &amSet{memory: memory, held: map[string]held{}}
}

// load takes what an earlier process left, once. It waits for the first use: while receivers are being made the memory
// cannot be asked.
func (s *amSet) load() {
	s.loading.Do(func() {
		for key, text := range s.memory.All() {
			var h held
			if id, ok := strings.CutPrefix(key, alertKey); ok && json.Unmarshal([]byte(text), &h) == nil && len(h.Labels) > 0 {
				s.held[id] = h
			}
		}
	})
}

// change replaces what is held of an incident and returns when that is remembered.
func (s *amSet) change(ctx context.Context, id string, to func(old held) held) {
	s.load()
	changed := []string{id}
	s.mu.Lock()
	s.held[id] = to(s.held[id])
	if len(s.held) > maxAlerts {
		oldest := slices.Min(slices.Collect(maps.Keys(s.held))) // IDs begin with the time
		delete(s.held, oldest)
		changed = append(changed, oldest)
	}
	s.mu.Unlock()
	s.save(ctx, changed)
}

// taken notes that an instance has the alerts.
func (s *amSet) taken(ctx context.Context, now time.Time, ids ...string) {
	var changed []string
	s.mu.Lock()
	for _, id := range ids {
		if h, ok := s.held[id]; ok && h.Taken.IsZero() {
			h.Taken = now
			s.held[id] = h
			changed = append(changed, id)
		}
	}
	s.mu.Unlock()
	s.save(ctx, changed)
}

// save goes on when the caller has no time left: the alerts are held all the same.
func (s *amSet) save(ctx context.Context, ids []string) {
	s.saving.Lock()
	defer s.saving.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberTime)
	defer cancel()
	for _, id := range ids {
		s.mu.Lock()
		h, ok := s.held[id]
		s.mu.Unlock()
		if text, err := json.Marshal(h); ok && err == nil {
			s.memory.Set(ctx, alertKey+id, string(text))
		} else {
			s.memory.Delete(ctx, alertKey+id)
		}
	}
}

// posts are some of the alerts as they are now.
func (s *amSet) posts(now time.Time, shown time.Duration, ids ...string) []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []post{}
	for _, id := range ids {
		if h, ok := s.held[id]; ok {
			out = append(out, h.post(now, shown))
		}
	}
	return out
}

// due drops what need not be repeated any more, and returns the others in their order.
func (s *amSet) due(ctx context.Context, now time.Time, shown time.Duration) (ids []string) {
	s.load()
	var dropped []string
	s.mu.Lock()
	for id, h := range s.held {
		if h.forget(now, shown) {
			delete(s.held, id)
			dropped = append(dropped, id)
		} else {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	s.save(ctx, dropped)
	slices.Sort(ids)
	return ids
}

// soonest is when the first alert is due to end that was not at an instant, but not after latest. Of one that ends when
// that is told, all have heard by that.
func (s *amSet) soonest(was time.Time, shown time.Duration, latest time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if over, at := h.over(was, shown); !over && !at.IsZero() && !at.Equal(h.Closed) && at.Before(latest) {
			latest = at
		}
	}
	return latest
}
