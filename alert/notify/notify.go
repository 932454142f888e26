// Package notify has the notifiers: one file a kind of receiver, all behind [alert.Notifier] and all passing one
// conformance suite.
//
// None of them retries by itself, and none keeps a queue: the dispatcher does both. What they owe it is an honest
// error, a bound on their own time and an end when the context ends. No error carries a secret.
package notify

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// Setting is what a notifier is given besides its own configuration.
type Setting struct {
	// Zone in which messages show times beside UTC; nil is the system's.
	Zone *time.Location
	// Memory survives restarts; nil forgets.
	Memory alert.Memory
	// Pace is shared by all notifiers of a process, so that together they keep Slack's limit of a channel; nil is one's own.
	Pace *Pace
	// ExternalURL is where people reach this prober; empty if nowhere.
	ExternalURL string
	// Watchdog asks a receiver that shows what goes on (alertmanager) to show an alert that always fires.
	Watchdog bool
	// Version of this program, for the User-Agent.
	Version string
	Log     *slog.Logger
}

// New makes the notifier of a configured receiver.
func New(r config.Receiver, s Setting) (alert.Notifier, error) {
	if s.Zone == nil {
		s.Zone = time.Local
	}
	if s.Memory == nil {
		s.Memory = newRAM()
	}
	if s.Pace == nil {
		s.Pace = NewPace()
	}
	s.Log = s.Log.With("receiver", r.Name)
	switch {
	case r.Slack != nil:
		return NewSlack(r, s)
	case r.Alertmanager != nil:
		return NewAlertmanager(r, s)
	case r.Webhook != nil:
		return NewWebhook(r, s)
	case r.Email != nil:
		return NewEmail(r, s)
	case r.Exec != nil:
		return NewExec(r, s)
	}
	return nil, errors.New("it has no kind")
}

// permanent marks an error that the same message would meet again.
func permanent(format string, args ...any) error {
	return &alert.PermanentError{Err: fmt.Errorf(format, args...)}
}
