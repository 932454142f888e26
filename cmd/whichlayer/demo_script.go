package main

import (
	"context"
	"fmt"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// act is one scene of the demo.
type act struct {
	// name is the word on the programme, title says what happens.
	name, title string
	// breaks or mends is set, or neither in a scene without a change.
	breaks, mends lab.Fault
	// lasts is the least length. A scene goes on for at most patience more, until whichlayer has noticed.
	lasts time.Duration
}

// script is the demo's course and the speed at which it is watched.
type script struct {
	acts     []act
	patience time.Duration
	round    time.Duration // between rounds
	timeout  config.Duration
	detect   config.Detect
}

// demoScript is watched at the usual speed. Its scenes are no whole seconds long, so that the faults come at odd times
// between two rounds.
func demoScript() script {
	return script{
		patience: 4 * time.Second,
		round:    time.Second,
		timeout:  config.Duration(800 * time.Millisecond), // shorter than a round, so that none is left out
		detect: config.Detect{
			Confirm: config.Duration(2 * time.Second),
			Resolve: config.Duration(3 * time.Second),
			Reopen:  1, // ns: three faults, three incidents
		},
		acts: []act{
			{name: "healthy", title: "all is well", lasts: 4300 * time.Millisecond},
			{name: "freeze", breaks: lab.ProxyFrozen, lasts: 10700 * time.Millisecond,
				title: "the proxy is frozen, as by SIGSTOP; its kernel goes on"},
			{name: "thaw", mends: lab.ProxyFrozen, lasts: 6200 * time.Millisecond, title: "the proxy goes on, as by SIGCONT"},
			{name: "kill", breaks: lab.BackendKilled, lasts: 7600 * time.Millisecond, title: "the backend's process is killed"},
			{name: "restart", mends: lab.BackendKilled, lasts: 6400 * time.Millisecond, title: "the backend runs again"},
			{name: "expire", breaks: lab.CertExpired, lasts: 6700 * time.Millisecond,
				title: "the proxy shows a certificate that expired an hour ago"},
			{name: "renew", mends: lab.CertExpired, lasts: 6500 * time.Millisecond, title: "the proxy has a valid certificate again"},
		},
	}
}

// fast is the same course for tests: each scene ends as soon as whichlayer has noticed.
func (s script) fast() script {
	s.patience = 20 * time.Second
	s.round = 250 * time.Millisecond
	s.timeout = config.Duration(time.Second) // a busy machine is no fault
	s.detect.Confirm = config.Duration(500 * time.Millisecond)
	s.detect.Resolve = config.Duration(500 * time.Millisecond)
	acts := make([]act, len(s.acts))
	for i, a := range s.acts {
		a.lasts = time.Second
		acts[i] = a
	}
	s.acts = acts
	return s
}

// length is how long the course takes when whichlayer notices in time.
func (s script) length() (d time.Duration) {
	for _, a := range s.acts {
		d += a.lasts
	}
	return d
}

// play breaks and mends the chain in time.
func (s script) play(ctx context.Context, chain *lab.Chain, st *story) error {
	for i, a := range s.acts {
		before := time.Now()
		var err error
		switch {
		case a.breaks != "":
			err = chain.Break(a.breaks)
		case a.mends != "":
			err = chain.Mend(a.mends)
		}
		if err != nil {
			return fmt.Errorf("scene %q: %w", a.name, err)
		}
		noticed := st.turn(i, moment{before, time.Now()})
		if !lasting(ctx, a.lasts, s.patience, noticed) {
			return nil
		}
	}
	return nil
}

// breath is the time between a scene's being noticed and the next one.
const breath = 300 * time.Millisecond

// lasting waits for the least length of a scene and then, with patience, until it was noticed; false when ctx ended.
func lasting(ctx context.Context, least, patience time.Duration, noticed <-chan struct{}) bool {
	t := time.NewTimer(least)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	}
	t.Reset(patience)
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	case <-noticed:
	}
	// Another moment, so that no round of this scene is still under way in the next.
	t.Reset(breath)
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
