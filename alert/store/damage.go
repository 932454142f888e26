package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// soundTime bounds how long a large file is looked through when it is opened: nobody watches meanwhile.
const soundTime = 5 * time.Second

// errDamaged says that the file is not what was written.
var errDamaged = errors.New("the state is damaged")

// resultCode is SQLite's extended result code of an error (https://sqlite.org/rescode.html); 0 of another error.
func resultCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// damaged tells that an error comes from what stands in the file, and not from the disk or the permissions.
func damaged(err error) bool {
	code := resultCode(err) & 0xff // the primary one
	return errors.Is(err, errDamaged) || code == lib.SQLITE_CORRUPT || code == lib.SQLITE_NOTADB
}

// needed are the tables without which nothing goes on; they are small.
var needed = []string{"state", "deliveries", "incidents", "events"}

// sound looks for damage: in what is needed, then in all else as far as time allows.
func sound(ctx context.Context, db *sql.DB) error {
	for _, table := range needed {
		var there int
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", table).Scan(&there)
		if err == nil && there > 0 {
			err = check(ctx, db, "PRAGMA quick_check('"+table+"')")
		}
		if resultCode(err)&0xff == lib.SQLITE_ERROR { // such as a format of which SQLite knows nothing
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		if err != nil {
			return fmt.Errorf("look through the state: %w", err)
		}
	}
	limited, cancel := context.WithTimeout(ctx, soundTime)
	defer cancel()
	if err := check(limited, db, "PRAGMA quick_check(1)"); err != nil && (limited.Err() == nil || ctx.Err() != nil) {
		return fmt.Errorf("look through the state: %w", err)
	}
	return nil
}

// foreign tells that a file's header names a format that SQLite would only read, or not even that
// (https://sqlite.org/fileformat2.html#file_format_version_numbers).
func foreign(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	defer f.Close()
	var header [20]byte
	if n, err := f.ReadAt(header[:], 0); n < len(header) {
		if errors.Is(err, io.EOF) {
			return nil // it is new, or SQLite sees that it is none of its files
		}
		return fmt.Errorf("read the state: %w", err)
	}
	if header[18] > 2 || header[19] > 2 {
		return fmt.Errorf("%w: its format is %d/%d", errDamaged, header[18], header[19])
	}
	return nil
}

// complete tells that every table has the columns that are used: what is there may be sound and still not ours.
func complete(ctx context.Context, db *sql.DB) error {
	for _, columns := range []string{
		"id, target, state, starts_at, ends_at, over_at, opened_at, layer, cause, confidence, layers, reopened, json FROM incidents",
		"seq, incident, target, time, kind, json FROM events",
		"seq, receiver, incident, transition, state, created, settled, attempts, error, json FROM deliveries",
		"key, value FROM state", "what, seq FROM highest", "target, first, last, n, data FROM rounds",
		"target, first, last, state, layer, cause, rounds, front_sum, front_max FROM history",
	} {
		err := check(ctx, db, "SELECT 'ok' FROM (SELECT count(*) FROM (SELECT "+columns+" LIMIT 0))")
		if resultCode(err)&0xff == lib.SQLITE_ERROR {
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		if err != nil {
			return fmt.Errorf("look through the state: %w", err)
		}
	}
	return nil
}

func check(ctx context.Context, db *sql.DB, query string) error {
	var word string
	if err := db.QueryRowContext(ctx, query).Scan(&word); err != nil {
		return err
	}
	if word != "ok" {
		lines := strings.Split(strings.TrimSpace(word), "\n") // the first one names the database
		return fmt.Errorf("%w: %s", errDamaged, lines[min(1, len(lines)-1)])
	}
	return nil
}

// beginAnew moves a damaged file aside and begins a new one.
func (d *DB) beginAnew(ctx context.Context, why error) error {
	aside := d.path() + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000Z")
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(d.path()+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move the damaged state aside: %w (it was moved because: %w)", err, why)
		}
	}
	d.trouble = fmt.Sprintf("%v; the old file is %s now, and a new one was begun", why, aside)
	d.log.Error("the state is damaged: it was moved aside and begun anew", "error", why, "aside", aside)
	return d.connect(ctx)
}
