package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// written is a state that was closed, as its file.
func written(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	d, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(20) {
		commit(t, d, numbered(n+1))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDamage: whatever happened to the file, a daemon begins, and says what it found where.
func TestDamage(t *testing.T) {
	sound := written(t)
	garble := func(from, to int) []byte {
		b := bytes.Clone(sound)
		for i := from; i < to; i++ {
			b[i] = byte(i*7 + 3)
		}
		return b
	}
	tests := map[string]struct {
		file, wal []byte
		aside     bool
	}{
		"sound":        {sound, nil, false},
		"empty":        {[]byte{}, nil, false},
		"no database":  {[]byte(strings.Repeat("this is a log file\n", 1000)), nil, true},
		"header":       {garble(0, 100), nil, true},
		"short":        {[]byte("SQLite format 3\x00"), nil, true},
		"page":         {garble(4096, 8192), nil, true},
		"last page":    {garble(len(sound)-4096, len(sound)), nil, true},
		"cut":          {sound[:len(sound)/2], nil, true},
		"garbage log":  {sound, []byte(strings.Repeat("garbage", 5000)), false}, // no frame of it has the right checksum
		"all zero":     {make([]byte, 40960), nil, true},
		"another kind": {append([]byte("\x1f\x8b"), sound...), nil, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, fileName), test.file)
			if test.wal != nil {
				put(t, filepath.Join(dir, fileName+"-wal"), test.wal)
			}
			d := opened(t, dir)
			saved := load(t, d)
			aside, err := filepath.Glob(filepath.Join(dir, fileName+".corrupt-*Z"))
			if err != nil || (len(aside) > 0) != test.aside || test.aside != (saved.Trouble != "") {
				t.Fatalf("moved aside: %v, trouble: %q", aside, saved.Trouble)
			}
			if test.aside {
				kept, err := os.ReadFile(aside[0])
				if err != nil || !bytes.Equal(kept, test.file) || !strings.Contains(saved.Trouble, aside[0]) {
					t.Errorf("%v; the old file is not what it was, or not named: %q", err, saved.Trouble)
				}
			} else if len(test.file) > 0 && len(saved.Deliveries) != 20 {
				t.Errorf("%d deliveries", len(saved.Deliveries))
			}
			commit(t, d, numbered(100))
		})
	}
}

func put(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNoDamage: what cannot be read or written is an error, and nothing is moved.
func TestNoDamage(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, fileName), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the lock was let go
		if d, err := Open(t.Context(), Options{Dir: dir}); err == nil || strings.Contains(err.Error(), "lock") {
			t.Errorf("opened a directory as a file: %v, %v", d, err)
		}
	}
	file := filepath.Join(dir, "file")
	put(t, file, nil)
	if _, err := Open(t.Context(), Options{Dir: file}); err == nil {
		t.Error("opened a file as a directory")
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "*corrupt*")); len(aside) > 0 {
		t.Errorf("moved aside: %v", aside)
	}
}

// TestNoState: who only reads hears clearly that there is nothing, and makes nothing.
func TestNoState(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := OpenReadOnly(t.Context(), d); !errors.Is(err, ErrNoState) || !strings.Contains(err.Error(), d) {
			t.Errorf("%q: %v", d, err)
		}
	}
	put(t, filepath.Join(dir, fileName), []byte(strings.Repeat("no database", 100)))
	if _, err := OpenReadOnly(t.Context(), dir); err == nil || errors.Is(err, ErrNoState) {
		t.Errorf("no database: %v", err)
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "*")); len(all) != 1 {
		t.Errorf("it made %v", all)
	}
	d := opened(t, filepath.Join(dir, "state"))
	reader, err := OpenReadOnly(t.Context(), filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	commit(t, d, numbered(1))
	if err := reader.Commit(t.Context(), numbered(2)); !errors.Is(err, errReadOnly) {
		t.Errorf("a reader committed: %v", err)
	}
	if err := reader.Trim(t.Context(), noon); !errors.Is(err, errReadOnly) {
		t.Errorf("a reader trimmed: %v", err)
	}
	if err := expect(t.Context(), reader, 1); err != nil {
		t.Error(err)
	}
}

