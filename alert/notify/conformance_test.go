package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// far is a destination under a test's control.
type far interface {
	// notifier makes the notifier that reaches it.
	notifier(t *testing.T) alert.Notifier
	// hang makes it take a message and never answer; the returned channel is closed when it has one.
	hang(t *testing.T) (reached <-chan struct{})
	// refuse makes it answer that no such message will ever do.
	refuse(t *testing.T)
	// taken is how many messages it has.
	taken(t *testing.T) int
}

// conform is what every notifier must do, whatever its kind.
func conform(t *testing.T, begin func(t *testing.T) far) {
	t.Run("every transition is taken", func(t *testing.T) {
		f := begin(t)
		n := f.notifier(t)
		for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved, config.Dismissed} {
			if err := n.Notify(t.Context(), sample(tr)); err != nil {
				t.Errorf("%s: %v", tr, err)
			}
		}
		if got := f.taken(t); got < 5 {
			t.Errorf("5 transitions made %d messages", got)
		}
	})
	t.Run("the same message again", func(t *testing.T) {
		f := begin(t)
		n := f.notifier(t)
		for range 2 {
			if err := n.Notify(t.Context(), sample(config.Opened)); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("a context that has ended", func(t *testing.T) {
		f := begin(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.notifier(t).Notify(ctx, sample(config.Opened)); err == nil || f.taken(t) != 0 {
			t.Errorf("error %v, %d messages", err, f.taken(t))
		}
	})
	t.Run("a context that ends meanwhile", func(t *testing.T) {
		f := begin(t)
		reached := f.hang(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-reached; cancel() }()
		start := time.Now()
		if err := f.notifier(t).Notify(ctx, sample(config.Opened)); err == nil {
			t.Error("no error although nobody answered")
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("returned after %v", took)
		}
	})
	t.Run("refused for good", func(t *testing.T) {
		f := begin(t)
		f.refuse(t)
		err := f.notifier(t).Notify(t.Context(), sample(config.Opened))
		var permanent *alert.PermanentError
		if !errors.As(err, &permanent) {
			t.Errorf("got %v, want a permanent error", err)
		}
	})
	t.Run("the largest incident", func(t *testing.T) {
		if err := begin(t).notifier(t).Notify(t.Context(), huge()); err != nil {
			t.Error(err)
		}
	})
}

// huge has far more of everything than fits, in characters of all kinds.
func huge() alert.Notification {
	n := sample(config.Opened)
	i, v := *n.Event.Incident, *n.Event.Verdict
	nasty := "日本語 & <!channel> ``` *_~` \x00\x1b[31m \xff 🧊 "
	for k := range 500 {
		v.Evidence = append(v.Evidence, strings.Repeat(nasty, 10))
		v.WouldDecide = append(v.WouldDecide, strings.Repeat(nasty, 8))
		v.Cleared = append(v.Cleared, probe.Cleared{Layer: probe.LayerDNS, Reason: nasty})
		v.Suspects = append(v.Suspects, probe.Suspect{Layer: probe.LayerHost, Cause: probe.Cause(nasty)})
		i.Fingerprints = append(i.Fingerprints, alert.Fingerprint{Local: fmt.Sprintf("10.0.9.4:%d", 1000+k), Remote: fmt.Sprintf("10.0.%d.10:443", k%256), RequestID: nasty})
		n.Event.Lanes = append(n.Event.Lanes, probe.Lane{Lane: probe.LaneVia, Hop: strings.Repeat(nasty, 5), Address: nasty, Stages: []probe.Stage{
			{Stage: probe.StageTLS, Outcome: probe.Failed, Type: probe.TLSTimedOut, Error: nasty, Duration: probe.Seconds(time.Second)}}})
	}
	v.Confidence = probe.Ambiguous
	i.Target = strings.Repeat(nasty, 20)
	n.Event.Target, n.Event.Incident, n.Event.Verdict = i.Target, &i, &v
	return n
}
