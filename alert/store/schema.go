package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	lib "modernc.org/sqlite/lib"
)

// steps are the migrations: step n makes version n+1 of version n. They are only ever added to.
var steps = []string{`
CREATE TABLE incidents (
	id TEXT PRIMARY KEY, target TEXT NOT NULL, state TEXT NOT NULL, starts_at INTEGER NOT NULL, ends_at INTEGER,
	layer TEXT NOT NULL, cause TEXT NOT NULL, confidence TEXT NOT NULL, json BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX incidents_by_start ON incidents (starts_at);
CREATE TABLE events (
	seq INTEGER PRIMARY KEY, incident TEXT NOT NULL, target TEXT NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL,
	json BLOB NOT NULL);
CREATE INDEX events_by_incident ON events (incident, seq);
CREATE TABLE deliveries (
	seq INTEGER PRIMARY KEY, receiver TEXT NOT NULL, incident TEXT NOT NULL, state TEXT NOT NULL, created INTEGER NOT NULL,
	json BLOB NOT NULL);
CREATE INDEX deliveries_that_wait ON deliveries (seq) WHERE state = 'waiting';
CREATE INDEX deliveries_by_incident ON deliveries (incident, seq);
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE rounds (
	target TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,
	PRIMARY KEY (target, first)) WITHOUT ROWID;
CREATE INDEX rounds_by_age ON rounds (last);
CREATE TABLE history (
	target TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, state TEXT NOT NULL, layer TEXT NOT NULL,
	cause TEXT NOT NULL, rounds INTEGER NOT NULL, front_sum REAL NOT NULL, front_max REAL NOT NULL,
	PRIMARY KEY (target, first)) WITHOUT ROWID;
CREATE INDEX history_by_age ON history (last);
`,
	// An incident's over_at is when it was over, NULL while it goes on; its layers are all that are suspected, each between
	// spaces. An event is kept once, even if a commit had gone through that seemed to fail and was repeated.
	`
ALTER TABLE incidents ADD COLUMN over_at INTEGER;
ALTER TABLE incidents ADD COLUMN opened_at INTEGER;
ALTER TABLE incidents ADD COLUMN reopened INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN layers TEXT NOT NULL DEFAULT '';
UPDATE incidents SET layers = ' ' || layer || ' ';
UPDATE incidents SET over_at = coalesce(ends_at, starts_at) WHERE state IN ('resolved', 'dismissed');
CREATE INDEX incidents_by_target ON incidents (target, starts_at);
ALTER TABLE deliveries ADD COLUMN transition TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN settled INTEGER;
ALTER TABLE deliveries ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN error TEXT NOT NULL DEFAULT '';
CREATE TABLE highest (what TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO highest SELECT 'delivery', coalesce(max(seq), 0) FROM deliveries;
DELETE FROM events WHERE kind <> 'gap' AND seq NOT IN (SELECT min(seq) FROM events GROUP BY incident, target, time, kind);
CREATE UNIQUE INDEX events_once ON events (incident, target, time, kind) WHERE kind <> 'gap';
`,
	"CREATE INDEX incidents_by_end ON incidents (over_at);",
}

// errVersion says that a file has another version than the one that is read here.
var errVersion = errors.New("the state's version does not fit")

// versionOf is the version of a file, 0 of an empty one; an error if it is newer than this program.
func versionOf(ctx context.Context, db *sql.DB) (version int, err error) {
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("read the version of the state: %w", err)
	}
	switch {
	case version < 0:
		return 0, fmt.Errorf("%w: its version is %d", errDamaged, version)
	case version > len(steps):
		return version, fmt.Errorf("%w: it was written by a newer whichlayer: it is %d, this program knows %d", errVersion, version, len(steps))
	}
	return version, nil
}

// migrate brings a file to the version that this program knows, each step as a whole or not at all.
func migrate(ctx context.Context, db *sql.DB) error {
	version, err := versionOf(ctx, db)
	if err != nil {
		return err
	}
	for ; version < len(steps); version++ {
		err := step(ctx, db, version)
		if code := resultCode(err) & 0xff; code == lib.SQLITE_ERROR || code == lib.SQLITE_CONSTRAINT {
			err = fmt.Errorf("%w: it does not hold what its version should: %w", errDamaged, err)
		}
		if err != nil {
			return fmt.Errorf("bring the state to version %d: %w", version+1, err)
		}
	}
	return nil
}

func step(ctx context.Context, db *sql.DB, version int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, steps[version]); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
		return err
	}
	return tx.Commit()
}
