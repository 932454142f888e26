package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/whichlayer/whichlayer/alert"
)

// Load implements alert.Store.
func (d *DB) Load(ctx context.Context) (*alert.Saved, error) {
	out := &alert.Saved{State: map[string][]byte{}, Trouble: d.trouble}
	if err := d.write.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM deliveries").Scan(&out.Seq); err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	err := d.rows(ctx, d.write, "SELECT key, value FROM state", nil, func(r *sql.Rows) error {
		var key string
		var value []byte
		err := r.Scan(&key, &value)
		out.State[key] = value
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	out.Deliveries, err = d.deliveries(ctx, d.write, "state = 'waiting'")
	return out, err
}

// rows runs a query and calls each for every row of its answer.
func (d *DB) rows(ctx context.Context, db *sql.DB, query string, args []any, each func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// deliveries are those that a condition picks, by Seq.
func (d *DB) deliveries(ctx context.Context, db *sql.DB, where string, args ...any) (out []alert.Delivery, err error) {
	err = d.rows(ctx, db, "SELECT json FROM deliveries WHERE "+where+" ORDER BY seq", args, func(r *sql.Rows) error {
		var x alert.Delivery
		err := d.scan(r, &x)
		out = append(out, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return out, nil
}

// scan reads a row of one packed value.
func (d *DB) scan(r *sql.Rows, v any) error {
	var data []byte
	if err := r.Scan(&data); err != nil {
		return err
	}
	plain, err := d.codec.unpack(data)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}
