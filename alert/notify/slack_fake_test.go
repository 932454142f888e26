package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// fakeSlack is as much of Slack as the notifier uses, and as strict.
type fakeSlack struct {
	server *httptest.Server
	hook   bool

	mu      sync.Mutex
	calls   []string // method, and what tells the message from others
	bodies  []map[string]any
	files   map[string][]byte // by what was given as the upload's URL
	posted  int
	failing int
	handler http.Handler
	refusal func(w http.ResponseWriter, method string) bool // true: it has answered
	arrived chan struct{}
	release chan struct{}
}

func newFakeSlack(t *testing.T, hook bool) *fakeSlack {
	f := &fakeSlack{hook: hook, files: map[string][]byte{}, release: make(chan struct{})}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	t.Cleanup(func() { close(f.release) })
	return f
}

func (f *fakeSlack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	handler, refusal, arrived, failing := f.handler, f.refusal, f.arrived, f.failing > 0
	if failing {
		f.failing--
	}
	f.mu.Unlock()
	if handler != nil {
		handler.ServeHTTP(w, r)
		return
	}
	raw, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(raw))
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	switch {
	case arrived != nil:
		close(arrived)
		select {
		case <-r.Context().Done():
		case <-f.release:
		}
	case failing:
		w.WriteHeader(http.StatusServiceUnavailable)
	case refusal != nil && refusal(w, method):
	case strings.HasPrefix(method, "/upload/"):
		f.upload(w, r)
	default:
		f.take(w, method, form(r, raw))
	}
}

// form is what a method was called with.
func form(r *http.Request, raw []byte) map[string]any {
	body := map[string]any{}
	if r.Header.Get("Content-Type") == "application/json" {
		_ = json.Unmarshal(raw, &body)
		return body
	}
	_ = r.ParseForm()
	for k, v := range r.Form {
		body[k] = v[0]
	}
	var attachments any
	if json.Unmarshal([]byte(r.Form.Get("attachments")), &attachments) == nil {
		body["attachments"] = attachments
	}
	return body
}

func (f *fakeSlack) take(w http.ResponseWriter, method string, body map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := method
	if ts, ok := body["thread_ts"]; ok {
		call += fmt.Sprint(" in ", ts)
	}
	if body["reply_broadcast"] == "true" {
		call += " to all"
	}
	if ts, ok := body["ts"]; ok {
		call += fmt.Sprint(" of ", ts)
	}
	f.calls, f.bodies = append(f.calls, call), append(f.bodies, body)
	f.posted++
	switch {
	case f.hook:
		fmt.Fprint(w, "ok")
	case method == "auth.test":
		fmt.Fprint(w, `{"ok":true,"team":"T","user":"whichlayer"}`)
	case method == "files.getUploadURLExternal":
		fmt.Fprintf(w, `{"ok":true,"upload_url":"%s/upload/%s","file_id":"F1"}`, f.server.URL, body["length"])
	case method == "files.completeUploadExternal":
		fmt.Fprint(w, `{"ok":true,"files":[{"id":"F1","title":"t"}]}`)
	default:
		fmt.Fprintf(w, `{"ok":true,"channel":"C0123","ts":"%d.000"}`, f.posted)
	}
}

func (f *fakeSlack) upload(w http.ResponseWriter, r *http.Request) {
	part, _, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	content, _ := io.ReadAll(part)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[strings.TrimPrefix(r.URL.Path, "/upload/")] = content
}

// receiver is the configuration that leads to it.
func (f *fakeSlack) receiver(t *testing.T) config.Receiver {
	t.Helper()
	s := config.Slack{Channel: "#ops", Token: config.NewSecret("xoxb-secret")}
	var api config.URL
	if err := api.UnmarshalText([]byte(f.server.URL + "/api")); err != nil {
		t.Fatal(err)
	}
	s.APIURL = &api
	if f.hook {
		s = config.Slack{WebhookURL: config.NewSecret(f.server.URL + "/services/T0/B0/secret")}
	}
	return config.Receiver{Name: "ops", Slack: &s}
}

// slack is a notifier that does not wait, with the given memory.
func (f *fakeSlack) slack(t *testing.T, r config.Receiver, memory alert.Memory) *Slack {
	t.Helper()
	n, err := newSlack(r, Setting{Zone: berlin(), Memory: memory, Pace: newPace(time.Microsecond), Log: discard()}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fakeSlack) notifier(t *testing.T) alert.Notifier {
	return f.slack(t, f.receiver(t), newRAM())
}

func (f *fakeSlack) hang(*testing.T) <-chan struct{} {
	f.arrived = make(chan struct{})
	return f.arrived
}

func (f *fakeSlack) refuse(*testing.T) {
	f.refusal = func(w http.ResponseWriter, _ string) bool {
		if f.hook {
			http.Error(w, "no_service", http.StatusNotFound)
		} else {
			fmt.Fprint(w, `{"ok":false,"error":"channel_not_found"}`)
		}
		return true
	}
}

func (f *fakeSlack) fail(_ *testing.T, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = times
}

func (f *fakeSlack) answer(_ *testing.T, h http.Handler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handler = h
}

func (f *fakeSlack) secrets() []string { return []string{"xoxb-secret", "B0/secret"} }

func (f *fakeSlack) taken(*testing.T) int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.calls) }

func (f *fakeSlack) said(t *testing.T) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := json.Marshal(f.bodies)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
