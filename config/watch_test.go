package config

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a configuration on disk, watched once a second of a synctest bubble.
type watched struct {
	path, token string
	watcher     *Watcher
	calls       atomic.Int64
	stop        func()
}

const watchedText = `
targets: [{name: a, front: {url: https://a.example/, request: {bearer_token_file: token}}}]
`

func watch(t *testing.T) *watched {
	dir := t.TempDir()
	w := &watched{path: filepath.Join(dir, "w.yaml"), token: filepath.Join(dir, "token")}
	write(t, w.path, watchedText, 0o600)
	write(t, w.token, "first", 0o600)
	w.watcher = NewWatcher(w.path, time.Second)
	w.load(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.watcher.Run(ctx, func() { w.calls.Add(1) }) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	return w
}

func (w *watched) load(t *testing.T) {
	t.Helper()
	c, err := Load(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.watcher.Loaded(c)
}

// after lets time pass and checks how often a change was told in it.
func (w *watched) after(t *testing.T, d time.Duration, want int, what string) {
	t.Helper()
	w.calls.Store(0)
	time.Sleep(d)
	synctest.Wait()
	if got := w.calls.Load(); got != int64(want) {
		t.Errorf("%s: told %d times, expected %d", what, got, want)
	}
}

func TestWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		defer w.stop()
		w.after(t, time.Minute, 0, "nothing happened")

		write(t, w.path, watchedText+"# more\n", 0o600)
		w.after(t, time.Minute, 1, "another text")

		write(t, w.path, watchedText+"# more\n", 0o600)
		w.after(t, time.Minute, 0, "the same text again")

		write(t, w.token, "other", 0o600) // as long as before
		w.after(t, time.Minute, 1, "another secret")

		if err := os.Remove(w.path); err != nil {
			t.Fatal(err)
		}
		w.after(t, time.Minute, 0, "no file")
		write(t, w.path, watchedText+"# more\n", 0o600)
		w.after(t, time.Minute, 0, "the file is back")

		write(t, w.path+".new", watchedText+"# even more\n", 0o600)
		if err := os.Rename(w.path+".new", w.path); err != nil {
			t.Fatal(err)
		}
		w.after(t, time.Minute, 1, "replaced")

		write(t, w.path, "targets: nonsense", 0o600)
		w.after(t, time.Minute, 1, "a bad text, which the owner does not load")
		write(t, w.path, strings.Repeat("# much\n", maxPEM), 0o600)
		w.after(t, time.Minute, 1, "far too large")
		write(t, w.path, watchedText, 0o600)
		w.after(t, time.Minute, 1, "a good text again")
	})
}

// TestWatcherWaitsForTheWriter changes the file at each look: only when it rests is it told.
func TestWatcherWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		defer w.stop()
		time.Sleep(500 * time.Millisecond) // between two looks
		text := watchedText
		for range 10 {
			text += "# more\n"
			write(t, w.path, text, 0o600)
			w.after(t, time.Second, 0, "being written")
		}
		w.after(t, 2*time.Second, 1, "at rest")
	})
}

// TestWatcherMeasuresAgainstTheLoad changes the file between Load and the first look.
func TestWatcherMeasuresAgainstTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		write(t, w.token, "second", 0o600)
		w.after(t, 5*time.Second, 1, "changed after the load")
		w.load(t)
		w.after(t, 5*time.Second, 0, "loaded")
		w.stop()
		w.after(t, 5*time.Second, 0, "stopped")
	})
}

// TestWatcherTrustsOldTimes has files older than the bubble's clock: they are read once for each size and time.
func TestWatcherTrustsOldTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		change := func(text string, at time.Time) {
			write(t, w.token, text, 0o600)
			if err := os.Chtimes(w.token, at, at); err != nil {
				t.Fatal(err)
			}
		}
		old := time.Now().Add(-time.Hour)
		time.Sleep(500 * time.Millisecond) // between two looks
		change("other", old)
		w.after(t, 5*time.Second, 1, "another text")
		change("third", old)
		w.after(t, 5*time.Second, 0, "the same size and time")
		change("third", old.Add(time.Second))
		w.after(t, 5*time.Second, 1, "another time")
		change("third", old.Add(time.Minute))
		w.after(t, 5*time.Second, 0, "touched")
		w.stop()
	})
}

// TestWatcherWithoutLoad begins with a file that could not be loaded.
func TestWatcherWithoutLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "w.yaml")
		write(t, path, "bad", 0o600)
		var calls atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = NewWatcher(path, time.Second).Run(ctx, func() { calls.Add(1) })
		}()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if calls.Load() != 0 {
			t.Errorf("told %d times of nothing", calls.Load())
		}
		write(t, path, minimal, 0o600)
		time.Sleep(3 * time.Second)
		cancel()
		<-done
		if calls.Load() != 1 {
			t.Errorf("told %d times, expected once", calls.Load())
		}
	})
}
