package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/whichlayer/whichlayer/probe"
)

// A checkpoint is a tracker's or a watch's state as JSON, so that an incident goes on after a restart with its ID, its
// start and its evidence.
//
// What the next process takes from it, and what it cannot take: instants are kept as wall-clock times in UTC, without the
// monotonic clock that compares them within one process. Bounds that were known stay as they were. The attempts that were
// left open and the held-open connections ended with the old process. So no late answer dates the end of a freeze that ends
// in the gap, and a new held-open connection says nothing about a start before it was there: it knows no good request from
// before the first failure, which [start.heldFront] asks for. The end then lies between the last failure that the old
// process saw and the first good evidence that the new one has. The caller tells the time between by [Tracker.Gap].
const (
	checkpointFormat = 1
	// maxCheckpoint bounds what is read, in bytes. An incident with all its lists full takes some 100 kB.
	maxCheckpoint = 1 << 20
	trackerMark   = "tracker"
	watchMark     = "certificates"
)

// errForeign is the cause when bytes are no checkpoint of the wanted kind, format and target.
var errForeign = errors.New("not a checkpoint that this version can read")

// checkpoint is the envelope of a state.
type checkpoint[T any] struct {
	Whichlayer string `json:"whichlayer"`
	Format     int    `json:"format"`
	Target     string `json:"target"`
	State      *T     `json:"state"`
}

// Checkpoint is everything that the tracker remembers but its History, for Restore.
func (t *Tracker) Checkpoint() ([]byte, error) {
	return saveState(trackerMark, t.target, &t.s)
}

// Restore goes on where a checkpoint was made. history are the target's last rounds, oldest first; those from before
// the incident are left out. After an error the tracker is as it was.
func (t *Tracker) Restore(data []byte, history []*probe.Result) error {
	var s trackerState
	if err := loadState(trackerMark, t.target, data, &s); err != nil {
		return err
	}
	if err := s.check(t.target); err != nil {
		return fmt.Errorf("restore the tracker of %q: %w", t.target, err)
	}
	if s.Incident != nil {
		for _, r := range history {
			if r != nil && !r.Started.Before(s.Began) {
				s.History = keepEnds(s.History, r, historyFirst, historyLimit)
			}
		}
	}
	t.s = s
	return nil
}

// Checkpoint is everything that the watch remembers, for Restore.
func (w *CertificateWatch) Checkpoint() ([]byte, error) {
	return saveState(watchMark, w.target, &w.s)
}

// Restore goes on where a checkpoint was made. After an error the watch is as it was.
func (w *CertificateWatch) Restore(data []byte) error {
	var s certificateState
	if err := loadState(watchMark, w.target, data, &s); err != nil {
		return err
	}
	if err := s.check(w.target); err != nil {
		return fmt.Errorf("restore the certificates of %q: %w", w.target, err)
	}
	w.s = s
	return nil
}

func saveState[T any](mark, target string, s *T) ([]byte, error) {
	data, err := json.Marshal(checkpoint[T]{mark, checkpointFormat, target, s})
	if err != nil {
		return nil, fmt.Errorf("checkpoint of %s of %q: %w", mark, target, err)
	}
	return data, nil
}

func loadState[T any](mark, target string, data []byte, s *T) error {
	if len(data) > maxCheckpoint {
		return fmt.Errorf("checkpoint of %s of %q: %d bytes are more than %d", mark, target, len(data), maxCheckpoint)
	}
	c := checkpoint[T]{State: s}
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("checkpoint of %s of %q: %w", mark, target, err)
	}
	switch {
	case c.Whichlayer != mark || c.Format != checkpointFormat || c.State == nil:
		return fmt.Errorf("%w: it is of %q, format %d", errForeign, c.Whichlayer, c.Format)
	case c.Target != target:
		return fmt.Errorf("%w: it is of the target %q, not of %q", errForeign, c.Target, target)
	}
	return nil
}

