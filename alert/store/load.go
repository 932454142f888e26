package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/whichlayer/whichlayer/alert"
)

// Load implements alert.Store. A message that waits and cannot be read is named in Trouble; it is dropped, since it could
// never be sent.
func (d *DB) Load(ctx context.Context) (*alert.Saved, error) {
	d.mu.Lock()
	early := d.early
	d.mu.Unlock()
	if early != nil {
		return early, nil
	}
	db, err := d.reader()
	if err != nil {
		return nil, err
	}
	out, err := d.load(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return out, nil
}

func (d *DB) load(ctx context.Context, db *sql.DB) (*alert.Saved, error) {
	out := &alert.Saved{State: map[string][]byte{}}
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM highest").Scan(&out.Seq); err != nil {
		return nil, err
	}
	err := rows(ctx, db, "SELECT key, value FROM state", nil, func(r *sql.Rows) error {
		var key string
		var value []byte
		err := r.Scan(&key, &value)
		out.State[key] = append([]byte{}, value...) // an empty one comes as nil, which would mean that there is none
		return err
	})
	if err != nil {
		return nil, err
	}
	all, unreadable, err := d.deliveries(ctx, db, "state = 'waiting'")
	if err != nil {
		return nil, err
	}
	out.Deliveries = all
	out.Trouble = d.drop(ctx, unreadable)
	if d.trouble != "" {
		out.Trouble = d.trouble
	}
	return out, nil
}

// drop gives up messages whose content is damaged, and says which.
func (d *DB) drop(ctx context.Context, unreadable []alert.Delivery) string {
	if len(unreadable) == 0 {
		return ""
	}
	var names []string
	for _, x := range unreadable {
		names = append(names, fmt.Sprintf("%s to %s of %s", x.Transition, x.Receiver, x.Incident))
		if d.write == nil {
			continue
		}
		if _, err := d.write.ExecContext(ctx, "UPDATE deliveries SET state = ? WHERE seq = ?", string(alert.Dropped), x.Seq); err != nil {
			d.log.Error("a damaged message could not be dropped", "seq", x.Seq, "error", err)
		}
	}
	text := fmt.Sprintf("%d messages that waited are damaged and cannot be sent: %s", len(names), strings.Join(names[:min(len(names), 10)], "; "))
	d.log.Error(text)
	return text
}

// rows runs a query and calls each for every row of its answer.
func rows(ctx context.Context, db *sql.DB, query string, args []any, each func(*sql.Rows) error) (err error) {
	found, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		if err := each(found); err != nil {
			return err
		}
	}
	return found.Err()
}

// deliveries are those that a condition picks, by Seq, and apart those of which only the columns can be read.
func (d *DB) deliveries(ctx context.Context, db *sql.DB, where string, args ...any) (all, unreadable []alert.Delivery, err error) {
	query := "SELECT seq, receiver, incident, transition, state, created, attempts, error, json FROM deliveries WHERE " + where + " ORDER BY seq"
	err = rows(ctx, db, query, args, func(r *sql.Rows) error {
		var x, whole alert.Delivery
		var created int64
		var data []byte
		if err := r.Scan(&x.Seq, &x.Receiver, &x.Incident, &x.Transition, &x.State, &created, &x.Attempts, &x.Error, &data); err != nil {
			return err
		}
		x.Created = instant(created)
		// The column decides: a message that was dropped because it could not be read stays so.
		if d.codec.decode(data, &whole) == nil && whole.State == x.State && whole.Seq == x.Seq {
			all = append(all, whole)
		} else {
			unreadable = append(unreadable, x)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read deliveries: %w", err)
	}
	return all, unreadable, nil
}
