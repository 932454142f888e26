package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestGone: a commit to a file that the next process would not find is no commit.
func TestGone(t *testing.T) {
	tests := map[string]func(dir string) error{
		"directory removed": os.RemoveAll,
		"directory renamed": func(dir string) error { return os.Rename(dir, dir+"-2") },
		"file removed":      func(dir string) error { return os.Remove(filepath.Join(dir, fileName)) },
		"file replaced": func(dir string) error {
			name := filepath.Join(dir, fileName)
			return errors.Join(os.Rename(name, name+"-2"), os.WriteFile(name, nil, 0o600))
		},
	}
	for name, lose := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			d := opened(t, dir)
			commit(t, d, numbered(1))
			if err := lose(dir); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := d.Commit(t.Context(), numbered(2)); !errors.Is(err, errGone) {
					t.Errorf("commit: %v", err)
				}
			}
			if err := d.Trim(t.Context(), noon); !errors.Is(err, errGone) {
				t.Errorf("trim: %v", err)
			}
			askAll(t.Context(), d)
			if info, err := os.Stat(filepath.Join(dir, fileName)); err == nil && info.Size() > 0 {
				t.Errorf("a file of %d bytes was made in its place", info.Size())
			}
		})
	}
	// What only was away for a while is used again.
	dir := filepath.Join(t.TempDir(), "state")
	d := opened(t, dir)
	commit(t, d, numbered(1))
	if err := os.Rename(dir, dir+"-2"); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(t.Context(), numbered(2)); !errors.Is(err, errGone) {
		t.Error(err)
	}
	if err := os.Rename(dir+"-2", dir); err != nil {
		t.Fatal(err)
	}
	commit(t, d, numbered(2))
	if err := expect(t.Context(), d, 2); err != nil {
		t.Error(err)
	}
}

// TestDamageWhileRunning: a file that is damaged while it is in use costs errors; the next process begins anew, or finds
// all that was acknowledged, where intact pages were written over the damage. Nothing goes silently.
func TestDamageWhileRunning(t *testing.T) {
	for name, at := range map[string]float64{"schema": 0, "second page": 0.001, "middle": 0.5, "near the end": 0.9} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := Open(t.Context(), Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			for n := range int64(50) {
				commit(t, d, numbered(n+1))
			}
			garble(t, d, at)
			askAll(t.Context(), d)
			acknowledged := 50
			for n := range int64(20) {
				switch err := d.Commit(t.Context(), numbered(100+n)); {
				case err == nil:
					acknowledged++
				case !harmless(err):
					t.Errorf("commit: %v", err)
				}
			}
			askAll(t.Context(), d)
			_ = d.Close() // it may fail, too
			again := opened(t, dir)
			if saved := load(t, again); !strings.Contains(saved.Trouble, "damaged") && len(saved.Deliveries) != acknowledged {
				t.Errorf("the next process found %d of %d deliveries, and said %q", len(saved.Deliveries), acknowledged, saved.Trouble)
			}
			commit(t, again, numbered(1))
		})
	}
}

// garble overwrites pages from a part of a file in use on.
func garble(t *testing.T, d *DB, part float64) {
	t.Helper()
	if _, err := d.write.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(d.path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	pages := info.Size() / 4096
	first := max(int64(part*float64(pages)), min(1, int64(part*1e6))) * 4096
	if first == 0 {
		first = 100 // the header stays
	}
	if _, err := f.WriteAt([]byte(strings.Repeat("rubbish ", int(max(1, pages/20))*512)), first); err != nil {
		t.Fatal(err)
	}
}

// TestGivenUp: calls that are given up at any instant leave the connection, in memory all there is, and whole batches.
func TestGivenUp(t *testing.T) {
	for name, dir := range map[string]string{"file": t.TempDir(), "memory": ""} {
		t.Run(name, func(t *testing.T) {
			d := opened(t, dir)
			commit(t, d, numbered(1))
			n, gaveUp := int64(1), 0
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Int64N(int64(2*time.Millisecond))))
				if d.Commit(ctx, numbered(n+1)) != nil {
					gaveUp++
				}
				askAll(ctx, d)
				cancel()
				// A commit may have gone through although it was given up; it is never half.
				saved := load(t, d)
				if saved.Seq != n && saved.Seq != n+1 || len(saved.Deliveries) != int(saved.Seq) {
					t.Fatalf("%d deliveries up to %d, after %d", len(saved.Deliveries), saved.Seq, n)
				}
				n = saved.Seq
			}
			if gaveUp == 0 {
				t.Error("no commit was given up")
			}
			t.Logf("%d of 100 commits were given up", gaveUp)
		})
	}
}

// TestIncomplete: a sound file of the right version that lacks what is used is no state.
func TestIncomplete(t *testing.T) {
	for _, change := range []string{
		"DROP TABLE rounds", "DROP TABLE highest", "DROP TABLE history", "ALTER TABLE incidents RENAME COLUMN layers TO layer2", "ALTER TABLE state RENAME TO state2",
	} {
		dir := t.TempDir()
		d, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.write.Exec(change); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		again := opened(t, dir)
		if saved := load(t, again); !strings.Contains(saved.Trouble, "corrupt-") {
			t.Errorf("%s: %q", change, saved.Trouble)
		}
		commit(t, again, numbered(1))
	}
}