// check refuses a state that no tracker can have.
func (s *trackerState) check(target string) error {
	if min(s.GoodRun, s.OtherRounds, s.End.GoodRounds) < 0 {
		return errors.New("a count is negative")
	}
	if err := s.Detector.check(); err != nil {
		return err
	}
	if len(s.Members) > maxMembers {
		return fmt.Errorf("%d addresses that fail, of at most %d", len(s.Members), maxMembers)
	}
	for a, m := range s.Members {
		if err := m.Detector.check(); err != nil || min(m.Good, m.Unseen) < 0 {
			return fmt.Errorf("the count of %q is out of range: %w", a, err)
		}
	}
	if err := s.Pattern.check(); err != nil {
		return err
	}
	if s.Mild != notMild && s.Mild != byMember && s.Mild != byPattern {
		return fmt.Errorf("the word %q is unknown", s.Mild)
	}
	return s.checkIncidents(target)
}

func (s *trackerState) checkIncidents(target string) error {
	if i := s.Incident; i != nil {
		if err := i.check(target, watching, Suspected, Open, Recovering); err != nil {
			return err
		}
	}
	if i := s.Last; i != nil {
		if err := i.check(target, Resolved); err != nil {
			return err
		}
		if i.ResolvedAt == nil {
			return fmt.Errorf("incident %q was resolved at no time", i.ID)
		}
	}
	return nil
}

func (d *Detector) check() error {
	if d.Score < 0 || d.Score > scoreCap || d.Failures < 0 || d.Consecutive < 0 {
		return fmt.Errorf("a detector's sum %v of %d failures is out of range", d.Score, d.Failures)
	}
	return nil
}

func (p *pattern) check() error {
	last := 0
	for _, b := range p.Bursts {
		if b.First <= last || b.Last < b.First || b.Last > p.Rounds || b.Last <= p.Rounds-patternRounds {
			return fmt.Errorf("failures from round %d to %d of %d are out of order", b.First, b.Last, p.Rounds)
		}
		last = b.Last
	}
	if p.Rounds < 0 || p.Rounds > 1<<53 {
		return fmt.Errorf("%d rounds are out of range", p.Rounds)
	}
	return nil
}

// check refuses an incident that is not one of the target in one of the states, or that is larger than one can be.
func (i *Incident) check(target string, states ...State) error {
	switch {
	case i.ID == "" || i.Target != target || !slices.Contains(states, i.State):
		return fmt.Errorf("incident %q of %q cannot be %q", i.ID, i.Target, i.State)
	case len(i.Timeline) > maxTimeline || len(i.Gaps) > maxGaps || len(i.Spells) > maxSpells || len(i.Fingerprints) > maxFingerprints:
		return fmt.Errorf("incident %q is too large", i.ID)
	case i.Rounds < 0 || i.FailedRounds < 0 || i.Reopened < 0 || (i.EndsAfter == nil) != (i.EndsBefore == nil):
		return fmt.Errorf("incident %q contradicts itself", i.ID)
	}
	return nil
}

func (s *certificateState) check(target string) error {
	if len(s.Seen) > maxCertificates {
		return fmt.Errorf("%d certificates, of at most %d", len(s.Seen), maxCertificates)
	}
	for _, c := range s.Seen {
		if min(c.Looks, c.Others, c.Unseen) < 0 || c.MinDays < 0 || c.MinDays > maxDays {
			return fmt.Errorf("the counts of the certificate at %q are out of range", c.Address)
		}
	}
	if s.Incident == nil {
		return nil
	}
	return s.Incident.check(target, Open)
}

// maxDays is more than any certificate is valid.
const maxDays = 100_000

// MarshalText implements encoding.TextMarshaler, so that a lane can be a key in JSON.
func (k laneKey) MarshalText() ([]byte, error) {
	return []byte(url.PathEscape(string(k.Kind)) + "/" + url.PathEscape(k.Hop) + "/" + url.PathEscape(k.Address)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *laneKey) UnmarshalText(b []byte) error {
	parts := strings.Split(string(b), "/")
	if len(parts) != 3 {
		return fmt.Errorf("%.40q is not a lane", b)
	}
	for i, p := range parts {
		text, err := url.PathUnescape(p)
		if err != nil {
			return fmt.Errorf("%.40q is not a lane: %w", b, err)
		}
		parts[i] = text
	}
	*k = laneKey{probe.LaneKind(parts[0]), parts[1], parts[2]}
	return nil
}
