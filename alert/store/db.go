package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

const (
	// fileName is the database within the state directory.
	fileName = "whichlayer.db"
	// readers bounds how many questions are answered at once.
	readers = 4
	// maxLog is to how many bytes the write-ahead log is cut back after it was longer.
	maxLog = 16 << 20
)

// Options say where and how to keep.
type Options struct {
	// Dir is the state directory; empty is memory.
	Dir       string
	Retention config.Retention
	// Log may be nil.
	Log *slog.Logger
}

// DB is an open state. Its methods may be called from several goroutines.
type DB struct {
	options Options
	log     *slog.Logger
	codec   *codec
	lock    *os.File

	// mu guards what changes when a file is opened late; see (*DB).writer.
	mu sync.Mutex
	// write has one connection, so that commits come one after the other; it is nil when only reading, and until there is
	// room for a file. read has several, or is write in memory.
	write, read *sql.DB
	// file is what write has open.
	file    os.FileInfo
	closed  bool
	trouble string
	// early is what was read of a file that could not be opened for writing, for want of room.
	early *alert.Saved

	trimming sync.Mutex
	trimmed
}

var _ alert.Store = (*DB)(nil)

// Open opens the state directory for writing, and makes it if it is not there. Only one process can have it open so. A
// file that is damaged is moved aside; without room for one, what was there is read, and commits try again.
func Open(ctx context.Context, o Options) (*DB, error) {
	d, err := newDB(o)
	if err != nil {
		return nil, err
	}
	if o.Dir == "" {
		err = d.connect(ctx)
	} else {
		err = d.openDir(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func newDB(o Options) (*DB, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	d := &DB{options: o, log: o.Log, codec: c}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	return d, nil
}

func (d *DB) openDir(ctx context.Context) (err error) {
	if err := os.MkdirAll(d.options.Dir, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	if d.lock, err = lockDir(d.options.Dir); err != nil {
		return err
	}
	err = d.connect(ctx)
	if damaged(err) {
		err = d.beginAnew(ctx, err)
	}
	if errors.Is(err, ErrFull) {
		return d.beginWithoutRoom(ctx, err)
	}
	return err
}

// path is the database's file.
func (d *DB) path() string { return filepath.Join(d.options.Dir, fileName) }

// dsn names a file with pragmas for every connection to it, in their order.
func dsn(path string, more ...string) string {
	if !filepath.IsAbs(path) {
		path = "./" + path // else a colon in it could be taken for a scheme
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	return u.String() + "?" + strings.Join(append([]string{"_pragma=busy_timeout(5000)"}, more...), "&")
}

// names are how the database is opened, to write and to read.
func (d *DB) names() ([]string, error) {
	const vacuum = "_pragma=auto_vacuum(2)"
	if d.options.Dir == "" {
		return []string{"file::memory:?_pragma=temp_store(2)&" + vacuum}, nil
	}
	pragmas := []string{
		"_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)", fmt.Sprintf("_pragma=journal_size_limit(%d)", maxLog), "_txlock=immediate",
	}
	var err error
	if d.file, err = private(d.path()); err != nil {
		return nil, err
	}
	if err = foreign(d.path()); err != nil {
		return nil, err
	}
	if d.file.Size() == 0 {
		pragmas = append([]string{vacuum}, pragmas...) // of a file that has something in it, it would only write
	}
	const exists = "mode=rw" // else a connection that is opened later would make a file where ours was removed
	return []string{dsn(d.path(), append(pragmas, exists)...), dsn(d.path(), "_pragma=query_only(1)", exists)}, nil
}

// connect opens the file, looks whether it is sound, and brings it up to date. On an error nothing is left open.
func (d *DB) connect(ctx context.Context) error {
	names, err := d.names()
	if err != nil {
		return err
	}
	var dbs []*sql.DB
	for _, name := range names {
		db, err := sql.Open("sqlite", name)
		if err != nil {
			return fmt.Errorf("open the state: %w", err)
		}
		dbs = append(dbs, db)
	}
	write, read := dbs[0], dbs[len(dbs)-1]
	read.SetMaxOpenConns(readers)
	write.SetMaxOpenConns(1)
	if err = sound(ctx, write); err == nil {
		err = migrate(ctx, write)
	}
	if err == nil {
		err = complete(ctx, write)
	}
	if err == nil {
		err = writable(ctx, write)
	}
	if err != nil {
		for _, db := range dbs {
			_ = db.Close() // the error before says more
		}
		return full(denied(err))
	}
	d.write, d.read = write, read
	return nil
}

// writable tells that a commit can begin. It cannot where no files may be made beside the database.
func writable(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	return tx.Rollback()
}

// denied marks an error that only means a lack of permissions.
func denied(err error) error {
	if resultCode(err)&0xff == lib.SQLITE_READONLY {
		return fmt.Errorf("%w to write the state or beside it: %w", fs.ErrPermission, err)
	}
	return err
}

// private makes the file, for its owner alone, or takes others' permissions away, and those of what SQLite left beside it.
func private(path string) (os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, full(fmt.Errorf("open the state: %w", err))
	}
	info, err := f.Stat()
	err = errors.Join(err, f.Chmod(0o600), f.Close())
	for _, suffix := range []string{"-wal", "-shm"} {
		if e := os.Chmod(path+suffix, 0o600); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	return info, nil
}

// errGone says that what is written would be lost: nobody would find it.
var errGone = errors.New("the state was removed or replaced while it was in use; a restart begins anew")

// inPlace tells that the file is still where the next process looks for it. SQLite goes on to write to one that is not.
func (d *DB) inPlace() error {
	if d.file == nil { // in memory
		return nil
	}
	info, err := os.Stat(d.path())
	if err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	if !os.SameFile(info, d.file) {
		return fmt.Errorf("%w: %s is another file", errGone, d.path())
	}
	return nil
}

// errClosed is what is left after Close.
var errClosed = errors.New("the state is closed")

// Close ends the use of the state. It may be called more than once.
func (d *DB) Close() (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if d.read != nil && d.read != d.write {
		err = errors.Join(err, d.read.Close())
	}
	if d.write != nil {
		err = errors.Join(err, d.write.Close())
	}
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	d.codec.Close()
	if err != nil {
		return fmt.Errorf("close the state: %w", err)
	}
	return nil
}

// reader is what answers questions.
func (d *DB) reader() (*sql.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, errClosed
	case d.read == nil:
		return nil, ErrFull
	}
	return d.read, nil
}

// nanos is an instant as it is stored. Those before 1678 and after 2262 become the first and the last that can be.
func nanos(t time.Time) int64 {
	switch s := t.Unix(); {
	case s < math.MinInt64/int64(time.Second):
		return math.MinInt64
	case s >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// moment is an instant that may not be known; NULL then.
func moment(t *time.Time) any {
	if t == nil || t.IsZero() {
		return nil
	}
	return nanos(*t)
}

func instant(n int64) time.Time { return time.Unix(0, n).UTC() }
