package notify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// fakeAlertmanager is an instance that takes any alert.
type fakeAlertmanager struct {
	server *httptest.Server

	mu      sync.Mutex
	bodies  []string
	failing int
	handler http.Handler
	arrived chan struct{}
	release chan struct{}
}

func newFakeAlertmanager(t *testing.T) *fakeAlertmanager {
	f := &fakeAlertmanager{release: make(chan struct{})}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	t.Cleanup(func() { close(f.release) })
	return f
}

func (f *fakeAlertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	handler, arrived, failing := f.handler, f.arrived, f.failing > 0
	if failing {
		f.failing--
	}
	f.mu.Unlock()
	if handler != nil {
		handler.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	user, password, _ := r.BasicAuth()
	switch {
	case arrived != nil:
		close(arrived)
		select {
		case <-r.Context().Done():
		case <-f.release:
		}
	case failing:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/prefix/api/v2/alerts" && r.Method == http.MethodGet && user == "user":
		_, _ = io.WriteString(w, "[]")
	case r.URL.Path != "/prefix/api/v2/alerts" || user != "user" || password != "password-of-am" || !json.Valid(body):
		w.WriteHeader(http.StatusBadRequest)
	default:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.bodies = append(f.bodies, string(body))
	}
}

func (f *fakeAlertmanager) notifier(t *testing.T) alert.Notifier {
	return newTestAlertmanager(t, Setting{Memory: newRAM()}, f.server.URL+"/prefix")
}

// newTestAlertmanager has instances at some URLs, and is impatient.
func newTestAlertmanager(t *testing.T, s Setting, urls ...string) *Alertmanager {
	t.Helper()
	s.Zone, s.Log = time.UTC, discard()
	a, err := newAlertmanager(amReceiver(t, urls...), s, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func amReceiver(t *testing.T, urls ...string) config.Receiver {
	t.Helper()
	cfg := &config.Alertmanager{Labels: map[string]string{"team": "web", "severity": "page"},
		BasicAuth: &config.BasicAuth{Username: "user", Password: config.NewSecret("password-of-am")}}
	for _, text := range urls {
		var u config.URL
		if err := u.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		cfg.URLs = append(cfg.URLs, u)
	}
	return config.Receiver{Name: "am", Alertmanager: cfg}
}

func (f *fakeAlertmanager) hang(*testing.T) <-chan struct{} {
	f.arrived = make(chan struct{})
	return f.arrived
}

func (f *fakeAlertmanager) refuse(t *testing.T) {
	f.answer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
}

func (f *fakeAlertmanager) fail(_ *testing.T, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = times
}

func (f *fakeAlertmanager) answer(_ *testing.T, h http.Handler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handler = h
}

func (f *fakeAlertmanager) secrets() []string {
	return []string{"password-of-am", "dXNlcjpwYXNzd29yZC1vZi1hbQ"}
}

func (f *fakeAlertmanager) taken(*testing.T) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.bodies)
}

func (f *fakeAlertmanager) said(*testing.T) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.bodies, "\n")
}