// TestForbidden: a file that somebody may not read says so.
func TestForbidden(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("NOT TESTED: root may read everything")
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, fileName), written(t))
	if err := os.Chmod(filepath.Join(dir, fileName), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(t.Context(), dir); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

// TestDamagedContent: one bit that flipped costs what it stands in and nothing else.
func TestDamagedContent(t *testing.T) {
	d := opened(t, t.TempDir())
	for n := range int64(3) {
		commit(t, d, numbered(n+1))
	}
	for _, query := range []string{
		"UPDATE deliveries SET json = substr(json, 1, 99) || x'00' || substr(json, 101) WHERE seq = 2",
		"UPDATE incidents SET json = substr(json, 1, 99) WHERE id = 'incident-2'",
		"UPDATE events SET json = x'28b52ffd00' WHERE incident = 'incident-2'",
		"UPDATE rounds SET data = x'1f8b0800' WHERE rowid_of = 2",
	} {
		query = strings.Replace(query, "rowid_of = 2", "first = (SELECT first FROM rounds ORDER BY first LIMIT 1 OFFSET 1)", 1)
		if _, err := d.write.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	saved := load(t, d)
	if len(saved.Deliveries) != 2 || saved.Seq != 3 || !strings.Contains(saved.Trouble, "1 messages that waited") || !strings.Contains(saved.Trouble, "incident-2") {
		t.Errorf("%d deliveries; %q", len(saved.Deliveries), saved.Trouble)
	}
	if again := load(t, d); again.Trouble != "" || len(again.Deliveries) != 2 {
		t.Errorf("it is told twice: %q", again.Trouble)
	}
	incidents, err := d.Incidents(t.Context(), Filter{})
	if err != nil || len(incidents) != 3 || incidents[1].Reason == "" || !incidents[1].StartsAt.Equal(numbered(2).Incidents[0].StartsBefore) {
		t.Errorf("incidents: %v, %v", incidents, err)
	}
	s, err := d.Incident(t.Context(), "incident-2")
	if err != nil || len(s.Events) != 0 || len(s.Deliveries) != 1 || s.Deliveries[0].State != alert.Dropped {
		t.Errorf("the story: %+v, %v", s, err)
	}
	rounds, err := d.Rounds(t.Context(), "orders", noon, noon.AddDate(1, 0, 0), 100)
	if err != nil || len(rounds) != 2 {
		t.Errorf("%d rounds, %v", len(rounds), err)
	}
}

// FuzzOpen: whatever stands in the file, it opens or is moved aside, can be written, and nothing panics.
func FuzzOpen(f *testing.F) {
	sound := written(f)
	f.Add(uint32(0), []byte("garbage"), uint32(0))
	f.Add(uint32(20), []byte{0, 0, 0, 0}, uint32(0))
	f.Add(uint32(4096), []byte{13, 255, 255, 255, 255}, uint32(0))
	f.Add(uint32(len(sound)-4096), bytes.Repeat([]byte{255}, 4096), uint32(0))
	f.Add(uint32(0), []byte{}, uint32(12345))
	f.Add(uint32(18), []byte{9}, uint32(0)) // it may only be read
	f.Add(uint32(47), []byte{9}, uint32(0)) // a schema of a format that is not known
	f.Add(uint32(56), []byte("12345678"), uint32(0))
	f.Fuzz(func(t *testing.T, at uint32, junk []byte, cut uint32) {
		file := bytes.Clone(sound)
		copy(file[int(at)%len(file):], junk[:min(len(junk), 1<<16)])
		dir := t.TempDir()
		put(t, filepath.Join(dir, fileName), file[:len(file)-int(cut)%len(file)])
		d, err := Open(t.Context(), Options{Dir: dir})
		if errors.Is(err, errVersion) {
			return
		}
		if err != nil {
			t.Fatalf("a daemon does not begin: %v", err)
		}
		defer d.Close()
		if _, err := d.Load(t.Context()); err != nil && !damaged(err) {
			t.Errorf("load: %v", err)
		}
		if err := d.Commit(t.Context(), numbered(1000)); err != nil && !harmless(err) {
			t.Errorf("commit: %v", err)
		}
		askAll(t.Context(), d)
	})
}

// harmless tells that damage which no look through a file finds was found by a commit.
func harmless(err error) bool { return damaged(err) || resultCode(err)&0xff != 0 }

// askAll asks every question; only that it returns matters.
func askAll(ctx context.Context, d *DB) {
	_, _ = d.Incidents(ctx, Filter{})
	_, _ = d.Incident(ctx, "incident-2")
	_, _ = d.Rounds(ctx, "orders", noon, noon.AddDate(1, 0, 0), 100)
	_, _ = d.History(ctx, "", noon, noon.AddDate(1, 0, 0))
	_ = d.Trim(ctx, noon.AddDate(3, 0, 0))
}

// FuzzChunk: foreign bytes give rounds or an error, within bounds.
func FuzzChunk(f *testing.F) {
	c, err := newCodec()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	chunks, err := c.chunks([]probe.RecordedRound{fill[probe.RecordedRound](1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(chunks[0].data)
	f.Add(c.pack(bytes.Repeat([]byte("\n"), 1<<18)))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte(`{"whichlayer":"recording","format":1,"version":"","started":"2026-11-22T14:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rounds, err := c.open(data)
		if err == nil && len(rounds) > maxChunk || err != nil && rounds != nil {
			t.Errorf("%d rounds, %v", len(rounds), err)
		}
		if len(rounds) == 0 {
			return
		}
		if again, err := c.chunks(rounds); err != nil || len(again) == 0 {
			t.Errorf("what was read cannot be kept: %v", err)
		}
	})
}
