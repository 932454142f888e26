package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDisk fills a real file system; TestReadOnlyDisk reads from one that cannot be written.
func TestFullDisk(t *testing.T) { inNamespace(t, "full") }

func TestReadOnlyDisk(t *testing.T) { inNamespace(t, "read-only") }

// inNamespace plays a role in a mount namespace of its own.
func inNamespace(t *testing.T, role string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: only root can mount a file system")
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: no mount namespaces here: %v %s", err, out)
	}
	cmd := child(t, role, t.TempDir(), "unshare", "--mount", "--propagation", "private", "--")
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

// onFullDisk commits until the disk is full, then makes room; with a process that begins while it is full.
func onFullDisk(dir string) error {
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=2m"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	ctx, state, ballast := context.Background(), filepath.Join(dir, "state"), filepath.Join(dir, "ballast")
	d, err := Open(ctx, Options{Dir: state})
	if err != nil {
		return err
	}
	last, err := untilFull(ctx, d, 1)
	if err != nil {
		return err
	}
	for range 3 { // it stays so, and nothing breaks
		if err := d.Commit(ctx, numbered(last+1)); !errors.Is(err, ErrFull) {
			return fmt.Errorf("a commit on a full disk: %w", err)
		}
	}
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT, "size=8m"); err != nil {
		return fmt.Errorf("make room: %w", err)
	}
	if err := d.Commit(ctx, numbered(last+1)); err != nil {
		return fmt.Errorf("a commit when there is room again: %w", err)
	}
	if err := d.Close(); err != nil {
		return err
	}
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("ballast: %w", err)
	}
	return beginFull(ctx, state, ballast, last+1)
}

// untilFull commits numbers until there is no room, and returns the last one that was committed.
func untilFull(ctx context.Context, d *DB, n int64) (int64, error) {
	for ; n < 100_000; n++ {
		switch err := d.Commit(ctx, numbered(n)); {
		case errors.Is(err, ErrFull):
			return n - 1, expect(ctx, d, n-1)
		case err != nil:
			return 0, fmt.Errorf("commit %d: %w", n, err)
		}
	}
	return 0, errors.New("it never became full")
}

// beginFull opens a state on a full disk: what is there is read, commits fail until there is room.
func beginFull(ctx context.Context, state, ballast string, last int64) error {
	d, err := Open(ctx, Options{Dir: state})
	if err != nil {
		return fmt.Errorf("begin on a full disk: %w", err)
	}
	if err := expect(ctx, d, last); err != nil {
		return fmt.Errorf("begin on a full disk: %w", err)
	}
	if err := d.Commit(ctx, numbered(last+1)); !errors.Is(err, ErrFull) {
		return fmt.Errorf("a commit after a begin on a full disk: %w", err)
	}
	if err := d.Trim(ctx, noon); !errors.Is(err, ErrFull) {
		return fmt.Errorf("trim after a begin on a full disk: %w", err)
	}
	if saved, err := d.Load(ctx); err != nil || !strings.Contains(saved.Trouble, ErrFull.Error()) {
		return fmt.Errorf("the trouble is %+v, %w", saved, err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := d.Commit(ctx, numbered(last+1)); err != nil {
		return fmt.Errorf("a commit with room: %w", err)
	}
	if err := d.Close(); err != nil {
		return err
	}
	if d, err = Open(ctx, Options{Dir: state}); err != nil {
		return err
	}
	return errors.Join(expect(ctx, d, last+1), d.Close(), beginEmpty(ctx, filepath.Join(filepath.Dir(state), "other"), ballast))
}

// beginEmpty begins where nothing ever was, on a full disk.
func beginEmpty(ctx context.Context, state, ballast string) error {
	if err := os.Mkdir(state, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("ballast: %w", err)
	}
	d, err := Open(ctx, Options{Dir: state})
	if err != nil {
		return fmt.Errorf("begin with nothing on a full disk: %w", err)
	}
	if err := d.Commit(ctx, numbered(1)); !errors.Is(err, ErrFull) {
		return fmt.Errorf("a commit after a begin with nothing: %w", err)
	}
	if err := errors.Join(os.Remove(ballast), d.Commit(ctx, numbered(1)), d.Close()); err != nil {
		return fmt.Errorf("with room: %w", err)
	}
	return nil
}

// onReadOnlyDisk reads a state on a disk that cannot be written, after a daemon ended, and after one was killed.
func onReadOnlyDisk(dir string) error {
	ctx := context.Background()
	d, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		return err
	}
	if err := d.Commit(ctx, numbered(1)); err != nil {
		return err
	}
	killed := filepath.Join(dir, "killed")
	for _, name := range []string{"", "-wal", "-shm"} { // a daemon that was killed leaves its log
		data, err := os.ReadFile(d.path() + name)
		if err != nil {
			return err
		}
		if err := errors.Join(os.MkdirAll(killed, 0o700), os.WriteFile(filepath.Join(killed, fileName+name), data, 0o600)); err != nil {
			return err
		}
	}
	if err := d.Close(); err != nil {
		return err
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := unix.Mount("none", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make it read-only: %w", err)
	}
	for _, dir := range []string{dir, killed} {
		d, err := OpenReadOnly(ctx, dir)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := errors.Join(expect(ctx, d, 1), d.Close()); err != nil {
			return fmt.Errorf("read %q: %w", dir, err)
		}
	}
	if _, err := Open(ctx, Options{Dir: dir}); err == nil || damaged(err) {
		return fmt.Errorf("opened for writing: %w", err)
	}
	return nil
}
