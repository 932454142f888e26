package probe

import (
	"context"
	"sync"
	"time"
)

const (
	// maxHanging is how many attempts of a lane stay open at a time. Not more: each takes a place in the accept queue
	// of a frozen process.
	maxHanging = 2
	// maxHangingAge ends an attempt that nothing has ended.
	maxHangingAge = 15 * time.Minute
)

// leftOpen watches attempts that timed out: a timeout ends the verdict, not the socket. The instant at which a hanging
// handshake completes dates the end of a freeze to milliseconds.
type leftOpen struct {
	answered func(LateAnswer) // called after an attempt was answered

	mu    sync.Mutex
	on    bool
	stop  chan struct{}
	count map[string]int
	late  []LateAnswer
	wg    sync.WaitGroup
}

func newLeftOpen(answered func(LateAnswer)) *leftOpen {
	return &leftOpen{answered: answered, count: map[string]int{}}
}

// open begins to accept attempts.
func (w *leftOpen) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on, w.stop = true, make(chan struct{})
}

// close ends every attempt and waits for their goroutines.
func (w *leftOpen) close() {
	w.mu.Lock()
	if w.on {
		w.on = false
		close(w.stop)
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// keep takes over an attempt whose last stage is pending, if there is room; end cancels its context.
func (w *leftOpen) keep(a *attempt, number uint64, pending <-chan error, end context.CancelFunc) bool {
	key := a.spec.key()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on || w.count[key] >= maxHanging {
		return false
	}
	w.count[key]++
	last := failedStage(a.lane)
	l := LateAnswer{Lane: a.spec.kind, Hop: a.spec.hop, Round: number, Stage: last.Stage, Local: a.lane.Local, Started: last.Started}
	w.wg.Go(func() { w.watch(a, key, l, pending, end) })
	return true
}

// failedStage is the first stage of a lane that did not go well; nil when all did.
func failedStage(l *Lane) *Stage {
	for i := range l.Stages {
		if s := &l.Stages[i]; s.Outcome == Failed || s.Outcome == NoData {
			return s
		}
	}
	return nil
}

// watch waits until the attempt ends by itself or is ended.
func (w *leftOpen) watch(a *attempt, key string, l LateAnswer, pending <-chan error, end context.CancelFunc) {
	age := time.NewTimer(maxHangingAge)
	defer age.Stop()
	var err error
	told := false
	select {
	case err = <-pending:
		l.Ended, told = time.Now().UTC(), true
	case <-age.C:
	case <-w.stop:
	}
	end()
	a.close()
	if !told {
		<-pending
	}
	w.mu.Lock()
	w.count[key]--
	if told {
		l.OK = err == nil
		if err != nil {
			l.Error = clip(err.Error(), 200)
		}
		w.late = keep(append(w.late, l), keptGaps)
	}
	w.mu.Unlock()
	if told && l.OK {
		w.answered(l)
	}
}

// takeLate returns the attempts that have ended since the last call.
func (w *leftOpen) takeLate() []LateAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()
	late := w.late
	w.late = nil
	return late
}
