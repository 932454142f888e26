package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

const (
	// largestRecording is when a target's next file begins.
	largestRecording = 64 << 20
	// A target's files may be smaller where many share little room, so that the loss of the oldest costs little.
	leastRecordingFile = 64 << 10
	recordingTime      = "20060102T150405Z"
)

// recordingFiles are the recordings in a directory: a file for each target and day in UTC, or more where they become
// large. It is not safe for concurrent use.
type recordingFiles struct {
	dir     string
	limit   int64 // bytes of all recordings in dir
	start   recordingStart
	current map[string]*recordingFile
	// name is how our files are called: TARGET-20261122T140307Z.jsonl, with a number where that was taken.
	name *regexp.Regexp
	// total is what the recordings in dir take, as of the last look and by what was written since.
	total int64
}

func newRecordingFiles(dir string, limit int64) *recordingFiles {
	return &recordingFiles{
		dir: dir, limit: limit, start: recordingStart{thisBuild().Version, time.Now()}, current: map[string]*recordingFile{},
		name: regexp.MustCompile(`-\d{8}T\d{6}Z(-\d+)?\.jsonl$`),
	}
}

// open makes the directory and tries whether a file can be made in it. What is recorded tells of a network's inside,
// hence the modes.
func (d *recordingFiles) open() error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("open the directory of recordings: %w", err)
	}
	f, err := os.CreateTemp(d.dir, ".whichlayer-*")
	if err != nil {
		return fmt.Errorf("open the directory of recordings: %w", err)
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("open the directory of recordings: %w", err)
	}
	return d.prune()
}

// add appends rounds of one target and returns how many were written.
func (d *recordingFiles) add(target string, rounds []recorded) (int, error) {
	f := d.current[target]
	day := rounds[0].result.Ended.UTC().Format(time.DateOnly)
	if f != nil && (f.day != day || f.size > d.fileLimit()) {
		f = nil
	}
	written, err := d.addTo(f, target, day, rounds)
	if f != nil && errors.Is(err, fs.ErrNotExist) { // somebody took it away
		written, err = d.addTo(nil, target, day, rounds)
	}
	if err == nil && d.total > d.limit {
		err = d.prune()
	}
	return written, err
}

// addTo appends to a file, or to a new one.
func (d *recordingFiles) addTo(f *recordingFile, target, day string, rounds []recorded) (int, error) {
	var start *recordingStart
	if f == nil {
		start = &d.start
	}
	lines, written, failed := encodeRounds(rounds, start)
	if written == 0 {
		return 0, failed
	}
	if f == nil {
		f = &recordingFile{path: d.newPath(target, rounds[0].result.Ended), day: day}
	}
	delete(d.current, target)
	before := f.size
	if err := f.write(lines); err != nil {
		if f.size == before && before > 0 && !errors.Is(err, fs.ErrNotExist) {
			d.current[target] = f // as it was, for when there is room again
		}
		return 0, err
	}
	d.current[target] = f
	d.total += f.size - before
	return written, failed
}

// fileLimit is the size at which a file is followed by another.
func (d *recordingFiles) fileLimit() int64 {
	return min(largestRecording, max(leastRecordingFile, d.limit/4/int64(max(1, len(d.current)))))
}

// fileStem is the beginning of a name for a file about a target: neither hidden nor an option.
func fileStem(target string, at time.Time) string {
	name := strings.TrimLeft(alert.FileName(target), ".-")
	if name == "" {
		name = "target"
	}
	return name + "-" + at.UTC().Format(recordingTime)
}

// newPath is a name that is free.
func (d *recordingFiles) newPath(target string, at time.Time) string {
	base := filepath.Join(d.dir, fileStem(target, at))
	path := base + ".jsonl"
	for n := 2; ; n++ {
		if _, err := os.Lstat(path); err != nil {
			return path
		}
		path = fmt.Sprintf("%s-%d.jsonl", base, n)
	}
}
