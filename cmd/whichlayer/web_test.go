package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/alert"
)

// parts are endpoints whose answers a test can set.
func parts() webParts {
	return webParts{
		gatherer: prometheus.NewRegistry(), log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		sick: func() string { return "" }, ready: func() bool { return true },
		reload: func(context.Context) error { return nil },
		drill:  func(context.Context) []alert.Drill { return []alert.Drill{{Receiver: "ops"}} },
	}
}

func TestWebAnswers(t *testing.T) {
	stalled, unready, refused := parts(), parts(), parts()
	stalled.sick = func() string { return "1 of 2 targets finished no round in time: orders" }
	unready.ready = func() bool { return false }
	refused.reload = func(context.Context) error { return errors.New("whichlayer.yaml:1:1: nonsense") }
	for _, tt := range []struct {
		parts        webParts
		method, path string
		status       int
		body         string
	}{
		{parts(), "GET", "/-/healthy", 200, "whichlayer is healthy"},
		{stalled, "GET", "/-/healthy", 503, "finished no round in time: orders"},
		{parts(), "GET", "/-/ready", 200, "whichlayer is ready"},
		{unready, "GET", "/-/ready", 503, "starting or ending"},
		{parts(), "POST", "/-/reload", 200, "the new configuration runs"},
		{parts(), "PUT", "/-/reload", 200, "the new configuration runs"},
		{parts(), "GET", "/-/reload", 405, ""},
		{refused, "POST", "/-/reload", 500, "whichlayer.yaml:1:1: nonsense"},
		{parts(), "POST", "/-/drill", 200, `"receiver":"ops"`},
		{parts(), "GET", "/-/drill", 405, ""},
		{parts(), "GET", "/metrics", 200, ""},
		{parts(), "GET", "/", 200, `<a href="metrics">`},
		{parts(), "GET", "/elsewhere", 404, ""},
	} {
		w := httptest.NewRecorder()
		tt.parts.handler().ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
			t.Errorf("%s %s: %d %q, want %d %q", tt.method, tt.path, w.Code, w.Body, tt.status, tt.body)
		}
	}
}

// TestWebRefusesForeignPages: a web page in a browser on this host must not make us reload.
func TestWebRefusesForeignPages(t *testing.T) {
	p := parts()
	p.reload = func(context.Context) error { t.Error("reloaded"); return nil }
	w, err := listenWeb("127.0.0.1:0", p)
	if err != nil {
		t.Fatal(err)
	}
	defer w.listener.Close()
	r := httptest.NewRequest("POST", "/-/reload", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	answer := httptest.NewRecorder()
	w.server.Handler.ServeHTTP(answer, r)
	if answer.Code != http.StatusForbidden {
		t.Errorf("status %d, want 403", answer.Code)
	}
}

func TestWebRunsAndEnds(t *testing.T) {
	w, err := listenWeb("127.0.0.1:0", parts())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	res, err := http.Get("http://" + w.Address() + "/-/healthy")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := http.Get("http://" + w.Address() + "/"); err == nil {
		t.Error("it still answers")
	}
}

func TestWebOff(t *testing.T) {
	for _, address := range []string{"", "off"} {
		w, err := listenWeb(address, parts())
		if err != nil || w.Address() != "off" {
			t.Errorf("%q: %v, %v", address, w, err)
			continue
		}
		if err := w.Run(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
