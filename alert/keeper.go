package alert

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/whichlayer/whichlayer/probe"
)

const (
	// lazily is how long what nobody waits for may be kept in memory alone.
	lazily = 10 * time.Second
	// slowCommit is how long a commit may take before messages go out without it.
	slowCommit = 5 * time.Second
	// Bounds of what waits to be written while nothing can be.
	maxKeptRounds  = 20_000
	maxKeptEvents  = 10_000
	maxKeptSettled = 10_000
)

// Keeper makes what happened durable. Whatever is put in is committed together with all that was put in meanwhile; what
// cannot be written now waits in memory and is tried again, and until then everything goes on without it.
type Keeper struct {
	store Store
	log   *slog.Logger
	// committed hears up to which delivery all would survive a crash, or, with degraded, that they will not.
	committed func(seq int64, degraded bool)
	// trouble hears that nothing can be written, and why; nil when it can again.
	trouble func(error)

	mu      sync.Mutex
	pending pending
	waiters []chan struct{}
	broken  bool
	// wake has room for one sign that something waits that should not.
	wake chan struct{}
}

// NewKeeper prepares a keeper; see Run. The functions must not block.
func NewKeeper(s Store, log *slog.Logger, committed func(seq int64, degraded bool), trouble func(error)) *Keeper {
	return &Keeper{store: s, log: log, committed: committed, trouble: trouble, wake: make(chan struct{}, 1)}
}

// Put takes a batch. It never blocks. What is urgent is written at once, the rest within seconds.
func (k *Keeper) Put(b Batch, urgent bool) {
	k.mu.Lock()
	k.pending.add(&b)
	k.mu.Unlock()
	if urgent {
		k.signal()
	}
}

func (k *Keeper) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Sync returns when everything put in so far would survive a crash, or cannot be made to.
func (k *Keeper) Sync(ctx context.Context) {
	done := make(chan struct{})
	k.mu.Lock()
	if k.broken {
		k.mu.Unlock()
		k.signal()
		return
	}
	k.waiters = append(k.waiters, done)
	k.mu.Unlock()
	k.signal()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Broken tells that nothing can be written at present.
func (k *Keeper) Broken() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.broken
}

// Run commits until ctx ends, then what still waits.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(lazily)
	defer tick.Stop()
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = time.Second, 30*time.Second
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-k.wake:
		}
		for ctx.Err() == nil && !k.flush(context.WithoutCancel(ctx)) {
			k.rest(ctx, pause.NextBackOff())
		}
		pause.Reset()
	}
	if !k.flush(context.WithoutCancel(ctx)) {
		k.log.Error("what happened last could not be written", "state", "lost with this process")
	}
	return nil
}

// rest waits before another try, and lets messages go meanwhile.
func (k *Keeper) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case <-k.wake:
			k.release()
		}
	}
}

// flush commits what waits. It returns false when that failed.
func (k *Keeper) flush(ctx context.Context) bool {
	taken, waiters := k.take()
	b := taken.batch()
	done := make(chan error, 1)
	go func() {
		if b.empty() {
			done <- nil
			return
		}
		done <- k.store.Commit(ctx, b)
	}()
	return k.settle(taken, waiters, k.await(done, taken.seq, waiters))
}

// take is what waits now, and who waits for it.
func (k *Keeper) take() (pending, []chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	taken, waiters := k.pending, k.waiters
	k.pending, k.waiters = pending{}, nil
	return taken, waiters
}

// settle takes what became of a commit, and returns false when that failed.
func (k *Keeper) settle(taken pending, waiters []chan struct{}, err error) bool {
	if err == nil {
		k.set(nil)
		k.committed(taken.seq, false)
		free(waiters)
		return true
	}
	k.mu.Lock()
	newer := k.pending
	k.pending = taken
	k.pending.add(newer.batch())
	k.mu.Unlock()
	k.set(err)
	k.committed(taken.seq, true)
	free(waiters)
	k.release()
	return false
}

