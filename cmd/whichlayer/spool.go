package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// spoolBatch bounds what is written at once.
const spoolBatch = 1000

// spool is a bounded queue between those who must not wait, the rounds, and the one goroutine that writes to a disk. What
// finds it full is dropped and counted, and somebody cries, but not for each line.
type spool[T any] struct {
	queue            chan T
	written, dropped prometheus.Counter
	// cry tells how many were lost since it was called last, and why the latest one was.
	cry      func(lost int, why error)
	cryEvery time.Duration

	mu       sync.Mutex
	lastCry  time.Time
	lostThen int
}

// newSpool makes a queue for so many and registers its counters.
func newSpool[T any](room int, cryEvery time.Duration, cry func(lost int, why error), written, dropped prometheus.CounterOpts,
	reg prometheus.Registerer,
) *spool[T] {
	s := &spool[T]{
		queue: make(chan T, room), cry: cry, cryEvery: cryEvery,
		written: prometheus.NewCounter(written), dropped: prometheus.NewCounter(dropped),
	}
	reg.MustRegister(s.written, s.dropped)
	return s
}

// put never blocks.
func (s *spool[T]) put(x T) {
	select {
	case s.queue <- x:
	default:
		s.drop(1, fmt.Errorf("%d lines wait already", cap(s.queue)))
	}
}

// drop counts what was lost.
func (s *spool[T]) drop(lines int, why error) {
	s.dropped.Add(float64(lines))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lostThen += lines
	if time.Since(s.lastCry) < s.cryEvery {
		return
	}
	s.cry(s.lostThen, why)
	s.lastCry, s.lostThen = time.Now(), 0
}

// settle tells at the end what was lost and not told yet.
func (s *spool[T]) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lostThen > 0 {
		s.cry(s.lostThen, errors.New("more of what was told before"))
		s.lostThen = 0
	}
}

// batch is the first and those that wait behind it.
func (s *spool[T]) batch(first T) []T {
	all := []T{first}
	for len(all) < spoolBatch && len(s.queue) > 0 {
		all = append(all, <-s.queue)
	}
	return all
}
