package alert

import (
	"context"
	"fmt"
	"time"
)

// Notifier delivers notifications to one destination, one at a time and in their order.
//
// Notify returns when the message is delivered, when it is certain that it is not, or when ctx ends; it bounds its own
// time besides. The same notification may come twice, after a failure that could not be told from success. An error is
// tried again unless it is a [PermanentError]; a [RetryAfterError] says when.
type Notifier interface {
	Notify(ctx context.Context, n Notification) error
}

// PermanentError says that the same message would fail again: wrong token, no such channel, a program that ran.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *PermanentError) Unwrap() error { return e.Err }

// RetryAfterError says that the destination asked for a pause.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

func (e *RetryAfterError) Error() string { return fmt.Sprintf("%v (asked to wait %v)", e.Err, e.After) }

// Unwrap gives the reason.
func (e *RetryAfterError) Unwrap() error { return e.Err }
