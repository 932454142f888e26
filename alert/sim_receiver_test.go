package alert

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// simMood is how a receiver behaves for a while.
type simMood int

const (
	simWell        simMood = iota
	simRefuses             // an error at once
	simAsksToWait          // an error with Retry-After
	simLosesAnswer         // takes the message; its answer is lost
	simHangs               // takes long and fails; whether it took the message, only it knows
	simForGood             // 4xx
	simMoods
)

// simInbox is a receiver, and everything that arrived at it over all lives of the prober.
type simInbox struct {
	cfg   config.Receiver
	rand  *rand.Rand
	moods []simSpell
	got   []simArrival
	// last is the last arrival of each Seq; again tells that a later one would be no surprise, because the prober cannot
	// know of it.
	last  map[int64]int
	again map[int64]bool
	// There are the times in which it is configured.
	there []stretch
	// Crashes and ambiguous attempts, which may cause duplicates.
	excuses, duplicates int
}

type simSpell struct {
	stretch
	mood simMood
}

// simArrival is a message that arrived.
type simArrival struct {
	at time.Duration
	x  Delivery
	// orphan tells that the process that had sent it was dead by then: nobody can keep it from overtaking.
	orphan bool
}

func (r *simInbox) moodAt(at time.Duration) simMood {
	for _, m := range r.moods {
		if m.holds(at) {
			return m.mood
		}
	}
	return simWell
}

// attempt is what becomes of a message that is sent at an instant: when it is over, whether it arrives, and what the prober
// hears.
func (r *simInbox) attempt(at time.Duration) (took time.Duration, arrives bool, err error) {
	short := time.Millisecond + time.Duration(r.rand.Int64N(int64(200*time.Millisecond)))
	switch r.moodAt(at) {
	case simRefuses:
		return short, false, errors.New("503 Service Unavailable")
	case simAsksToWait:
		return short, false, &RetryAfterError{time.Duration(5+r.rand.IntN(60)) * time.Second, errors.New("429 Too Many Requests")}
	case simLosesAnswer:
		return short, true, errors.New("connection reset by peer")
	case simHangs:
		return 10 * time.Second, r.rand.IntN(2) == 0, errors.New("i/o timeout")
	case simForGood:
		return short, false, &PermanentError{errors.New("400 Bad Request")}
	}
	return short, true, nil
}

// arrive takes a message, of a process that may be dead by now.
func (r *simInbox) arrive(at time.Duration, x Delivery, orphan bool) (surprise bool) {
	if _, known := r.last[x.Seq]; known {
		r.duplicates++
		surprise = !r.again[x.Seq] && !orphan
	}
	r.last[x.Seq] = len(r.got)
	r.again[x.Seq] = orphan
	r.got = append(r.got, simArrival{at, x, orphan})
	return surprise
}

// excuse notes that the prober does not know whether a message arrived.
func (r *simInbox) excuse(seq int64) {
	r.excuses++
	r.again[seq] = true
}

// isThere tells that the receiver is configured during all of a time.
func (r *simInbox) isThere(s stretch) bool {
	for _, x := range r.there {
		if x.from <= s.from && s.to <= x.to {
			return true
		}
	}
	return false
}
