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

// New makes the notifier of a configured receiver. Messages show times in UTC and in loc; nil is the system's zone.
func New(r config.Receiver, loc *time.Location, log *slog.Logger) (alert.Notifier, error) {
	if loc == nil {
		loc = time.Local
	}
	log = log.With("receiver", r.Name)
	switch {
	case r.Slack != nil:
		return NewSlack(*r.Slack, loc)
	case r.Exec != nil:
		return NewExec(*r.Exec, loc, log)
	}
	return nil, errors.New("it has no kind")
}

// permanent marks an error that the same message would meet again.
func permanent(format string, args ...any) error {
	return &alert.PermanentError{Err: fmt.Errorf(format, args...)}
}
