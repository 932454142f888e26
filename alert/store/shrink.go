package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const (
	// A step gives back so many free pages of 4 KiB to the file system.
	stepPages = 500
	// sparePages stay free, for what comes next.
	sparePages = 4000
	// maxSteps bounds how many steps are made at once.
	maxSteps = 200
)

// shrink deletes the oldest history, then the oldest rounds, then the oldest incidents that are over, until the size is
// kept. Then it gives room back.
func (d *DB) shrink(ctx context.Context, db *sql.DB) error {
	limit := int64(d.options.Retention.Size)
	for limit > 0 {
		used, _, err := measure(ctx, db)
		if err != nil {
			return err
		}
		more := used > limit
		if more {
			more, err = d.dropOldest(ctx, db)
		}
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	return giveBack(ctx, db)
}

// dropOldest deletes a step's worth of what matters least. It returns false when nothing is left that may go.
func (d *DB) dropOldest(ctx context.Context, db *sql.DB) (more bool, err error) {
	for _, query := range []string{dropOldestHistory, dropOldestRounds} {
		r, err := db.ExecContext(ctx, query, stepRows)
		if err != nil {
			return false, err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return true, err
		}
	}
	ids, err := keys(ctx, d.read, findOldest)
	if err != nil {
		return false, err
	}
	return len(ids) > 0, d.dropIncidents(ctx, db, ids)
}

// measure is what is kept in bytes, and how many pages are free besides.
func measure(ctx context.Context, db *sql.DB) (used, free int64, err error) {
	var pages, size int64
	err = db.QueryRowContext(ctx, "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size").
		Scan(&pages, &free, &size)
	if err != nil {
		return 0, 0, fmt.Errorf("measure the state: %w", err)
	}
	return (pages - free) * size, free, nil
}

// giveBack returns free pages to the file system, a step at a time.
func giveBack(ctx context.Context, db *sql.DB) error {
	for range maxSteps {
		_, free, err := measure(ctx, db)
		if err != nil || free <= sparePages {
			return err
		}
		found, err := db.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", min(stepPages, free-sparePages)))
		if err != nil {
			return fmt.Errorf("give room back: %w", err)
		}
		for found.Next() { // each row frees a page
		}
		if err := errors.Join(found.Err(), found.Close()); err != nil {
			return fmt.Errorf("give room back: %w", err)
		}
	}
	return nil
}
