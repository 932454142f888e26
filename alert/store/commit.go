package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// Commit implements alert.Store. errors.Is finds [ErrFull] when there is no room.
func (d *DB) Commit(ctx context.Context, b *alert.Batch) error {
	db, err := d.writer(ctx)
	if err != nil {
		return full(err)
	}
	chunks, err := d.codec.chunks(b.Rounds)
	if err != nil {
		return fmt.Errorf("keep rounds: %w", err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return full(fmt.Errorf("begin to write the state: %w", err))
	}
	w := &writer{ctx: ctx, tx: tx, codec: d.codec}
	w.incidents(b.Incidents)
	w.events(b.Events)
	w.deliveries(b.Deliveries)
	w.state(b.State)
	w.rounds(chunks)
	w.history(b.History)
	if w.err != nil {
		_ = tx.Rollback() // SQLite may have done it
		return full(fmt.Errorf("write the state: %w", w.err))
	}
	if err := tx.Commit(); err != nil {
		return full(fmt.Errorf("write the state: %w", err))
	}
	return nil
}

// writer writes the parts of a batch and remembers the first error, after which it does nothing more.
type writer struct {
	ctx   context.Context
	tx    *sql.Tx
	codec *codec
	err   error
}

// each runs a statement once for each of n rows.
func (w *writer) each(n int, query string, row func(i int) []any) {
	if w.err != nil || n == 0 {
		return
	}
	stmt, err := w.tx.PrepareContext(w.ctx, query)
	if err != nil {
		w.err = err
		return
	}
	defer stmt.Close()
	for i := range n {
		args := row(i)
		if w.err != nil {
			return
		}
		if _, w.err = stmt.ExecContext(w.ctx, args...); w.err != nil {
			return
		}
	}
}

// json is a value in JSON.
func (w *writer) json(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode %T: %w", v, err)
	}
	return data
}

const putIncident = `INSERT INTO incidents
	(id, target, state, starts_at, ends_at, over_at, opened_at, layer, cause, confidence, layers, reopened, json)
	VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
	ON CONFLICT (id) DO UPDATE SET state = excluded.state, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
	over_at = excluded.over_at, opened_at = excluded.opened_at, layer = excluded.layer, cause = excluded.cause,
	confidence = excluded.confidence, layers = excluded.layers, reopened = excluded.reopened, json = excluded.json`

func (w *writer) incidents(all []*alert.Incident) {
	w.each(len(all), putIncident, func(i int) []any {
		x := all[i]
		v := &x.Verdict
		return []any{x.ID, x.Target, string(x.State), nanos(x.StartsBefore), moment(x.EndsAt), moment(overAt(x)), moment(x.OpenedAt),
			string(v.Layer), string(v.Cause), string(v.Confidence), layers(v), x.Reopened, string(w.json(x))}
	})
}

// overAt is when an incident was over; nil while it goes on. The end of one that was given up is not known.
func overAt(i *alert.Incident) *time.Time {
	switch {
	case i.Active():
		return nil
	case i.EndsAt != nil:
		return i.EndsAt
	case i.ResolvedAt != nil:
		return i.ResolvedAt
	case len(i.Timeline) > 0:
		return &i.Timeline[len(i.Timeline)-1].At
	}
	return &i.StartsBefore
}

// layers are those of a verdict and of all its suspects, each between spaces.
func layers(v *probe.Verdict) string {
	all := []probe.Layer{v.Layer}
	text := " " + string(v.Layer) + " "
	for _, s := range v.Suspects {
		if !slices.Contains(all, s.Layer) {
			all = append(all, s.Layer)
			text += string(s.Layer) + " "
		}
	}
	return text
}

func (w *writer) events(all []alert.Event) {
	w.each(len(all), "INSERT INTO events (incident, target, time, kind, json) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", func(i int) []any {
		x, id := all[i], ""
		if x.Incident != nil {
			id = x.Incident.ID
		}
		return []any{id, x.Target, nanos(x.Time), string(x.Event), w.codec.pack(w.json(x))}
	})
}

const putDelivery = `INSERT INTO deliveries (seq, receiver, incident, transition, state, created, settled, attempts, error, json)
	VALUES (?,?,?,?,?,?,?,?,?,?)
	ON CONFLICT (seq) DO UPDATE SET receiver = excluded.receiver, incident = excluded.incident, transition = excluded.transition,
	state = excluded.state, created = excluded.created, settled = excluded.settled, attempts = excluded.attempts,
	error = excluded.error, json = excluded.json`

func (w *writer) deliveries(all []alert.Delivery) {
	highest := int64(0)
	w.each(len(all), putDelivery, func(i int) []any {
		x := &all[i]
		highest = max(highest, x.Seq)
		return []any{x.Seq, x.Receiver, x.Incident, string(x.Transition), string(x.State), nanos(x.Created), moment(&x.Settled), x.Attempts, x.Error,
			w.codec.pack(w.json(x))}
	})
	w.each(min(len(all), 1), "UPDATE highest SET seq = max(seq, ?) WHERE what = 'delivery'", func(int) []any { return []any{highest} })
}

func (w *writer) state(all map[string][]byte) {
	var keys, gone []string
	for key, v := range all {
		if v == nil {
			gone = append(gone, key)
		} else {
			keys = append(keys, key)
		}
	}
	w.each(len(keys), "INSERT INTO state (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		func(i int) []any { return []any{keys[i], all[keys[i]]} })
	w.each(len(gone), "DELETE FROM state WHERE key = ?", func(i int) []any { return []any{gone[i]} })
}

func (w *writer) rounds(all []chunk) {
	w.each(len(all), `INSERT INTO rounds (target, first, last, n, data) VALUES (?,?,?,?,?)
		ON CONFLICT (target, first) DO UPDATE SET last = excluded.last, n = excluded.n, data = excluded.data`, func(i int) []any {
		x := all[i]
		return []any{x.target, x.first, x.last, x.n, x.data}
	})
}

func (w *writer) history(all []alert.Span) {
	w.each(len(all), `INSERT INTO history (target, first, last, state, layer, cause, rounds, front_sum, front_max) VALUES (?,?,?,?,?,?,?,?,?)
		ON CONFLICT (target, first) DO UPDATE SET last = excluded.last, state = excluded.state, layer = excluded.layer, cause = excluded.cause,
		rounds = excluded.rounds, front_sum = excluded.front_sum, front_max = excluded.front_max`, func(i int) []any {
		x := all[i]
		return []any{x.Target, nanos(x.From), nanos(x.To), string(x.State), string(x.Layer), string(x.Cause), x.Rounds, x.FrontSum, x.FrontMax}
	})
}
