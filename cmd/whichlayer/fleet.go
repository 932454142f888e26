package main

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// fleet is the set of targets that are watched. A new configuration is prepared as a whole before anything of the old
// one is touched; a target whose description did not change goes on with its connections and its history.
type fleet struct {
	log       *slog.Logger
	health    *probe.Health
	names     *probe.SystemNames
	metrics   *probe.Metrics
	scheduler *probe.Scheduler
	progress  *progress
	// judge concludes from a round of a target; see loop.
	judge func(*probe.Result) time.Duration
	// blind hears of a time between two rounds of a target in which this process did not run.
	blind func(target string, g probe.Gap)
	// usual is what an earlier process had learnt of a target, nil if nothing; learnt takes it from time to time.
	usual  func(target string) []byte
	learnt func(target string, data []byte)
	// reseat hears of the new configuration when what left it has ended and what is new has not begun.
	reseat func(*config.Config)

	ctx, hard context.Context // no further rounds; no round at all
	running   sync.WaitGroup

	mu      sync.Mutex
	shared  shared
	env     *probe.Env
	members map[string]*member
}

// shared is the part of a configuration that all targets depend on.
type shared struct {
	dns      config.DNS
	controls []config.Control
}

// member is a target that runs.
type member struct {
	target *probe.Target
	loop   *loop
	stop   context.CancelFunc
	done   chan struct{}
}

// prepared is a configuration whose targets have been built.
type prepared struct {
	cfg    *config.Config
	shared shared
	env    *probe.Env
	// fresh are the targets that are new or described otherwise than before.
	fresh map[string]*probe.Target
}

// Prepare builds what a configuration needs beyond what runs. It changes nothing.
func (f *fleet) Prepare(cfg *config.Config) (*prepared, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &prepared{cfg: cfg, env: f.env, shared: shared{cfg.DNS, cfg.Controls}, fresh: map[string]*probe.Target{}}
	same := f.env != nil && reflect.DeepEqual(p.shared, f.shared)
	if !same {
		p.env = newEnv(cfg, f.health, f.log)
		p.env.Names = f.names
	}
	for i := range cfg.Targets {
		t := &cfg.Targets[i]
		if old := f.members[t.Name]; same && old != nil && config.Equal(old.target.Config(), *t) {
			continue
		}
		target, err := probe.NewTarget(*t, p.env)
		if err != nil {
			return nil, err
		}
		p.fresh[t.Name] = target
	}
	return p, nil
}

// Apply makes a prepared configuration the one that runs: what is gone or described otherwise is stopped and waited
// for, what is new is started.
func (f *fleet) Apply(p *prepared) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shared, f.env = p.shared, p.env
	wanted := make(map[string]bool, len(p.cfg.Targets))
	for i := range p.cfg.Targets {
		wanted[p.cfg.Targets[i].Name] = true
	}
	leaving := map[string]bool{}
	for name := range f.members {
		if !wanted[name] || p.fresh[name] != nil {
			leaving[name] = true
		}
	}
	f.scheduler.Set(f.jobs(leaving))
	f.dismiss(leaving, wanted)
	f.reseat(p.cfg)
	for name, target := range p.fresh {
		f.members[name] = f.start(target)
	}
	f.scheduler.Set(f.jobs(nil))
}

// dismiss stops members, all at once, and forgets those that are not wanted any more.
func (f *fleet) dismiss(names, wanted map[string]bool) {
	for name := range names {
		f.members[name].stop()
	}
	for name := range names {
		<-f.members[name].done
		delete(f.members, name)
		if !wanted[name] {
			f.metrics.Forget(name)
			f.progress.Forget(name)
		}
	}
}

// start runs a target: one goroutine for its rounds, one for what it does between them.
func (f *fleet) start(target *probe.Target) *member {
	cfg := target.Config()
	ctx, stop := context.WithCancel(f.ctx)
	hard, stopHard := context.WithCancel(f.hard)
	m := &member{target: target, done: make(chan struct{}), stop: func() { stop(); stopHard() }}
	last := time.Now()
	m.loop = newLoop(target, func(r *probe.Result) time.Duration {
		defer func() { f.progress.Beat(cfg, time.Now()) }()
		gaps, _ := f.health.Between(last, r.Started)
		for _, g := range gaps {
			f.blind(cfg.Name, g)
		}
		last = r.Ended
		return f.judge(r)
	}, func() { f.metrics.Skipped(cfg.Name) })
	f.recall(target)
	f.metrics.Expect(cfg)
	f.progress.Beat(cfg, time.Now())
	f.running.Go(func() {
		defer close(m.done)
		defer m.stop()
		f.runMember(ctx, hard, m)
	})
	return m
}

// runMember returns when both of a member's goroutines have.
func (f *fleet) runMember(ctx, hard context.Context, m *member) {
	var between sync.WaitGroup
	life, end := context.WithCancel(hard)
	defer f.firstLook(m)()
	between.Go(func() {
		if err := m.target.Run(life); err != nil {
			f.log.Error("a target's long-lived part ended", "target", m.target.Config().Name, "err", err)
		}
	})
	m.loop.run(ctx, hard)
	end()
	between.Wait()
}

// recall gives a target what an earlier process had learnt of it.
func (f *fleet) recall(target *probe.Target) {
	name := target.Config().Name
	if data := f.usual(name); data != nil {
		if err := target.RestoreBaseline(data); err != nil {
			f.log.Warn("what is usual has to be learnt anew", "target", name, "error", err)
		}
	}
}

// learnEvery is how often what was learnt of the targets is kept.
const learnEvery = 5 * time.Minute

// Learn keeps what was learnt of the targets, from time to time until ctx ends and then once more.
func (f *fleet) Learn(ctx context.Context) error {
	tick := time.NewTicker(learnEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		f.mu.Lock()
		members := maps.Clone(f.members)
		f.mu.Unlock()
		for name, m := range members {
			data, err := m.target.Baseline()
			if err != nil {
				f.log.Warn("what is usual cannot be kept", "target", name, "error", err)
				continue
			}
			f.learnt(name, data)
		}
	}
	return nil
}

// startSpan is the time over which first rounds are spread.
const startSpan = 10 * time.Second

// firstLook gives a target a first round soon after the start, so that one that is looked at once an hour is not
// unknown for an hour. The schedule of a frequent one comes soon enough by itself. stop calls it off.
func (f *fleet) firstLook(m *member) (stop func()) {
	cfg := m.target.Config()
	if cfg.Schedule.Interval(time.Now()) <= startSpan {
		return func() {}
	}
	t := time.AfterFunc(probe.Spread(cfg.Name, startSpan), func() { m.loop.Fire(time.Now()) })
	return func() { t.Stop() }
}

// jobs is the schedule of all members but those that leave.
func (f *fleet) jobs(leaving map[string]bool) []probe.Job {
	jobs := make([]probe.Job, 0, len(f.members))
	for name, m := range f.members {
		if leaving[name] {
			continue
		}
		jobs = append(jobs, probe.Job{Name: name, Schedule: m.target.Config().Schedule, Fire: m.loop.Fire})
	}
	return jobs
}

// Wait returns when all members have ended.
func (f *fleet) Wait() { f.running.Wait() }
