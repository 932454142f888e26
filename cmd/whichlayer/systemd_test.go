package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// fakeSystemd listens where NOTIFY_SOCKET points.
func fakeSystemd(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

func hear(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 4096)
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestSupervisorTells(t *testing.T) {
	systemd := fakeSystemd(t)
	s := &supervisor{log: slog.Default()}
	for _, tt := range []struct {
		say  func()
		want string
	}{
		{func() { s.Ready("watching 3 targets") }, `^READY=1\nSTATUS=watching 3 targets$`},
		{s.Reloading, `^RELOADING=1\nMONOTONIC_USEC=\d+\n?$`},
		{s.Stopping, `^STOPPING=1\nSTATUS=draining$`},
	} {
		tt.say()
		if got := hear(t, systemd); !regexp.MustCompile(tt.want).MatchString(got) {
			t.Errorf("got %q, want %s", got, tt.want)
		}
	}
}

// TestWatchdogNeedsProgress: it is fed while rounds are finished and starves when they are not.
func TestWatchdogNeedsProgress(t *testing.T) {
	systemd := fakeSystemd(t)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt((20*time.Millisecond).Microseconds(), 10))
	var stuck atomic.Bool
	var cries bytes.Buffer
	s := &supervisor{log: slog.New(slog.NewTextHandler(&cries, nil)), stalled: func() string {
		if stuck.Load() {
			return "orders is late"
		}
		return ""
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if got := hear(t, systemd); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	stuck.Store(true)
	for hear(t, systemd) != "STATUS=orders is late" { // what was sent before may still come
	}
	for range 3 {
		if got := hear(t, systemd); got != "STATUS=orders is late" {
			t.Errorf("fed although stuck: %q", got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !bytes.Contains(cries.Bytes(), []byte("the watchdog is not fed")) {
		t.Errorf("log: %s", &cries)
	}
}

func TestSupervisorWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	s := &supervisor{log: slog.Default()}
	s.Ready("alone")
	if err := s.Run(context.Background()); err != nil { // returns at once
		t.Error(err)
	}
}
