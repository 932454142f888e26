package alert

import (
	"slices"
	"sync"

	"github.com/whichlayer/whichlayer/config"
)

// queue holds the notifications that wait for one receiver, in their order. It is bounded: when it is full, what is
// lost is the oldest message that opens or ends nothing, and only when there is none the oldest of all.
type queue struct {
	limit int
	mu    sync.Mutex
	items []Notification
	// ready has room for one sign that there is something.
	ready chan struct{}
}

func newQueue(limit int) *queue { return &queue{limit: limit, ready: make(chan struct{}, 1)} }

// push never blocks. It returns what was lost for it.
func (q *queue) push(n Notification) (lost []Notification) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, n)
	if len(q.items) > q.limit {
		i := max(0, slices.IndexFunc(q.items, minor))
		lost = append(lost, q.items[i])
		q.items = slices.Delete(q.items, i, i+1)
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return lost
}

// minor messages may be lost before those that open or end an incident.
func minor(n Notification) bool {
	return n.Transition == config.Suspect || n.Transition == config.Updated
}

func (q *queue) pop() (Notification, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return Notification{}, false
	}
	n := q.items[0]
	q.items = slices.Delete(q.items, 0, 1)
	return n, true
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}
