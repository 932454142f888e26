package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"syscall"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/whichlayer/whichlayer/alert"
)

// ErrFull says that there is no room to write.
var ErrFull = errors.New("there is no room for the state")

// full marks an error that only means a lack of room. SQLite has a code of its own for the file itself; of the log's index
// (the file -shm) it says that it could not be made longer.
func full(err error) error {
	if err == nil || errors.Is(err, ErrFull) {
		return err
	}
	code := resultCode(err)
	if code&0xff == lib.SQLITE_FULL || code == lib.SQLITE_IOERR_SHMSIZE || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// beginWithoutRoom reads what an earlier process left, with no more room than there is. Commits try to open the file.
func (d *DB) beginWithoutRoom(ctx context.Context, why error) error {
	d.early = &alert.Saved{State: map[string][]byte{}}
	err := d.readEarly(ctx)
	d.early.Trouble = why.Error()
	if err != nil {
		// Whatever numbers were given before, those that follow are higher.
		d.early.Seq = time.Now().UnixNano()
		d.early.Trouble += fmt.Sprintf("; what an earlier process left cannot be read: %v", err)
	}
	d.log.Error("there is no room for the state: everything goes on from memory", "error", d.early.Trouble)
	return nil
}

// readEarly reads the file while nobody else can: the index of its log is then kept in memory and needs no room.
func (d *DB) readEarly(ctx context.Context) error {
	db, err := sql.Open("sqlite", dsn(d.path(), "_pragma=locking_mode(EXCLUSIVE)"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	version, err := versionOf(ctx, db)
	switch {
	case err != nil:
		return err
	case version == 0:
		return nil // nothing was ever written
	case version < len(steps):
		return fmt.Errorf("%w: it is %d, and there is no room to bring it to %d", errVersion, version, len(steps))
	}
	d.early, err = d.load(ctx, db)
	if err != nil {
		d.early = &alert.Saved{State: map[string][]byte{}}
	}
	return err
}

// writer is what commits; it opens the file if there was no room before.
func (d *DB) writer(ctx context.Context) (*sql.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, errClosed
	case d.write == nil && d.early == nil:
		return nil, errReadOnly
	case d.write == nil:
		err := d.connect(ctx)
		if damaged(err) {
			err = d.beginAnew(ctx, err)
		}
		if err != nil {
			return nil, fmt.Errorf("there was no room for the state: %w", err)
		}
		d.log.Info("there is room for the state again")
	}
	return d.write, d.inPlace()
}
