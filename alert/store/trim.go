package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// Full rounds are kept from so long before an incident's start until so long after its end, and those of the last while,
	// because they may turn out to lie before one.
	roundsBefore = 10 * time.Minute
	roundsAfter  = 5 * time.Minute
	roundsRecent = 20 * time.Minute
	// stepRows bounds what one step of trimming deletes, so that no commit waits long for it.
	stepRows = 100
	// sweepEvery is how often everything is looked through, and not only what may have become old since the last time.
	sweepEvery = time.Hour
)

// What is looked for, and how it is deleted, with an index each: of what is large no query reads more than it finds.
const (
	findOldIncidents = "SELECT id, 0 FROM incidents WHERE over_at < ?"
	findOldest       = "SELECT id, 0 FROM incidents WHERE over_at IS NOT NULL ORDER BY starts_at LIMIT 10"
	findOldEvents    = "SELECT '', seq FROM events x WHERE time < ? AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = x.incident)"
	findOldMessages  = `SELECT '', seq FROM deliveries x WHERE created < ? AND state <> 'waiting'
		AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = x.incident)`
	findSpans = `SELECT target, starts_at, over_at FROM incidents WHERE over_at IS NULL
		UNION ALL SELECT target, starts_at, over_at FROM incidents WHERE over_at >= ?`
	findRounds        = "SELECT target, first, last FROM rounds WHERE (last, target, first) > (?, ?, ?) AND last < ? ORDER BY last, target, first LIMIT ?"
	dropEventsOf      = "DELETE FROM events WHERE incident = ? AND ? = 0"
	dropMessagesOf    = "DELETE FROM deliveries WHERE incident = ? AND ? = 0 AND state <> 'waiting'"
	dropIncident      = "DELETE FROM incidents WHERE id = ? AND ? = 0"
	dropEvent         = "DELETE FROM events WHERE ? = '' AND seq = ?"
	dropMessage       = "DELETE FROM deliveries WHERE ? = '' AND seq = ? AND state <> 'waiting'"
	dropRounds        = "DELETE FROM rounds WHERE target = ? AND first = ?"
	dropOldHistory    = "DELETE FROM history WHERE (target, first) IN (SELECT target, first FROM history WHERE last < ? LIMIT ?)"
	dropOldestHistory = "DELETE FROM history WHERE (target, first) IN (SELECT target, first FROM history ORDER BY last LIMIT ?)"
	dropOldestRounds  = "DELETE FROM rounds WHERE (target, first) IN (SELECT target, first FROM rounds ORDER BY last LIMIT ?)"
)

// trimmed is how far the last trimming came.
type trimmed struct {
	// judged is until when rounds were looked at, swept when all were.
	judged, swept time.Time
}

// Trim deletes what is too old or, the oldest first, too much. What is to go is looked for beside commits and deleted in
// small steps, between which commits get their turn. Waiting messages and incidents that go on are never deleted.
func (d *DB) Trim(ctx context.Context, now time.Time) error {
	d.trimming.Lock()
	defer d.trimming.Unlock()
	db, err := d.writer(ctx)
	if err != nil {
		return full(err)
	}
	if err := d.trim(ctx, db, now); err != nil {
		return full(fmt.Errorf("delete what is old: %w", err))
	}
	return nil
}

func (d *DB) trim(ctx context.Context, db *sql.DB, now time.Time) error {
	keep := d.options.Retention
	sweep := now.Sub(d.swept).Abs() >= sweepEvery
	if keep.Incidents > 0 {
		if err := d.oldIncidents(ctx, db, now.Add(-keep.Incidents.Std()), sweep); err != nil {
			return err
		}
	}
	if keep.History > 0 {
		if err := repeat(ctx, db, dropOldHistory, nanos(now.Add(-keep.History.Std())), stepRows); err != nil {
			return err
		}
	}
	if err := d.boringRounds(ctx, db, now.Add(-roundsRecent), sweep); err != nil {
		return err
	}
	if sweep {
		d.swept = now
	}
	return d.shrink(ctx, db)
}

// oldIncidents deletes incidents that were over before a time with all that belongs to them, and what belongs to none.
func (d *DB) oldIncidents(ctx context.Context, db *sql.DB, old time.Time, sweep bool) error {
	ids, err := keys(ctx, d.read, findOldIncidents, nanos(old))
	if err != nil {
		return err
	}
	if err := d.dropIncidents(ctx, db, ids); err != nil || !sweep {
		return err
	}
	for _, x := range []struct{ find, drop string }{{findOldEvents, dropEvent}, {findOldMessages, dropMessage}} {
		found, err := keys(ctx, d.read, x.find, nanos(old))
		if err != nil {
			return err
		}
		if err := drop(ctx, db, found, x.drop); err != nil {
			return err
		}
	}
	return nil
}

// dropIncidents deletes incidents with all that belongs to them; their rounds are no longer worth keeping.
func (d *DB) dropIncidents(ctx context.Context, db *sql.DB, ids []key) error {
	if len(ids) == 0 {
		return nil
	}
	d.judged = time.Time{}
	for _, id := range ids {
		if err := drop(ctx, db, []key{id}, dropEventsOf, dropMessagesOf, dropIncident); err != nil {
			return err
		}
	}
	return nil
}

// key names a row.
type key struct {
	name string
	n    int64
}

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.name, other.name), cmp.Compare(k.n, other.n))
}

// keys looks for rows, without holding up those who write.
func keys(ctx context.Context, db *sql.DB, query string, args ...any) (out []key, err error) {
	err = rows(ctx, db, query, args, func(r *sql.Rows) error {
		var k key
		err := r.Scan(&k.name, &k.n)
		out = append(out, k)
		return err
	})
	return out, err
}

// drop deletes rows in small steps.
func drop(ctx context.Context, db *sql.DB, all []key, queries ...string) error {
	for len(all) > 0 {
		n := min(stepRows, len(all))
		if err := dropStep(ctx, db, all[:n], queries); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

func dropStep(ctx context.Context, db *sql.DB, some []key, queries []string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, query := range queries {
		stmt, err := tx.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for _, k := range some {
			if _, err := stmt.ExecContext(ctx, k.name, k.n); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

// repeat runs a deletion until it finds nothing.
func repeat(ctx context.Context, db *sql.DB, query string, args ...any) error {
	for {
		r, err := db.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
}
