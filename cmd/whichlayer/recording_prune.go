package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// foundRecording is a recording in the directory, of this process or of one before.
type foundRecording struct {
	path string
	size int64
	last time.Time
}

// find lists the recordings of the directory, the one first that was written to longest ago. What only has such a name
// is not ours.
func (d *recordingFiles) find() (all []foundRecording, err error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, fmt.Errorf("list the recordings: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(d.dir, e.Name())
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !d.name.MatchString(e.Name()) || !isRecording(path) {
			continue
		}
		all = append(all, foundRecording{path, info.Size(), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b foundRecording) int {
		return cmp.Or(a.last.Compare(b.last), cmp.Compare(a.path, b.path))
	})
	return all, nil
}

func isRecording(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return beginsRecording(f)
}

// prune deletes the oldest recordings until a tenth of the room is free, if they take more than there is.
func (d *recordingFiles) prune() error {
	all, err := d.find()
	if err != nil {
		return err
	}
	d.total = 0
	for _, f := range all {
		d.total += f.size
	}
	if d.total <= d.limit {
		return nil
	}
	for _, f := range all {
		if d.total <= d.limit/10*9 {
			break
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete an old recording: %w", err)
		}
		d.total -= f.size
		for target, current := range d.current {
			if current.path == f.path {
				delete(d.current, target)
			}
		}
	}
	return nil
}
