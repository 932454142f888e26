package probe

import (
	"sync"
	"time"
)

const (
	// burstSize is how many connects a burst makes, one after the other: few, so as not to fill the queue that is watched.
	burstSize  = 5
	burstPause = 20 * time.Millisecond
	burstAgain = 5 * time.Second
	// burstSYN is how long one of them may take: a SYN that was lost is sent again after a second.
	burstSYN = 1200 * time.Millisecond
)

// lookBurst connects several times to the front that was served after something had been sent again: once happens on any
// path. It takes connections, so that none stays in its queue. Each connect is a stage of the lane.
func (r *round) lookBurst(front *attempt) Lane {
	spec, to := lookSpec(front.spec, LookBurst), front.addr
	spec.connect, spec.ep.ProxyProtocol, spec.tls = true, "", nil
	lanes := make([]Lane, burstSize)
	var wg sync.WaitGroup
	for i := range lanes {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * burstPause)
			lanes[i] = r.look(spec, to, func(a *attempt) <-chan error {
				a.until = time.Now().Add(burstSYN)
				pending, _ := a.connect()
				return pending
			})
		})
	}
	wg.Wait()
	for _, l := range lanes[1:] {
		lanes[0].Stages = append(lanes[0].Stages, l.Stages...)
	}
	return lanes[0]
}

// resent tells that something had to be sent again on a lane's connection because nothing was heard.
func resent(l *Lane) bool {
	for i := range l.Stages {
		if l.Stages[i].TCPInfo.Timeouts() > 0 {
			return true
		}
	}
	return false
}
