package lab_test

import (
	"crypto/tls"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/lab"
)

// imitated is what a plain client sees of each imitation.
func imitated() map[string][]string {
	silent, ended := []string{"tls timeout"}, []string{"tls reset", "connect reset"}
	return map[string][]string{
		"unaccepted": silent, "queue-full": {"connect timeout"}, "half-close": {"tls eof"}, "tarpit": silent,
		"reset-after-accept": ended, "reset-after-hello": ended, "reset-late": ended,
		"never-reads": silent, "never-reads-small-buffer": silent, "never-reads-and-leaves-with-us": silent,
		"reads-and-leaves-with-us": silent, "reads-and-stays": silent, "answers-the-end-for-ever": silent,
		"hello-request-for-ever": {"unexpected handshake message"},
		"takes-no-data":          silent, "takes-no-large-segment": silent,
		"reset-after-handshake": {"http reset", "tls reset"}, "deaf-after-handshake": {"http timeout"},
		"reset-after-request": {"http reset"}, "reset-in-body": {"body reset", "http reset"}, "half-close-in-body": {"body eof"},
		"trickle": {"malformed HTTP response"}, "slow-and-stays": {"http timeout"}, "slow-handshake-and-stays": silent,
		"large-hello-stalls":    silent,
		"key-update-for-ever":   {"too many non-advancing records"},
		"renegotiates-for-ever": {"no renegotiation"},
	}
}

// TestImitationsPlay sees each imitation do what it should while an old connection is served, and end with its chain.
func TestImitationsPlay(t *testing.T) {
	want := imitated()
	for _, i := range lab.Imitations() {
		t.Run(i.Name, func(t *testing.T) {
			t.Parallel()
			c := start(t, lab.Options{})
			cfg := trust(t, c)
			old, w := call(t, c.Front(), cfg)
			if w != "" || old.get() != "ok" {
				t.Fatalf("before: %q", w)
			}
			if err := c.Imitate(i); err != nil {
				t.Fatal(err)
			}
			taken := c.Taken()
			got := look(t, c.Front(), cfg)
			if !slices.ContainsFunc(want[i.Name], func(s string) bool { return strings.Contains(got, s) }) {
				t.Errorf("saw %q, want one of %q", got, want[i.Name])
			}
			if n := c.Taken() - taken; runtime.GOOS == "linux" && n != 1 && i.Name != "queue-full" {
				t.Errorf("took %d connections, want 1", n)
			}
			if got := old.get(); got != "ok" {
				t.Errorf("the old connection: %q", got)
			}
		})
	}
	if len(lab.Imitations()) != len(want) && runtime.GOOS == "linux" {
		t.Errorf("%d imitations, %d expectations", len(lab.Imitations()), len(want))
	}
}

// TestLargeHelloStalls: a client with a small ClientHello is served where others wait.
func TestLargeHelloStalls(t *testing.T) {
	for _, i := range lab.Imitations() {
		if i.Name != "large-hello-stalls" && i.Name != "takes-no-large-segment" {
			continue
		}
		c := start(t, lab.Options{})
		if err := c.Imitate(i); err != nil {
			t.Fatal(err)
		}
		cfg := trust(t, c)
		cfg.CurvePreferences = []tls.CurveID{tls.X25519}
		if got := look(t, c.Front(), cfg); got != "ok" {
			t.Errorf("%s: a small ClientHello: %q", i.Name, got)
		}
	}
}

// TestHalfCloses holds what imitations do about a half-closed connection against their names.
func TestHalfCloses(t *testing.T) {
	reactions := map[string]string{
		"reads-and-leaves-with-us": "eof", "never-reads-and-leaves-with-us": "eof", "takes-no-data": "eof",
		"reads-and-stays": "timeout", "never-reads": "timeout", "tarpit": "timeout", "answers-the-end-for-ever": "data",
	}
	for _, i := range lab.Imitations() {
		want, listed := reactions[i.Name]
		if !listed {
			continue
		}
		c := start(t, lab.Options{})
		if err := c.Imitate(i); err != nil {
			t.Fatal(err)
		}
		cl, w := call(t, c.Front(), nil)
		if w != "" {
			t.Fatal(w)
		}
		if err := errors.Join(cl.raw.CloseWrite(), cl.SetDeadline(time.Now().Add(patience))); err != nil {
			t.Fatal(err)
		}
		got := "data"
		if _, err := io.ReadFull(cl, make([]byte, 1000)); err != nil {
			got = word(err)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", i.Name, got, want)
		}
	}
}
