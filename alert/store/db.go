package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// fileName is the database within the state directory.
const fileName = "whichlayer.db"

// ErrNoState says that a directory holds no state.
var ErrNoState = errors.New("there is no state")

// Options say where and how to keep.
type Options struct {
	// Dir is the state directory; empty is memory.
	Dir       string
	Retention config.Retention
	Log       *slog.Logger
	// Pages bounds the file, in pages of 4 KiB; 0 is SQLite's own bound. What does not fit fails as on a full disk.
	Pages int
}

// DB is an open state.
type DB struct {
	options Options
	// write has one connection, so that commits come one after the other; read has several, or is write in memory.
	write, read *sql.DB
	lock        *os.File
	trouble     string
	codec       *codec

	closing sync.Once
}

var _ alert.Store = (*DB)(nil)

// Open opens the state directory for writing, and makes it if it is not there. Only one process can have it open so.
func Open(ctx context.Context, o Options) (*DB, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	d := &DB{options: o, codec: c}
	if o.Dir == "" {
		return d, d.connect(ctx)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	if d.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	err = d.connect(ctx)
	if err != nil && damaged(err) {
		err = d.begin(ctx, err)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// OpenReadOnly opens the state of a process that runs, or ran, to read it.
func OpenReadOnly(ctx context.Context, dir string) (*DB, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w in %q", ErrNoState, dir)
		}
		return nil, fmt.Errorf("open the state: %w", err)
	}
	var last error
	for _, more := range []string{"", "&immutable=1"} { // immutable reads a file on a read-only disk, without its log
		db, err := sql.Open("sqlite", dsn(path)+"&mode=ro&_pragma=query_only(1)"+more)
		if err != nil {
			return nil, fmt.Errorf("open the state: %w", err)
		}
		var version int
		if last = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); last != nil {
			_ = db.Close()
			continue
		}
		if version != len(steps) {
			return nil, errors.Join(fmt.Errorf("the state in %q has version %d, this program reads version %d: start whichlayer run once", dir, version, len(steps)), db.Close())
		}
		return &DB{options: Options{Dir: dir}, read: db, codec: c}, nil
	}
	return nil, fmt.Errorf("open the state in %q: %w", dir, last)
}

// dsn names a file with what every connection to it needs.
func dsn(path string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	return u.String() + "?_pragma=busy_timeout(5000)"
}

// connect opens the file, looks whether it is sound, and brings it up to date.
func (d *DB) connect(ctx context.Context) (err error) {
	name := "file::memory:?_pragma=temp_store(2)"
	if d.options.Dir != "" {
		path := filepath.Join(d.options.Dir, fileName)
		if err := private(path); err != nil {
			return err
		}
		name = dsn(path) + "&_pragma=auto_vacuum(2)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	}
	if d.options.Pages > 0 {
		name += fmt.Sprintf("&_pragma=max_page_count(%d)", d.options.Pages)
	}
	if d.write, err = sql.Open("sqlite", name); err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	d.write.SetMaxOpenConns(1)
	d.write.SetConnMaxIdleTime(0)
	d.read = d.write
	if d.options.Dir != "" {
		if d.read, err = sql.Open("sqlite", dsn(filepath.Join(d.options.Dir, fileName))+"&_pragma=query_only(1)"); err != nil {
			return fmt.Errorf("open the state: %w", err)
		}
		d.read.SetMaxOpenConns(4)
	}
	if err := sound(ctx, d.write); err != nil {
		return err
	}
	return migrate(ctx, d.write)
}

// private makes the file, for its owner alone, or takes others' permissions away.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	err = f.Chmod(0o600)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	return nil
}

// Close ends the use of the state. It may be called more than once.
func (d *DB) Close() (err error) {
	d.closing.Do(func() {
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
	})
	if err != nil {
		return fmt.Errorf("close the state: %w", err)
	}
	return nil
}

func nanos(t time.Time) int64 { return t.UnixNano() }

func instant(n int64) time.Time { return time.Unix(0, n).UTC() }
