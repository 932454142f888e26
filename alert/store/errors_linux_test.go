package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestIOErrors: a disk that fails is no damage: nothing is moved, and when it works again, all goes on.
func TestIOErrors(t *testing.T) {
	if err := child(t, "io-errors", t.TempDir()).Run(); err != nil {
		t.Error(err)
	}
}

// TestNobody: who may not use a state hears that, and moves nothing. Root, who may, becomes somebody else for it.
func TestNobody(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := child(t, "nobody", dir).Run(); err != nil {
		t.Error(err)
	}
}

// onBadDisk uses a disk on which every write beyond some size fails, with another error than that of a full one.
func onBadDisk(dir string) error {
	ctx := context.Background()
	d, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		return err
	}
	if err := d.Commit(ctx, numbered(1)); err != nil {
		return err
	}
	heal, err := breakDisk(64 << 10)
	if err != nil {
		return err
	}
	n := int64(2)
	for err == nil && n < 1000 {
		if err = d.Commit(ctx, numbered(n)); err == nil {
			n++
		}
	}
	if err == nil || errors.Is(err, ErrFull) || damaged(err) {
		return fmt.Errorf("a commit to a bad disk: %w", err)
	}
	if err := expect(ctx, d, n-1); err != nil {
		return fmt.Errorf("reading from a bad disk: %w", err)
	}
	if err := heal(); err != nil {
		return err
	}
	if err := errors.Join(d.Commit(ctx, numbered(n)), expect(ctx, d, n), d.Close()); err != nil {
		return fmt.Errorf("with the disk healed: %w", err)
	}
	return beginOnBadDisk(ctx, dir, n)
}

// beginOnBadDisk opens a state on a disk that cannot be written at all.
func beginOnBadDisk(ctx context.Context, dir string, last int64) error {
	heal, err := breakDisk(1)
	if err != nil {
		return err
	}
	if d, err := Open(ctx, Options{Dir: dir}); err == nil {
		err = d.Commit(ctx, numbered(last+1))
		if err == nil || damaged(err) {
			return fmt.Errorf("a commit to a bad disk after a begin on it: %w", err)
		}
		if err := d.Close(); err != nil {
			return err
		}
	} else if damaged(err) {
		return fmt.Errorf("a begin on a bad disk: %w", err)
	}
	if err := heal(); err != nil {
		return err
	}
	if aside, err := filepath.Glob(filepath.Join(dir, "*corrupt*")); err != nil || len(aside) > 0 {
		return fmt.Errorf("moved aside: %v, %w", aside, err)
	}
	d, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		return err
	}
	return errors.Join(expect(ctx, d, last), d.Close())
}

// breakDisk makes writes of this process beyond a size fail with EFBIG.
func breakDisk(size uint64) (heal func() error, err error) {
	signal.Ignore(unix.SIGXFSZ)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		return nil, err
	}
	heal = func() error { return unix.Setrlimit(unix.RLIMIT_FSIZE, &was) }
	return heal, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: was.Max})
}

// asNobody tries a state that is forbidden to be read, to be written, or to have anything beside it.
func asNobody(dir string) error {
	ctx, state := context.Background(), filepath.Join(dir, "state")
	d, err := Open(ctx, Options{Dir: state})
	if err != nil {
		return err
	}
	if err := errors.Join(d.Commit(ctx, numbered(1)), d.Close()); err != nil {
		return err
	}
	if err := becomeNobody(state); err != nil {
		return err
	}
	file := filepath.Join(state, fileName)
	for _, mode := range []struct {
		dir, file fs.FileMode
		read      bool
	}{{0o700, 0, false}, {0o700, 0o400, true}, {0o500, 0o600, true}, {0o500, 0o400, true}, {0, 0o600, false}} {
		if err := errors.Join(os.Chmod(file, mode.file), os.Chmod(state, mode.dir)); err != nil {
			return err
		}
		if err := forbidden(ctx, state, mode.read); err != nil {
			return fmt.Errorf("the directory is %v, the file %v: %w", mode.dir, mode.file, err)
		}
		if err := os.Chmod(state, 0o700); err != nil {
			return err
		}
		for _, suffix := range []string{"-wal", "-shm"} { // readers leave them; with them, a directory need not be writable
			if err := os.Remove(file + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if err := os.Chmod(file, 0o600); err != nil {
		return err
	}
	if d, err = Open(ctx, Options{Dir: state}); err != nil {
		return err
	}
	return errors.Join(d.Commit(ctx, numbered(2)), expect(ctx, d, 2), d.Close())
}

// becomeNobody gives a directory to nobody, and is nobody from then on, unless this process is not root's anyway.
func becomeNobody(state string) error {
	const nobody = 65534
	if os.Getuid() != 0 {
		return nil
	}
	all, err := filepath.Glob(filepath.Join(state, "*"))
	if err != nil {
		return err
	}
	for _, name := range append(all, state) {
		if err := os.Chown(name, nobody, nobody); err != nil {
			return err
		}
	}
	return errors.Join(unix.Setgroups(nil), unix.Setgid(nobody), unix.Setuid(nobody))
}

// forbidden tries to write, and to read, what may be allowed.
func forbidden(ctx context.Context, state string, mayRead bool) error {
	if d, err := Open(ctx, Options{Dir: state}); err == nil || damaged(err) || errors.Is(err, ErrFull) {
		if err == nil {
			err = errors.Join(errors.New("no error"), d.Commit(ctx, numbered(2)), d.Close())
		}
		return fmt.Errorf("opened: %w", err)
	} else if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("it does not say that it is forbidden: %w", err)
	}
	d, err := OpenReadOnly(ctx, state)
	if mayRead {
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		return errors.Join(expect(ctx, d, 1), d.Close())
	}
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("read what is forbidden: %w", err)
	}
	return nil
}
