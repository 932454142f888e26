package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// Full rounds are kept from so long before an incident's start until so long after its end, and those of the last while,
	// because they may turn out to lie before one.
	roundsBefore = 10 * time.Minute
	roundsAfter  = 5 * time.Minute
	roundsRecent = 20 * time.Minute
	// trimRows bounds one step of trimming, so that no commit waits long for it.
	trimRows = 200
	// freePages bounds how many empty pages are given back in a step.
	freePages = 500
)

// Trim deletes what is too old or, the oldest first, too much. It works in small steps between which commits get their
// turn; waiting messages and incidents that go on are never deleted.
func (d *DB) Trim(ctx context.Context, now time.Time) error {
	keep := d.options.Retention
	old := now.Add(-keep.Incidents.Std())
	steps := []struct {
		when  bool
		query string
		args  []any
	}{
		{keep.Incidents > 0, "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE " + ended + " AND coalesce(ends_at, starts_at) < ? LIMIT ?)", []any{nanos(old)}},
		{keep.Incidents > 0, "DELETE FROM events WHERE seq IN (SELECT seq FROM events e WHERE time < ? AND " + orphaned("e") + " LIMIT ?)", []any{nanos(old)}},
		{keep.Incidents > 0, "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries x WHERE state <> 'waiting' AND created < ? AND " + orphaned("x") + " LIMIT ?)", []any{nanos(old)}},
		{keep.History > 0, "DELETE FROM history WHERE (target, first) IN (SELECT target, first FROM history WHERE last < ? LIMIT ?)", []any{nanos(now.Add(-keep.History.Std()))}},
		{true, boringRounds, []any{nanos(now.Add(-roundsRecent)), int64(roundsBefore), int64(roundsAfter)}},
	}
	for _, s := range steps {
		if !s.when {
			continue
		}
		if err := d.repeat(ctx, s.query, s.args...); err != nil {
			return err
		}
	}
	if err := d.shrink(ctx); err != nil {
		return err
	}
	return d.giveBack(ctx)
}

// ended picks incidents that are over.
const ended = "state IN ('resolved', 'dismissed')"

// orphaned picks rows whose incident is gone.
func orphaned(table string) string {
	return "NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = " + table + ".incident)"
}

// boringRounds are those that lie around no incident.
const boringRounds = `DELETE FROM rounds WHERE (target, first) IN (SELECT r.target, r.first FROM rounds r WHERE r.last < ? AND NOT EXISTS
	(SELECT 1 FROM incidents i WHERE i.target = r.target AND r.last >= i.starts_at - ? AND (i.ends_at IS NULL AND NOT i.state IN ('resolved', 'dismissed') OR r.first <= coalesce(i.ends_at, i.starts_at) + ?)) LIMIT ?)`

// repeat runs a deletion of at most trimRows rows until it finds none.
func (d *DB) repeat(ctx context.Context, query string, args ...any) error {
	for {
		r, err := d.write.ExecContext(ctx, query, append(args, trimRows)...)
		if err != nil {
			return fmt.Errorf("trim the state: %w", err)
		}
		n, err := r.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
	}
}

// errSmall says that nothing more can be deleted.
var errSmall = errors.New("nothing left to delete")

// shrink deletes the oldest history, then the oldest rounds, then the oldest incidents that are over, until the size is
// kept.
func (d *DB) shrink(ctx context.Context) error {
	for d.options.Retention.Size > 0 {
		used, err := d.used(ctx)
		if err != nil || used <= int64(d.options.Retention.Size) {
			return err
		}
		if err := d.dropOldest(ctx); errors.Is(err, errSmall) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// dropOldest deletes a step's worth of what matters least.
func (d *DB) dropOldest(ctx context.Context) error {
	for _, query := range []string{
		"DELETE FROM history WHERE (target, first) IN (SELECT target, first FROM history ORDER BY last LIMIT ?)",
		"DELETE FROM rounds WHERE (target, first) IN (SELECT target, first FROM rounds ORDER BY last LIMIT ?)",
		"DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE " + ended + " ORDER BY starts_at LIMIT ?)",
		"DELETE FROM events WHERE seq IN (SELECT seq FROM events e WHERE " + orphaned("e") + " ORDER BY seq LIMIT ?)",
		"DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries x WHERE state <> 'waiting' AND " + orphaned("x") + " ORDER BY seq LIMIT ?)",
	} {
		r, err := d.write.ExecContext(ctx, query, trimRows)
		if err != nil {
			return fmt.Errorf("shrink the state: %w", err)
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return err
		}
	}
	return errSmall
}

// used is the size of what is kept, in bytes, without free pages.
func (d *DB) used(ctx context.Context) (int64, error) {
	var pages, free, size int64
	err := d.write.QueryRowContext(ctx, "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size").Scan(&pages, &free, &size)
	if err != nil {
		return 0, fmt.Errorf("measure the state: %w", err)
	}
	return (pages - free) * size, nil
}

// giveBack returns some free pages to the file system.
func (d *DB) giveBack(ctx context.Context) error {
	rows, err := d.write.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", freePages))
	if err != nil {
		return fmt.Errorf("give room back: %w", err)
	}
	for rows.Next() { // each row frees a page
	}
	return errors.Join(rows.Err(), rows.Close())
}
