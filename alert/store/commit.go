package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/whichlayer/whichlayer/alert"
)

// Commit implements alert.Store. errors.Is finds [ErrFull] when there is no room.
func (d *DB) Commit(ctx context.Context, b *alert.Batch) error {
	chunks, err := d.codec.chunks(b.Rounds)
	if err != nil {
		return fmt.Errorf("keep rounds: %w", err)
	}
	tx, err := d.write.BeginTx(ctx, nil)
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
		_ = tx.Rollback()
		return full(fmt.Errorf("write the state: %w", w.err))
	}
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback()
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

// json is a value packed.
func (w *writer) json(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode %T: %w", v, err)
	}
	return w.codec.pack(data)
}

func (w *writer) incidents(all []*alert.Incident) {
	w.each(len(all), `INSERT INTO incidents (id, target, state, starts_at, ends_at, layer, cause, confidence, json) VALUES (?,?,?,?,?,?,?,?,?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
		layer = excluded.layer, cause = excluded.cause, confidence = excluded.confidence, json = excluded.json`,
		func(i int) []any {
			x := all[i]
			var end any
			if x.EndsAt != nil {
				end = nanos(*x.EndsAt)
			}
			return []any{x.ID, x.Target, string(x.State), nanos(x.StartsBefore), end, string(x.Verdict.Layer), string(x.Verdict.Cause),
				string(x.Verdict.Confidence), w.json(x)}
		})
}

func (w *writer) events(all []alert.Event) {
	w.each(len(all), "INSERT INTO events (incident, target, time, kind, json) VALUES (?,?,?,?,?)", func(i int) []any {
		x, id := all[i], ""
		if x.Incident != nil {
			id = x.Incident.ID
		}
		return []any{id, x.Target, nanos(x.Time), string(x.Event), w.json(x)}
	})
}

func (w *writer) deliveries(all []alert.Delivery) {
	w.each(len(all), `INSERT INTO deliveries (seq, receiver, incident, state, created, json) VALUES (?,?,?,?,?,?)
		ON CONFLICT (seq) DO UPDATE SET state = excluded.state, json = excluded.json`, func(i int) []any {
		x := all[i]
		return []any{x.Seq, x.Receiver, x.Incident, string(x.State), nanos(x.Created), w.json(x)}
	})
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
