package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/whichlayer/whichlayer/probe"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// roundAt is a round without lanes, made somewhat larger by padding.
func roundAt(target string, ended time.Time, padding int) recorded {
	return recorded{&probe.Result{
		Target: target, Started: ended.Add(-time.Second), Ended: ended, Self: probe.Self{Links: []string{strings.Repeat("x", padding)}},
	}, probe.Verdict{State: probe.Up}}
}

func newTestRecorder(t *testing.T, dir string) (*recorder, *bytes.Buffer) {
	t.Helper()
	var cries bytes.Buffer
	return newRecorder(recordFlags{dir: dir, size: defaultRecordingSize}, slog.New(slog.NewTextHandler(&cries, nil)),
		prometheus.NewPedanticRegistry()), &cries
}

// namesIn lists a directory.
func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// roundsIn counts the rounds of each target in a file.
func roundsIn(t *testing.T, path string) map[string]int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	count := map[string]int{}
	for r := probe.NewRecordingReader(path, f); ; {
		round, err := r.Next()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
		count[round.Result.Target]++
	}
}

func TestRecorderWritesAFileForEachTarget(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "rec")
	r, _ := newTestRecorder(t, dir)
	if err := r.Open(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders", "orders", "../../etc/passwd", ".hidden", "a b", "a-b", "-"} {
		x := roundAt(name, noon, 0)
		r.Record(x.result, x.verdict)
	}
	if err := r.Run(ended()); err != nil {
		t.Fatal(err)
	}
	const at = "-20261122T120000Z"
	want := []string{"a-b" + at + "-2.jsonl", "a-b" + at + ".jsonl", "etc-passwd" + at + ".jsonl", "hidden" + at + ".jsonl",
		"orders" + at + ".jsonl", "target" + at + ".jsonl"}
	if diff := cmp.Diff(want, namesIn(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	path := filepath.Join(dir, "orders"+at+".jsonl")
	if diff := cmp.Diff(map[string]int{"orders": 2}, roundsIn(t, path)); diff != "" {
		t.Error(diff)
	}
	for p, want := range map[string]fs.FileMode{dir: 0o700, path: 0o600} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %o", p, info.Mode(), err, want)
		}
	}
	if got := testutil.ToFloat64(r.written); got != 7 || testutil.ToFloat64(r.dropped) != 0 {
		t.Errorf("%v rounds counted, %v dropped; want 7 and 0", got, testutil.ToFloat64(r.dropped))
	}
}

// TestRecorderNeverBlocks fills the queue while nobody writes.
func TestRecorderNeverBlocks(t *testing.T) {
	r, cries := newTestRecorder(t, t.TempDir())
	x := roundAt("orders", noon, 0)
	for range recordingQueue + 7 {
		r.Record(x.result, x.verdict)
	}
	if got := testutil.ToFloat64(r.dropped); got != 7 {
		t.Errorf("%v dropped, want 7", got)
	}
	if n := strings.Count(cries.String(), "rounds were not recorded"); n != 1 {
		t.Errorf("%d complaints, want 1 for all:\n%s", n, cries)
	}
	if err := r.Run(ended()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(cries.String(), "lost=6 ") || testutil.ToFloat64(r.written) != recordingQueue {
		t.Errorf("at the end %v written, and the rest is not told:\n%s", testutil.ToFloat64(r.written), cries)
	}
}

func TestRecorderOff(t *testing.T) {
	r, _ := newTestRecorder(t, "")
	x := roundAt("orders", noon, 0)
	if err := r.Open(); err != nil {
		t.Fatal(err)
	}
	r.Record(x.result, x.verdict)
	if err := r.Run(t.Context()); err != nil || testutil.ToFloat64(r.dropped) != 0 { // returns at once
		t.Errorf("%v, %v dropped", err, testutil.ToFloat64(r.dropped))
	}
}

// TestRecorderUnreadableRound: a round beyond the limits of the format costs itself alone.
func TestRecorderUnreadableRound(t *testing.T) {
	dir := t.TempDir()
	r, cries := newTestRecorder(t, dir)
	for _, padding := range []int{1, 70_000, 1} {
		x := roundAt("orders", noon, padding)
		r.Record(x.result, x.verdict)
	}
	if err := r.Run(ended()); err != nil {
		t.Fatal(err)
	}
	if got := roundsIn(t, filepath.Join(dir, namesIn(t, dir)[0])); got["orders"] != 2 || testutil.ToFloat64(r.dropped) != 1 {
		t.Errorf("%v, %v dropped; want 2 and 1", got, testutil.ToFloat64(r.dropped))
	}
	if !strings.Contains(cries.String(), "a text of more than 65536 bytes") {
		t.Errorf("nobody was told why: %s", cries)
	}
}

// TestRecorderDiskFull: what does not fit is dropped and told, and the file is as it was.
func TestRecorderDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("SKIPPED: no /dev/full")
	}
	dir := t.TempDir()
	r, cries := newTestRecorder(t, dir)
	r.files.current["orders"] = &recordingFile{path: "/dev/full", day: "2026-11-22", size: 100}
	r.write(roundAt("orders", noon, 0))
	if testutil.ToFloat64(r.dropped) != 1 || testutil.ToFloat64(r.written) != 0 {
		t.Errorf("dropped %v, written %v", testutil.ToFloat64(r.dropped), testutil.ToFloat64(r.written))
	}
	if !strings.Contains(cries.String(), "no space left on device") {
		t.Errorf("nobody was told why: %s", cries)
	}
	if f := r.files.current["orders"]; f == nil || f.size != 100 {
		t.Errorf("the file does not go on when there is room again: %+v", f)
	}
	r.files.current["orders"].path = filepath.Join(dir, "gone")
	r.write(roundAt("orders", noon, 0)) // somebody deleted it: another begins
	if names := namesIn(t, dir); testutil.ToFloat64(r.written) != 1 || len(names) != 1 {
		t.Errorf("written %v into %v", testutil.ToFloat64(r.written), names)
	}
}

