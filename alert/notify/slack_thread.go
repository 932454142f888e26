package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

const (
	// forgetThread is how long after its end an incident's message is still known: a relapse comes back to it.
	forgetThread = 7 * 24 * time.Hour
	// maxThreads bounds the incidents whose message is remembered.
	maxThreads = 1000
	// rememberTime bounds one write to the memory.
	rememberTime = 10 * time.Second
	threadKey    = "slack/"
)

// thread is where an incident's message stands.
type thread struct {
	Channel string `json:"channel"`
	TS      string `json:"ts"`
	// Told is the last step that was replied, so that a repeated notification says nothing twice.
	Told string `json:"told"`
	// Over is when the incident had ended; zero while it lasts.
	Over time.Time `json:"over,omitzero"`
}

// threads remembers where the messages of incidents stand, beyond the process if its memory does.
type threads struct{ memory alert.Memory }

func (t threads) get(incident string) (thread, bool) {
	text, ok := t.memory.Get(threadKey + incident)
	if !ok {
		return thread{}, false
	}
	var th thread
	if json.Unmarshal([]byte(text), &th) != nil || th.TS == "" {
		return thread{}, false // of another kind of receiver that had this name
	}
	return th, true
}

// keep remembers a thread after a step of its incident, even when the caller has no time left: a message that stands in
// the channel and is not remembered would be posted again.
func (t threads) keep(ctx context.Context, n alert.Notification, th thread) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberTime)
	defer cancel()
	th.Told, th.Over = step(n), time.Time{}
	if n.Transition == config.Resolved || n.Transition == config.Dismissed {
		th.Over = n.Event.Time.UTC()
	}
	text, err := json.Marshal(th)
	if err != nil {
		return // it has texts and a time only
	}
	t.memory.Set(ctx, threadKey+n.Event.Incident.ID, string(text))
	t.forget(ctx, n.Event.Time)
}

// forget drops what ended long ago, and of too many what ended first.
func (t threads) forget(ctx context.Context, now time.Time) {
	type entry struct {
		key  string
		over time.Time
	}
	var left []entry
	for key, text := range t.memory.All() {
		var th thread
		switch {
		case !strings.HasPrefix(key, threadKey):
		case json.Unmarshal([]byte(text), &th) != nil, !th.Over.IsZero() && now.Sub(th.Over) > forgetThread:
			t.memory.Delete(ctx, key)
		default:
			if th.Over.IsZero() {
				th.Over = now // goes last
			}
			left = append(left, entry{key, th.Over})
		}
	}
	if len(left) <= maxThreads {
		return
	}
	// Keys begin with the time at which the incident began, so of equals the oldest goes first.
	slices.SortFunc(left, func(a, b entry) int { return cmp.Or(a.over.Compare(b.over), strings.Compare(a.key, b.key)) })
	for _, e := range left[:len(left)-maxThreads] {
		t.memory.Delete(ctx, e.key)
	}
}

// step tells one transition of an incident from its others.
func step(n alert.Notification) string {
	return string(n.Transition) + n.Event.Time.UTC().Format(time.RFC3339Nano)
}
