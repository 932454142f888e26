package alert

import (
	"context"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// Store keeps what must survive a crash. Package store has the one that is used; it may be called from several
// goroutines.
type Store interface {
	// Commit writes a batch as a whole or not at all, and returns when it would survive a crash of the machine.
	Commit(ctx context.Context, b *Batch) error
	// Load is what a process needs to go on where the last one ended.
	Load(ctx context.Context) (*Saved, error)
	// Rounds are the full rounds of a target that began between two instants, oldest first: at most limit, of more the
	// last ones.
	Rounds(ctx context.Context, target string, from, to time.Time, limit int) ([]probe.RecordedRound, error)
}

// Batch is what is committed together.
type Batch struct {
	// Incidents replace what is known of them, by ID.
	Incidents []*Incident
	// Events are the steps of incidents, in their order.
	Events []Event
	// Deliveries are new, or replace those with their Seq.
	Deliveries []Delivery
	// State is small values by key, such as "seat/orders"; nil deletes.
	State map[string][]byte
	// Rounds are full rounds, those of one target in their order.
	Rounds []probe.RecordedRound
	// History replaces the spans with the same target and From.
	History []Span
}

// Saved is what a store holds for a process that begins.
type Saved struct {
	State map[string][]byte
	// Deliveries are those that wait, by Seq.
	Deliveries []Delivery
	// Seq is the highest of all deliveries there ever were.
	Seq int64
	// Trouble is what went wrong when the store was opened, such as a file that was moved aside; empty if nothing.
	Trouble string
}

// Span is a run of rounds of one target with the same verdict: the history in short.
type Span struct {
	Target string `json:"target"`
	// From is when the first round began, To when the last one ended.
	From  time.Time   `json:"from"`
	To    time.Time   `json:"to"`
	State probe.State `json:"state"`
	Layer probe.Layer `json:"layer"`
	Cause probe.Cause `json:"cause"`
	// Rounds counts them. FrontSum and FrontMax are seconds from the begin to the end of the front lane.
	Rounds   int     `json:"rounds"`
	FrontSum float64 `json:"front_seconds_sum"`
	FrontMax float64 `json:"front_seconds_max"`
}

// Delivery is one message to one receiver, from when it was decided until what became of it.
type Delivery struct {
	// Seq orders all deliveries of a store.
	Seq      int64  `json:"seq"`
	Receiver string `json:"receiver"`
	// Incident is the ID under which the receiver knows what is told.
	Incident     string            `json:"incident"`
	Transition   config.Transition `json:"transition"`
	Created      time.Time         `json:"created"`
	Notification Notification      `json:"notification"`
	State        DeliveryState     `json:"state"`
	// Attempts counts those that were begun.
	Attempts int `json:"attempts"`
	// Settled is when State became final.
	Settled time.Time `json:"settled,omitzero"`
	// Error is why the last attempt failed.
	Error string `json:"error,omitempty"`
}

// DeliveryState is what became of a delivery.
type DeliveryState string

// States of a delivery.
const (
	Waiting DeliveryState = "waiting"
	Sent    DeliveryState = "sent"
	Refused DeliveryState = "refused" // the receiver will never take it
	Merged  DeliveryState = "merged"  // a later message says it too
	Dropped DeliveryState = "dropped" // its receiver is no longer configured
)
