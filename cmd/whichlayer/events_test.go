package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// newTestLog is an event log whose complaints go to the returned buffer.
func newTestLog(path string, stdout *bytes.Buffer) (*eventLog, *bytes.Buffer) {
	var cries bytes.Buffer
	return newEventLog(path, stdout, slog.New(slog.NewTextHandler(&cries, nil)), prometheus.NewPedanticRegistry()), &cries
}

// ended is a context that is over, with which Run writes what is queued and returns.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestEventsToStdout(t *testing.T) {
	var out bytes.Buffer
	e, _ := newTestLog("-", &out)
	if err := e.Open(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		e.Emit(map[string]int{"i": i})
	}
	if err := e.Run(ended()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("{\"i\":0}\n{\"i\":1}\n{\"i\":2}\n", out.String()); diff != "" {
		t.Error(diff)
	}
	if got := testutil.ToFloat64(e.written); got != 3 {
		t.Errorf("%v lines counted, want 3", got)
	}
}

func TestEventsOff(t *testing.T) {
	e, _ := newTestLog("", new(bytes.Buffer))
	if err := e.Open(); err != nil {
		t.Fatal(err)
	}
	e.Emit(1)
	if err := e.Run(context.Background()); err != nil { // returns at once: there is nothing to do
		t.Fatal(err)
	}
	if len(e.queue) != 0 {
		t.Error("an event waits for a writer that does not exist")
	}
}

func TestEventsAppendAndPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	for range 2 {
		e, _ := newTestLog(path, nil)
		if err := e.Open(); err != nil {
			t.Fatal(err)
		}
		e.Emit(1)
		if err := e.Run(ended()); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil || string(b) != "1\n1\n" {
		t.Errorf("got %q, %v", b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

// TestEventsNeverBlock fills the queue while nobody writes.
func TestEventsNeverBlock(t *testing.T) {
	e, cries := newTestLog("-", new(bytes.Buffer))
	for range eventQueue + 7 {
		e.Emit(1)
	}
	if got := testutil.ToFloat64(e.dropped); got != 7 {
		t.Errorf("%v dropped, want 7", got)
	}
	if n := strings.Count(cries.String(), "events were lost"); n != 1 {
		t.Errorf("%d complaints, want 1 for all:\n%s", n, cries)
	}
}

// brokenFile writes only the first bytes of the n-th write.
type brokenFile struct {
	bytes.Buffer
	failures int
}

func (f *brokenFile) Write(b []byte) (int, error) {
	if f.failures > 0 {
		f.failures--
		n, _ := f.Buffer.Write(b[:len(b)/2])
		return n, errors.New("no space left on device")
	}
	return f.Buffer.Write(b)
}

func (f *brokenFile) Close() error { return nil }

// TestEventsAfterFullDisk: a line that was torn must not spoil the next one.
func TestEventsAfterFullDisk(t *testing.T) {
	e, cries := newTestLog("events.json", nil)
	f := &brokenFile{failures: 1}
	e.file = f
	e.write("lost")
	e.write("kept")
	if diff := cmp.Diff("\"lo\n\"kept\"\n", f.String()); diff != "" {
		t.Error(diff)
	}
	if testutil.ToFloat64(e.dropped) != 1 || testutil.ToFloat64(e.written) != 1 {
		t.Errorf("dropped %v, written %v; want 1 and 1", testutil.ToFloat64(e.dropped), testutil.ToFloat64(e.written))
	}
	if !strings.Contains(cries.String(), "no space left") {
		t.Errorf("nobody was told why: %s", cries)
	}
}

func TestEventsReopen(t *testing.T) {
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "events.json"), filepath.Join(dir, "events.1")
	e, _ := newTestLog(path, nil)
	if err := e.Open(); err != nil {
		t.Fatal(err)
	}
	e.write(1)
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	e.swap()
	e.write(2)
	if err := e.finish(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{moved: "1\n", path: "2\n"} {
		if b, err := os.ReadFile(file); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v; want %q", file, b, err, want)
		}
	}
}

// TestEventsReopenFails: without a new file the old one goes on.
func TestEventsReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	e, cries := newTestLog(filepath.Join(dir, "events.json"), nil)
	if err := e.Open(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	e.swap()
	e.write(1)
	if err := e.finish(); err != nil {
		t.Error(err)
	}
	if testutil.ToFloat64(e.written) != 1 || !strings.Contains(cries.String(), "goes on in the old file") {
		t.Errorf("written %v; log: %s", testutil.ToFloat64(e.written), cries)
	}
}
