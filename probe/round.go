package probe

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// stagger is the distance between the starts of lanes to one host, the main lane first: routers answer only so many
// SYNs a second with the ICMP error that decides.
const stagger = 2 * time.Millisecond

// round is one look through all lanes.
type round struct {
	t      *Target
	ctx    context.Context
	number uint64

	looking looking

	wg    sync.WaitGroup
	mu    sync.Mutex
	lanes []Lane
	order []int
}

// run starts every lane at once and returns when the last one has ended.
func (r *round) run() {
	started := map[string]int{}
	delay := func(s *laneSpec) time.Duration {
		host := s.name
		if len(s.addrs) > 0 {
			host = s.addrs[0].String()
		}
		started[host]++
		return time.Duration(started[host]-1) * stagger
	}
	p := r.t.plan
	delay(p.front)
	r.start(0, 0, func() Lane { return r.front() })
	for i, s := range p.lanes {
		wait := delay(s)
		r.start(i+1, wait, func() Lane { return *r.attempt(s) })
	}
	r.wg.Wait()
	r.sort()
}

// start runs one lane after a short delay; order is its place in the result.
func (r *round) start(order int, wait time.Duration, look func() Lane) {
	r.wg.Go(func() {
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-r.ctx.Done():
			}
		}
		r.add(order, look())
	})
}

func (r *round) add(order int, lanes ...Lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range lanes {
		r.lanes = append(r.lanes, l)
		r.order = append(r.order, order)
	}
}

// sort puts the lanes in the order of the plan.
func (r *round) sort() {
	idx := make([]int, len(r.lanes))
	for i := range idx {
		idx[i] = i
	}
	slices.SortStableFunc(idx, func(a, b int) int { return r.order[a] - r.order[b] })
	out := make([]Lane, len(idx))
	for i, j := range idx {
		out[i] = r.lanes[j]
	}
	r.lanes = out
}

// Places of the further looks in a result, behind all lanes of the plan.
const (
	orderExtra   = 1 << 20
	orderLook    = 1 << 21
	orderVantage = 1 << 22
)

// front is the front lane; when it stalls or fails, the further looks that tell more are made at once, beside the lanes
// that still run.
func (r *round) front() Lane {
	a := r.newAttempt(r.t.plan.front)
	a.onStall = func(at StageName) {
		r.lookAtOthers(a, at)
		r.lookAround(a, at)
	}
	a.stallAfter = func(at StageName, timeout time.Duration) time.Duration {
		return r.t.patient.stallAfter(a.spec, at, timeout)
	}
	r.walk(a)
	failed := failedStage(a.lane)
	if failed == nil {
		if resent(a.lane) && r.t.looks.burstDue(time.Now()) {
			r.start(orderLook, 0, func() Lane { return r.lookBurst(a) })
		}
		return *a.lane
	}
	r.lookAtOthers(a, failed.Stage)
	r.lookAround(a, failed.Stage)
	return *a.lane
}

// lookAtOthers begins the further lanes that become worth while when the front stalls or fails at a stage. They end soon
// after that stage's time, so that the verdict does not wait for two timeouts in a row.
func (r *round) lookAtOthers(front *attempt, at StageName) {
	others := r.others(front.lane)
	if r.looking.others || len(others) == 0 {
		return
	}
	r.looking.others = true
	until := front.began.Add(stageTimeout(front.spec.timeouts, at) + lookTime)
	for i, s := range others {
		r.start(orderExtra+i, time.Duration(i)*stagger, func() Lane {
			a := r.newAttempt(s)
			a.until, a.lane.Extra = until, true
			r.walk(a)
			return *a.lane
		})
	}
}

// others are the lanes that become worth while when the front does not serve: what stands behind the name when the name is the
// trouble, and the name's other addresses when one of them is.
func (r *round) others(l *Lane) []*laneSpec {
	front := r.t.plan.front
	if len(l.Stages) > 0 && l.Stages[0].Stage == StageResolve && l.Stages[0].Outcome == Failed {
		return r.t.plan.standIn
	}
	var out []*laneSpec
	addrs := front.addrs
	if len(addrs) == 0 {
		for _, s := range l.Addresses {
			if a, err := netip.ParseAddr(s); err == nil {
				addrs = append(addrs, a)
			}
		}
	}
	for _, a := range addrs {
		if len(out) == maxExtraAddresses || joinHostPort(a, front.port) == l.Address || !hasRoute(a) {
			continue
		}
		s := *front
		s.name, s.addrs, s.expected = "", []netip.Addr{a}, nil
		out = append(out, &s)
	}
	return out
}

// otherAddresses is how many of them there are at most.
func (r *round) otherAddresses(l *Lane) int {
	return min(maxExtraAddresses, max(len(l.Addresses), len(r.t.plan.front.addrs), 1)-1)
}

// frontFine tells that the front lane of a round that has ended went well.
func (r *round) frontFine() bool { return len(r.lanes) > 0 && r.lanes[0].fine() }

// attempt walks one lane.
func (r *round) attempt(s *laneSpec) *Lane {
	a := r.newAttempt(s)
	r.walk(a)
	return a.lane
}

// newAttempt prepares a walk with the patience that is due.
func (r *round) newAttempt(s *laneSpec) *attempt {
	spec := *s
	spec.timeouts = r.t.patient.timeouts(s)
	a := &attempt{spec: &spec, env: r.t.env, lane: s.newLane(), pick: r.number, roundDone: r.ctx.Done()}
	a.life, a.end = context.WithCancel(context.Background())
	return a
}

// walk walks one lane. What still hangs at its end is left open or closed.
func (r *round) walk(a *attempt) {
	defer func() {
		if p := recover(); p != nil {
			a.end()
			a.close()
			a.lane.Stages = append(a.lane.Stages, Stage{Stage: StageResolve, Outcome: NoData, Type: SelfFailed, Code: SelfFailed.Code(), Error: fmt.Sprint(p)})
		}
	}()
	pending := a.walk()
	switch {
	case pending == nil:
		a.end()
	case a.spec.connect || r.ctx.Err() != nil || !r.t.left.keep(a, r.number, pending, a.end):
		a.end()
		a.close()
		<-pending
	default:
		a.lane.Hanging = true
	}
}
