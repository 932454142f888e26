package notify

import (
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// laneRow sums a lane up by the stage that ended it.
func laneRow(l probe.Lane) []string {
	name := string(l.Lane)
	if l.Of != "" {
		name += " " + string(l.Of)
	}
	if l.Hop != "" {
		name += " " + l.Hop
	}
	row := []string{clip(name, 40), clip(l.Address, 60), "", "", ""}
	if l.Lane == probe.LaneHeldOpen && l.HeldOpen != nil {
		row[3], row[4] = heldOpen(l.HeldOpen)
		return row
	}
	var total time.Duration
	for _, s := range l.Stages {
		total += s.Duration.Std()
		if s.Outcome == probe.OK {
			row[2], row[3] = string(s.Stage), string(s.Outcome)
			continue
		}
		row[2], row[3], row[4] = string(s.Stage), string(s.Outcome), round(s.Duration.Std())
		if l.Testified() {
			row[3] = "ok, it refuses" // a host that refuses is alive, which is all that a witness is asked
			return row
		}
		if s.Type != "" {
			row[3] = string(s.Type)
		}
		if s.Code != "" {
			row[3] += " " + string(s.Code)
		}
		if s.Outcome != probe.Slow {
			return row
		}
	}
	row[4] = round(total)
	return row
}

// untold tells that a lane needs no row: a held-open connection beside another lane that goes on adds nothing to that one,
// and what a further look told stands among the reasons.
func untold(l *probe.Lane) bool {
	return l.Look != "" || l.Of != "" && l.HeldOpen != nil && l.HeldOpen.Died.IsZero() && l.HeldOpen.Missed.IsZero()
}

func heldOpen(h *probe.HeldOpenFacts) (outcome, since string) {
	const clock = "15:04:05.000"
	switch {
	case !h.Died.IsZero():
		return "ended", "at " + h.Died.UTC().Format(clock)
	case !h.Missed.IsZero():
		return "silent", "asked at " + h.Pending.UTC().Format(clock)
	case h.Mute:
		return "kept alive", "last at " + h.LastGoodAnswered.UTC().Format(clock)
	}
	return "answers", "last at " + h.LastGoodAnswered.UTC().Format(clock)
}

// round shows a duration with three digits or so.
func round(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
