package config

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"sync"
	"time"
)

// Watcher looks at a configuration file, and at the files that it names, for changes of their contents. It polls:
// that works on every file system, through symbolic links, and with editors and tools that replace the file.
type Watcher struct {
	path  string
	every time.Duration

	mu    sync.Mutex
	files []string
	// known is what the owner has been told of, or has loaded.
	known map[string]digest
	// looks is what was read, to read only files that may have changed since.
	looks map[string]look
}

// look is what one file was like.
type look struct {
	size   int64
	mtime  time.Time
	digest digest
}

// NewWatcher prepares to look at path every so often. It starts nothing; Run does.
func NewWatcher(path string, every time.Duration) *Watcher {
	return &Watcher{path: path, every: every, files: []string{path}, known: map[string]digest{}, looks: map[string]look{}}
}

// Loaded tells the watcher which configuration is in use: the files that it was read from are watched from now on,
// and what they held then is what a change is measured against.
func (w *Watcher) Loaded(c *Config) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = append([]string{w.path}, c.Files...)
	w.known = maps.Clone(c.seen)
}

// Run calls changed, and waits for it, after the content of a file has become another one and has stayed that for one
// interval: a file that is being written is left alone. A change is told once, whether the owner can use it or not. A
// file that is missing is no change, since it is about to come back or the next load says so. Run returns when ctx
// ends, with no error.
func (w *Watcher) Run(ctx context.Context, changed func()) error {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	w.adopt()
	before := w.pending()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := w.pending()
		if len(now) > 0 && maps.Equal(now, before) {
			w.told(now)
			changed()
			now = w.pending()
		}
		before = now
	}
}

// adopt takes the present content of files for known of which nothing is known yet.
func (w *Watcher) adopt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.files {
		if _, ok := w.known[f]; ok {
			continue
		}
		if d, ok := w.look(f); ok {
			w.known[f] = d
		}
	}
}

// pending are the files whose content is not the known one.
func (w *Watcher) pending() map[string]digest {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := map[string]digest{}
	for _, f := range w.files {
		if d, ok := w.look(f); ok && d != w.known[f] {
			changed[f] = d
		}
	}
	return changed
}

func (w *Watcher) told(changed map[string]digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(w.known, changed)
}

// look reads a file unless size and time are those of an earlier look. A look within two seconds of the change is
// not relied on later: the clock of some file systems is that coarse, and the file may have changed again. A file that
// is there but cannot be read counts as one more content, so that the owner hears of it.
func (w *Watcher) look(path string) (digest, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return digest{}, false
	}
	last, seen := w.looks[path]
	if seen && last.size == info.Size() && last.mtime.Equal(info.ModTime()) {
		return last.digest, true
	}
	data, _, err := readFile(path, maxPEM)
	if errors.Is(err, fs.ErrNotExist) {
		return digest{}, false
	}
	if err != nil {
		data = []byte(err.Error())
	}
	d := sum(data)
	if time.Since(info.ModTime()) > 2*time.Second {
		w.looks[path] = look{info.Size(), info.ModTime(), d}
	}
	return d, true
}