// await waits for a commit. One that takes long holds nothing up: what waits for it goes on as if it had failed.
func (k *Keeper) await(done <-chan error, seq int64, waiters []chan struct{}) error {
	slow := time.NewTimer(slowCommit)
	defer slow.Stop()
	select {
	case err := <-done:
		return err
	case <-slow.C:
	}
	k.set(fmt.Errorf("a write to disk has taken %v and is not done", slowCommit))
	k.committed(seq, true)
	free(waiters)
	for {
		k.release()
		select {
		case err := <-done:
			return err
		case <-k.wake:
		}
	}
}

// release lets go what waits for a commit that will not come soon.
func (k *Keeper) release() {
	k.mu.Lock()
	seq, waiters := k.pending.seq, k.waiters
	k.waiters = nil
	k.mu.Unlock()
	k.committed(seq, true)
	free(waiters)
}

func free(waiters []chan struct{}) {
	for _, w := range waiters {
		select {
		case <-w: // it was freed before
		default:
			close(w)
		}
	}
}

// set notes whether things can be written, and tells when that changes.
func (k *Keeper) set(err error) {
	k.mu.Lock()
	changed := k.broken != (err != nil)
	k.broken = err != nil
	k.mu.Unlock()
	if !changed {
		return
	}
	if err != nil {
		k.log.Error("the state cannot be written; everything goes on from memory", "error", err)
	} else {
		k.log.Info("the state can be written again")
	}
	k.trouble(err)
}

// pending is a batch that grows.
type pending struct {
	state      map[string][]byte
	incidents  map[string]*Incident
	deliveries map[int64]Delivery
	events     []Event
	rounds     []probe.RecordedRound
	history    map[spanKey]Span
	seq        int64
}

type spanKey struct {
	target string
	from   int64
}

// add takes a batch that is newer than what is there.
func (p *pending) add(b *Batch) {
	if p.state == nil {
		*p = pending{state: map[string][]byte{}, incidents: map[string]*Incident{}, deliveries: map[int64]Delivery{}, history: map[spanKey]Span{}, seq: p.seq}
	}
	maps.Copy(p.state, b.State)
	for _, i := range b.Incidents {
		p.incidents[i.ID] = i
	}
	for _, d := range b.Deliveries {
		p.deliveries[d.Seq] = d
		p.seq = max(p.seq, d.Seq)
	}
	for _, s := range b.History {
		p.history[spanKey{s.Target, s.From.UnixNano()}] = s
	}
	p.events = latest(append(p.events, b.Events...), maxKeptEvents)
	p.rounds = latest(append(p.rounds, b.Rounds...), maxKeptRounds)
	p.bound()
}

func latest[T any](s []T, n int) []T { return s[max(0, len(s)-n):] }

// bound forgets, after a long time without a disk, what became of the oldest messages.
func (p *pending) bound() {
	if len(p.deliveries) <= 2*maxKeptSettled {
		return
	}
	settled := slices.DeleteFunc(slices.Sorted(maps.Keys(p.deliveries)), func(seq int64) bool { return p.deliveries[seq].State == Waiting })
	for _, seq := range settled[:max(0, len(settled)-maxKeptSettled)] {
		delete(p.deliveries, seq)
	}
}

func (p *pending) batch() *Batch {
	b := &Batch{State: p.state, Events: p.events, Rounds: p.rounds}
	for _, id := range slices.Sorted(maps.Keys(p.incidents)) {
		b.Incidents = append(b.Incidents, p.incidents[id])
	}
	for _, seq := range slices.Sorted(maps.Keys(p.deliveries)) {
		b.Deliveries = append(b.Deliveries, p.deliveries[seq])
	}
	b.History = slices.SortedFunc(maps.Values(p.history), func(a, c Span) int {
		return cmp.Or(cmp.Compare(a.Target, c.Target), a.From.Compare(c.From))
	})
	return b
}

func (b *Batch) empty() bool {
	return len(b.State)+len(b.Incidents)+len(b.Deliveries)+len(b.Events)+len(b.Rounds)+len(b.History) == 0
}