// TestRecordingCutBack: a line of which only a part was written goes.
func TestRecordingCutBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("whole\npart"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := (&recordingFile{path: path, size: 6}).cutBack(f, 4); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "whole\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := (&recordingFile{path: path}).cutBack(f, 4); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that never held a line is still there: %v", err)
	}
}

func TestRecordingFilesRotate(t *testing.T) {
	d := newRecordingFiles(t.TempDir(), 1<<20)
	add := func(at time.Time, padding int) {
		t.Helper()
		if n, err := d.add("orders", []recorded{roundAt("orders", at, padding)}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	add(noon, 0)
	add(noon.Add(time.Hour), 0)
	add(noon.Add(12*time.Hour), 0) // midnight
	for i := range 6 {             // a quarter of the megabyte
		add(noon.Add(13*time.Hour+time.Duration(i)*time.Second), 60_000)
	}
	want := map[string]int{"orders-20261122T120000Z.jsonl": 2, "orders-20261123T000000Z.jsonl": 6, "orders-20261123T010005Z.jsonl": 1}
	got := map[string]int{}
	for _, name := range namesIn(t, d.dir) {
		got[name] = roundsIn(t, filepath.Join(d.dir, name))["orders"]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rounds of each file (-want +got):\n%s", diff)
	}
}

// TestRecordingFilesPrune: of our own files the oldest go, and nothing else does.
func TestRecordingFilesPrune(t *testing.T) {
	d := newRecordingFiles(t.TempDir(), 1<<20)
	foreign := map[string]string{
		"notes.txt": "mine", "orders-20200101T000000Z.jsonl": "not a recording", "kept.jsonl": recordingBegin + `"format":1}` + "\n",
	}
	for name, text := range foreign {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 60 {
		at := noon.Add(time.Duration(i) * time.Minute)
		if _, err := d.add("orders", []recorded{roundAt("orders", at, 60_000)}); err != nil {
			t.Fatal(err)
		}
		if f := d.current["orders"]; f != nil {
			if err := os.Chtimes(f.path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		all, err := d.find()
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, f := range all {
			sum += f.size
		}
		if sum > d.limit || sum != d.total {
			t.Fatalf("after %d rounds %d bytes, counted as %d, limit %d", i+1, sum, d.total, d.limit)
		}
	}
	names := namesIn(t, d.dir)
	for name := range foreign {
		if !slices.Contains(names, name) {
			t.Errorf("%s was deleted", name)
		}
	}
	if last := d.current["orders"]; last == nil || len(names) < 5 {
		t.Errorf("too much was deleted: %v", names)
	}
	if slices.Contains(names, "orders-20261122T120000Z.jsonl") {
		t.Errorf("the oldest is still there: %v", names)
	}
	again := newRecordingFiles(d.dir, 1<<18)
	if err := again.open(); err != nil || again.total > 1<<18 {
		t.Errorf("a smaller limit at the next start leaves %d bytes, %v", again.total, err)
	}
}

func TestRecorderOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ := newTestRecorder(t, filepath.Join(file, "rec"))
	if err := r.Open(); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v", err)
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]string{
		"1GiB": "1GiB", "64MiB": "64MiB", "1.5MiB": "1536KiB", "2MB": "2000000B", "1073741824": "1GiB", "1 GiB": "1GiB",
		"1000KiB": "", "0": "", "-1GiB": "", "1XB": "", "": "", "GiB": "", "NaNGiB": "", "1e30GiB": "", "1GiBB": "", "1 2GiB": "",
	} {
		var b byteSize
		err := b.Set(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken as %s", text, &b)
			}
			continue
		}
		if err != nil || b.String() != want {
			t.Errorf("%q: %s, %v; want %s", text, &b, err, want)
		}
	}
}

// TestRecordingMetricsExist keeps the names that the README tells.
func TestRecordingMetricsExist(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	newRecorder(recordFlags{}, slog.New(slog.DiscardHandler), reg)
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range all {
		names[m.GetName()] = true
	}
	want := map[string]bool{"whichlayer_recorded_rounds_total": true, "whichlayer_recorded_rounds_dropped_total": true}
	if !maps.Equal(want, names) {
		t.Errorf("got %v, want %v", names, want)
	}
}
