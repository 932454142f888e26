package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// ErrFull says that there is no room to write.
var ErrFull = errors.New("there is no room for the state")

// errDamaged says that the file is not what was written.
var errDamaged = errors.New("the state is damaged")

// primary is the first byte of SQLite's result code (https://sqlite.org/rescode.html); 0 for another error.
func primary(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// damaged tells that an error comes from what stands in the file, and not from the disk or the permissions.
func damaged(err error) bool {
	code := primary(err)
	return errors.Is(err, errDamaged) || code == lib.SQLITE_CORRUPT || code == lib.SQLITE_NOTADB
}

// full marks an error that only means a lack of room.
func full(err error) error {
	if primary(err) == lib.SQLITE_FULL {
		return errors.Join(ErrFull, err)
	}
	return err
}

// sound looks for damage. It reads the whole file once, some 100 MB a second.
func sound(ctx context.Context, db *sql.DB) error {
	var word string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&word); err != nil {
		return fmt.Errorf("check the state: %w", err)
	}
	if word != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, word)
	}
	return nil
}

// begin moves a damaged file aside and begins a new one.
func (d *DB) begin(ctx context.Context, why error) error {
	for _, db := range []*sql.DB{d.write, d.read} {
		if db != nil {
			_ = db.Close() // it could not even be read
		}
	}
	d.write, d.read = nil, nil
	path := filepath.Join(d.options.Dir, fileName)
	aside := path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000Z")
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("move the damaged state aside: %w", err)
		}
	}
	d.trouble = fmt.Sprintf("%v; the old file is %s now, and a new one was begun", why, aside)
	d.options.Log.Error("the state is damaged: it was moved aside and begun anew", "error", why, "aside", aside)
	return d.connect(ctx)
}
