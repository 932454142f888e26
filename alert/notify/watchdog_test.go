package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/whichlayer/whichlayer/config"
)

const pingURL = "https://hc.example.com/ping/0f9a8a3e-6d3c-4a57-9a55-0c1f2f3e4d5c"

// deadMan is the service that waits for signs. It answers after a while, with an error if there is one.
type deadMan struct {
	delay time.Duration
	err   error

	mu       sync.Mutex
	asked    []string
	underWay int
	most     int
}

func (d *deadMan) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	d.asked = append(d.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
	d.underWay++
	d.most = max(d.most, d.underWay)
	d.mu.Unlock()
	defer func() { d.mu.Lock(); d.underWay--; d.mu.Unlock() }()
	select {
	case <-time.After(d.delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if d.err != nil {
		return nil, d.err
	}
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

// watchdogFor runs a watchdog for some made time. healthy is asked each interval, which is 30 s.
func watchdogFor(t *testing.T, url string, d *deadMan, healthy func() string, runs time.Duration, log io.Writer) *Watchdog {
	w, err := NewWatchdog(config.Watchdog{URL: config.NewSecret(url), Interval: config.Duration(30 * time.Second)}, healthy,
		slog.New(slog.NewTextHandler(log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w.http.client.Transport = d
	ctx, cancel := context.WithTimeout(t.Context(), runs)
	defer cancel()
	if err := w.Run(ctx); err != nil {
		t.Error(err)
	}
	return w
}

func TestWatchdogGivesSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deadMan{}
		w := watchdogFor(t, "https://other.example.com/beat?x=1", d, func() string { return "" }, 95*time.Second, io.Discard)
		if diff := cmp.Diff([]string{"GET /beat", "GET /beat", "GET /beat", "GET /beat"}, d.asked); diff != "" {
			t.Error(diff)
		}
		if got := testutil.ToFloat64(w.signs.WithLabelValues("sent")); got != 4 {
			t.Errorf("%v signs are counted", got)
		}
		if got, want := testutil.ToFloat64(w.success), float64(time.Now().Add(-5*time.Second).Unix()); got != want {
			t.Errorf("the last success is %v, want %v", got, want)
		}
	})
}

// TestWatchdogWhileUnhealthy: a service that knows of failures is told, any other one hears nothing.
func TestWatchdogWhileUnhealthy(t *testing.T) {
	for url, want := range map[string][]string{
		pingURL: {"GET /ping/0f9a8a3e-6d3c-4a57-9a55-0c1f2f3e4d5c", "POST /ping/0f9a8a3e-6d3c-4a57-9a55-0c1f2f3e4d5c/fail no targets",
			"GET /ping/0f9a8a3e-6d3c-4a57-9a55-0c1f2f3e4d5c"},
		"https://other.example.com/beat/12345678": {"GET /beat/12345678", "GET /beat/12345678"},
	} {
		synctest.Test(t, func(t *testing.T) {
			d, round := &deadMan{}, 0
			w := watchdogFor(t, url, d, func() string {
				if round++; round == 2 {
					return "no targets"
				}
				return ""
			}, 65*time.Second, io.Discard)
			if diff := cmp.Diff(want, d.asked); diff != "" {
				t.Errorf("%s: %s", url, diff)
			}
			if got := testutil.ToFloat64(w.signs.WithLabelValues("withheld")); got != 1 {
				t.Errorf("%s: %v withheld signs are counted", url, got)
			}
		})
	}
}

// TestWatchdogWithASlowServer: bounded time, one request at a time, and the log says it once.
func TestWatchdogWithASlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, start, log := &deadMan{delay: time.Hour}, time.Now(), &bytes.Buffer{}
		w := watchdogFor(t, pingURL, d, func() string { return "" }, 5*time.Minute, log)
		if took := time.Since(start); took > 5*time.Minute+watchdogTimeout || d.most != 1 || len(d.asked) < 9 {
			t.Errorf("%d requests, %d at a time, ended after %v", len(d.asked), d.most, took)
		}
		if got := testutil.ToFloat64(w.signs.WithLabelValues("failed")); got < 9 {
			t.Errorf("%v failed signs are counted", got)
		}
		if text := log.String(); strings.Count(text, "level=WARN") != 1 || strings.Contains(text, "0f9a8a3e") {
			t.Errorf("the log: %s", text)
		}
	})
}

func TestWatchdogComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log, round := &deadMan{err: errors.New("no route")}, &bytes.Buffer{}, 0
		watchdogFor(t, pingURL, d, func() string {
			if round++; round == 3 {
				d.err = nil
			}
			return ""
		}, 100*time.Second, log)
		if text := log.String(); strings.Count(text, "level=WARN") != 1 || strings.Count(text, "again") != 1 {
			t.Errorf("the log: %s", text)
		}
	})
}

func TestNewWatchdog(t *testing.T) {
	reg := prometheus.NewRegistry()
	for range 2 { // once more after a reload
		if _, err := NewWatchdog(config.Watchdog{URL: config.NewSecret(pingURL)}, nil, discard(), reg); err != nil {
			t.Error(err)
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for _, bad := range []string{"", "ftp://host/secret", "::secret", "/secret"} {
		if _, err := NewWatchdog(config.Watchdog{URL: config.NewSecret(bad)}, nil, discard(), reg); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
