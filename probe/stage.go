package probe

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// failure is an error whose type is known.
type failure struct {
	typ   Type
	errno string
	icmp  *ICMP
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail makes a failure; format may wrap with %w.
func fail(t Type, format string, args ...any) *failure {
	return &failure{typ: t, err: fmt.Errorf(format, args...)}
}

// errStageTimeout ends the wait for a stage, not the stage.
var errStageTimeout = errors.New("no answer in time")

// stage runs one step of an attempt. f does the work and must return soon after its context is canceled; at the
// deadline stage returns while f goes on, and pending yields f's error once it has ended.
func (a *attempt) stage(ctx context.Context, name StageName, timeout time.Duration, f func(context.Context) error) (pending <-chan error, ok bool) {
	timeout = a.within(timeout)
	start := time.Now()
	a.began = start
	s := Stage{Stage: name, Started: start.UTC()}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fail(SelfFailed, "panic: %v", p)
			}
		}()
		done <- f(ctx)
	}()
	var err error
	if pending, err = a.await(done, name, timeout); pending != nil && errors.Is(err, errStageTimeout) {
		if f := a.unmatched.Load(); f != nil {
			err = f
		}
	}
	s.Duration = Seconds(time.Since(start))
	s.TCPInfo = a.tcpInfo()
	s.judge(err, timeout, a.timeoutType(name))
	if s.Outcome == Failed && a.tlsConn != nil {
		s.RecordGot, s.RecordLength = a.conn.records.partial()
	}
	a.lane.Stages = append(a.lane.Stages, s)
	return pending, s.Good() || s.Type == DNSAddressChanged
}

// await waits for a stage's end, for its deadline or for the round's end; pending is done unless the stage has ended. A
// stage that takes unusually long is told to whoever wants to know.
func (a *attempt) await(done <-chan error, name StageName, timeout time.Duration) (pending <-chan error, err error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var stalled <-chan time.Time
	if a.onStall != nil {
		t := time.NewTimer(a.stallAfter(name, timeout))
		defer t.Stop()
		stalled = t.C
	}
	for {
		select {
		case err := <-done:
			return nil, err
		case <-stalled:
			a.onStall(name)
			stalled = nil
		case <-timer.C:
			return done, errStageTimeout
		case <-a.roundDone:
			return done, fail(SelfStopped, "the round was ended")
		}
	}
}

// judge fills in outcome, type, code and error.
func (s *Stage) judge(err error, timeout time.Duration, onTimeout Type) {
	var f *failure
	switch {
	case err == nil:
		s.Outcome = OK
	case errors.Is(err, errStageTimeout):
		s.setFailed(onTimeout, fmt.Errorf("no answer in %s", seconds(timeout)))
	case errors.As(err, &f):
		s.setFailed(f.typ, f.err)
		s.Errno, s.ICMP = f.errno, f.icmp
	default:
		s.setFailed(SelfFailed, err)
	}
}

func (s *Stage) setFailed(t Type, err error) {
	s.Outcome, s.Type, s.Code, s.Error = Failed, t, t.Code(), clip(err.Error(), 300)
	if t == SelfStopped || t == SelfPaused {
		s.Outcome = NoData
	}
}

// clip bounds foreign text in length and to printable UTF-8: no control characters, of which terminals take those above
// 0x7f too, and none that change the direction of writing.
func clip(s string, n int) string {
	out := make([]rune, 0, min(len(s), n))
	for _, r := range s {
		if len(out) == n {
			return string(out) + "…"
		}
		if !unicode.IsPrint(r) || r == 0xfffd {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

func (a *attempt) tcpInfo() *tcpinfo.Info {
	if a.raw == nil {
		return nil
	}
	return tcpinfo.Get(a.raw)
}

// timeoutType is what a timeout of a stage is called.
func (a *attempt) timeoutType(name StageName) Type {
	switch name {
	case StageResolve:
		return DNSTimedOut
	case StageConnect:
		if a.spec.ep.ForwardProxy != nil {
			return ForwardProxyFailed
		}
		return TCPTimedOut
	case StageTLS:
		return TLSTimedOut
	case StageResponse:
		return HTTPBodyStalled
	}
	if a.spec.http() {
		return HTTPTimedOut
	}
	return AppTimedOut
}
