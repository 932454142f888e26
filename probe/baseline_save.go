package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/DataDog/sketches-go/ddsketch/store"
)

// The form of a saved baseline, and its limits.
const (
	baselineMark   = "baseline"
	baselineFormat = 1
	maxBaseline    = 4 << 20 // bytes
	// maxBinIndex is beyond the bin of any duration, maxBinCount more than one sample a millisecond for ten years.
	maxBinIndex = 10_000
	maxBinCount = 1 << 40
)

// savedBaseline is a baseline as JSON.
type savedBaseline struct {
	Whichlayer string                               `json:"whichlayer"`
	Format     int                                  `json:"format"`
	Unfailed   int                                  `json:"unfailed"`
	Calm       int                                  `json:"calm"`
	Lanes      map[string]map[StageName]*savedUsual `json:"lanes"`
}

type savedUsual struct {
	Since        time.Time    `json:"since"`
	Now          savedSketch  `json:"now"`
	Before       *savedSketch `json:"before,omitempty"`
	Changed      *savedSketch `json:"changed,omitempty"`
	ChangedSince time.Time    `json:"changed_since,omitzero"`
	Quiet        int          `json:"quiet,omitempty"`
}

// savedSketch is how many samples each bin has, from the bin with the index From on.
type savedSketch struct {
	From   int     `json:"from"`
	Counts []int64 `json:"counts"`
}

// Baseline is what is known of how long the target's stages usually take, for RestoreBaseline. It may be called while a
// round runs.
func (t *Target) Baseline() ([]byte, error) {
	data, err := t.usual.save()
	if err != nil {
		return nil, fmt.Errorf("save the baseline of %q: %w", t.cfg.Name, err)
	}
	return data, nil
}

// RestoreBaseline goes on with what an earlier process has learnt of the target's lanes. After an error nothing is known
// and all is learnt anew.
func (t *Target) RestoreBaseline(data []byte) error {
	known := []string{t.plan.front.key()}
	for _, s := range t.plan.lanes {
		known = append(known, s.key())
	}
	if err := t.usual.restore(data, known); err != nil {
		return fmt.Errorf("restore the baseline of %q: %w", t.cfg.Name, err)
	}
	return nil
}

func (b *baseline) save() ([]byte, error) {
	b.mu.Lock()
	s := savedBaseline{Whichlayer: baselineMark, Format: baselineFormat, Unfailed: b.unfailed, Calm: b.calm,
		Lanes: make(map[string]map[StageName]*savedUsual, len(b.lanes))}
	for k, stages := range b.lanes {
		s.Lanes[k] = make(map[StageName]*savedUsual, len(stages))
		for n, u := range stages {
			s.Lanes[k][n] = &savedUsual{Since: u.since.UTC(), Now: saveSketch(u.now), Before: saveOther(u.before),
				Changed: saveOther(u.changed), ChangedSince: u.changedSince.UTC(), Quiet: u.quiet}
		}
	}
	b.mu.Unlock()
	return json.Marshal(s)
}

func saveSketch(s *store.CollapsingLowestDenseStore) (out savedSketch) {
	s.ForEach(func(index int, count float64) bool {
		if out.Counts == nil {
			out.From = index
		}
		for len(out.Counts) < index-out.From {
			out.Counts = append(out.Counts, 0)
		}
		out.Counts = append(out.Counts, int64(count))
		return false
	})
	return out
}

func saveOther(s *store.CollapsingLowestDenseStore) *savedSketch {
	if s == nil {
		return nil
	}
	out := saveSketch(s)
	return &out
}

// restore takes the lanes that are known. After an error the baseline is a new one.
func (b *baseline) restore(data []byte, known []string) error {
	fresh := newBaseline()
	err := fresh.parse(data, known)
	if err != nil {
		fresh = newBaseline()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes, b.unfailed, b.calm = fresh.lanes, fresh.unfailed, fresh.calm
	return err
}

func (b *baseline) parse(data []byte, known []string) error {
	if len(data) > maxBaseline {
		return fmt.Errorf("its %d bytes are more than %d", len(data), maxBaseline)
	}
	var s savedBaseline
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if s.Whichlayer != baselineMark || s.Format != baselineFormat {
		return fmt.Errorf("it is of %q, format %d, not one that this version can read", s.Whichlayer, s.Format)
	}
	if s.Unfailed < 0 || s.Calm < 0 {
		return errors.New("a count of rounds is negative")
	}
	b.unfailed, b.calm = s.Unfailed, s.Calm
	for k, stages := range s.Lanes {
		if !slices.Contains(known, k) {
			continue
		}
		b.lanes[k] = make(map[StageName]*usual, len(stages))
		for n, saved := range stages {
			u, err := saved.usual()
			if err != nil || !slices.Contains(StageNames, n) {
				return fmt.Errorf("lane %q, stage %q: %w", k, n, orUnknown(err))
			}
			u.read(b.mapping)
			b.lanes[k][n] = u
		}
	}
	return nil
}

// orUnknown is the error, or that the stage is unknown.
func orUnknown(err error) error {
	if err == nil {
		return errors.New("there is no such stage")
	}
	return err
}

func (s *savedUsual) usual() (u *usual, err error) {
	if s == nil {
		return nil, errors.New("it is null")
	}
	if s.Quiet < 0 {
		return nil, errors.New("a count of rounds is negative")
	}
	u = &usual{since: s.Since, changedSince: s.ChangedSince, quiet: s.Quiet}
	if u.now, err = s.Now.sketch(); err != nil {
		return nil, err
	}
	if s.Before != nil {
		if u.before, err = s.Before.sketch(); err != nil {
			return nil, err
		}
	}
	if s.Changed != nil {
		if u.changed, err = s.Changed.sketch(); err != nil {
			return nil, err
		}
	}
	return u, nil
}

func (s *savedSketch) sketch() (*store.CollapsingLowestDenseStore, error) {
	if len(s.Counts) > sketchBins || s.From < -maxBinIndex || s.From > maxBinIndex {
		return nil, fmt.Errorf("%d bins from %d are out of range", len(s.Counts), s.From)
	}
	out := newSketch()
	for i, n := range s.Counts {
		if n < 0 || n > maxBinCount {
			return nil, fmt.Errorf("%d samples in a bin are out of range", n)
		}
		out.AddWithCount(s.From+i, float64(n))
	}
	return out, nil
}
