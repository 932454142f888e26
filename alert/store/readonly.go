package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNoState says that a directory holds no state.
var ErrNoState = errors.New("there is no state")

// errReadOnly says that a state was opened to be read.
var errReadOnly = errors.New("the state is open for reading only")

// OpenReadOnly opens the state of a process that runs, or ran, to read it. It changes nothing and holds nothing up.
func OpenReadOnly(ctx context.Context, dir string) (*DB, error) {
	path := filepath.Join(dir, fileName)
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, fmt.Errorf("%w in %q: no file %s is there that 'whichlayer run' has written", ErrNoState, dir, fileName)
	} else if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	if f, err := os.Open(path); err != nil { // SQLite would only say that it could not
		return nil, fmt.Errorf("open the state: %w", err)
	} else if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	d, err := newDB(Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	if d.read, err = openToRead(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("open the state in %q: %w", dir, err), d.Close())
	}
	return d, nil
}

// openToRead opens a file that may be in use, else one on a disk that cannot be written: there no log can be made beside
// it, so that it must be taken as it is.
func openToRead(ctx context.Context, path string) (*sql.DB, error) {
	var first error
	for _, more := range []string{"mode=ro", "mode=ro&immutable=1"} {
		db, err := sql.Open("sqlite", dsn(path, "_pragma=query_only(1)", more))
		if err == nil {
			db.SetMaxOpenConns(readers)
			if err = readable(ctx, db); err == nil {
				return db, nil
			}
			_ = db.Close() // nothing was read
		}
		if first == nil {
			first = err
		}
		if errors.Is(err, errVersion) || damaged(err) {
			break
		}
	}
	return nil, first
}

// readable tells that the file has the version that is read here.
func readable(ctx context.Context, db *sql.DB) error {
	version, err := versionOf(ctx, db)
	switch {
	case err != nil:
		return err
	case version < len(steps):
		return fmt.Errorf("%w: it is %d, this program reads %d; 'whichlayer run' of this version brings it up to date", errVersion, version, len(steps))
	}
	return nil
}
