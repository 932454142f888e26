package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fakeSlack is as much of Slack as the notifier uses, and as strict.
type fakeSlack struct {
	server *httptest.Server
	hook   bool

	mu      sync.Mutex
	calls   []string // method, and what tells the message from others
	bodies  []map[string]any
	posted  int
	answer  func(w http.ResponseWriter, method string) bool // true: it has answered
	arrived chan struct{}
	release chan struct{}
}

func newFakeSlack(t *testing.T, hook bool) *fakeSlack {
	f := &fakeSlack{hook: hook, release: make(chan struct{})}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	t.Cleanup(func() { close(f.release) })
	return f
}

func (f *fakeSlack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	body := map[string]any{}
	if r.Header.Get("Content-Type") == "application/json" {
		_ = json.Unmarshal(raw, &body)
	} else {
		r.Body = io.NopCloser(bytes.NewReader(raw))
		_ = r.ParseForm()
		for k, v := range r.Form {
			body[k] = v[0]
		}
		var attachments any
		if json.Unmarshal([]byte(r.Form.Get("attachments")), &attachments) == nil {
			body["attachments"] = attachments
		}
	}
	f.mu.Lock()
	answer, arrived := f.answer, f.arrived
	f.mu.Unlock()
	if arrived != nil {
		close(arrived)
		select {
		case <-r.Context().Done():
		case <-f.release:
		}
		return
	}
	if answer != nil && answer(w, method) {
		return
	}
	f.take(w, method, body)
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
	if f.hook {
		fmt.Fprint(w, "ok")
		return
	}
	f.posted++
	fmt.Fprintf(w, `{"ok":true,"channel":"C0123","ts":"%d.000"}`, f.posted)
}

func (f *fakeSlack) notifier(t *testing.T) alert.Notifier {
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
	n, err := New(config.Receiver{Name: "ops", Slack: &s}, Setting{Zone: berlin(), Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fakeSlack) hang(*testing.T) <-chan struct{} {
	f.arrived = make(chan struct{})
	return f.arrived
}

func (f *fakeSlack) refuse(*testing.T) {
	f.answer = func(w http.ResponseWriter, _ string) bool {
		if f.hook {
			http.Error(w, "no_service", http.StatusNotFound)
		} else {
			fmt.Fprint(w, `{"ok":false,"error":"channel_not_found"}`)
		}
		return true
	}
}

func (f *fakeSlack) taken(*testing.T) int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.calls) }

func TestSlackConforms(t *testing.T) {
	t.Run("bot", func(t *testing.T) { conform(t, func(t *testing.T) far { return newFakeSlack(t, false) }) })
	t.Run("webhook", func(t *testing.T) { conform(t, func(t *testing.T) far { return newFakeSlack(t, true) }) })
}

func TestSlackKeepsOneMessagePerIncident(t *testing.T) {
	f := newFakeSlack(t, false)
	n := f.notifier(t)
	for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Opened, config.Updated, config.Resolved} {
		if err := n.Notify(context.Background(), sample(tr)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"chat.postMessage",
		"chat.update of 1.000", "chat.postMessage in 1.000 to all",
		"chat.update of 1.000", // the same notification again: nothing is said twice
		"chat.update of 1.000", "chat.postMessage in 1.000",
		"chat.update of 1.000", "chat.postMessage in 1.000"}
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(f.bodies[5]["text"]); !strings.Contains(got, "was proxy, frozen (likely)") || !strings.Contains(got, "three rounds in a row saw it") {
		t.Errorf("the thread does not say what changed and why: %s", got)
	}
	if f.bodies[1]["channel"] != "C0123" {
		t.Errorf("edited in %v, want the channel's ID", f.bodies[1]["channel"])
	}
}

func TestSlackPostsAnewWhenItsMessageIsGone(t *testing.T) {
	f := newFakeSlack(t, false)
	n := f.notifier(t)
	if err := n.Notify(context.Background(), sample(config.Opened)); err != nil {
		t.Fatal(err)
	}
	f.answer = func(w http.ResponseWriter, method string) bool {
		if method != "chat.update" {
			return false
		}
		fmt.Fprint(w, `{"ok":false,"error":"message_not_found"}`)
		return true
	}
	if err := n.Notify(context.Background(), sample(config.Resolved)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"chat.postMessage", "chat.postMessage"}, f.calls); diff != "" {
		t.Error(diff)
	}
}

func TestSlackErrors(t *testing.T) {
	for _, hook := range []bool{false, true} {
		for _, c := range []struct {
			status    int
			header    string
			body      string
			permanent bool
			after     time.Duration
		}{
			{429, "17", "", false, 17 * time.Second},
			{429, "", "", false, slackPause},
			{500, "", "", false, 0},
			{503, "", "", false, 0},
			{403, "", "invalid_token", true, 0},
			{200, "", `{"ok":false,"error":"invalid_auth"}`, true, 0},
			{200, "", `{"ok":false,"error":"internal_error"}`, false, slackPause},
		} {
			if hook && c.status == 200 {
				continue
			}
			f := newFakeSlack(t, hook)
			f.answer = func(w http.ResponseWriter, _ string) bool {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
				return true
			}
			err := f.notifier(t).Notify(context.Background(), sample(config.Opened))
			var permanent *alert.PermanentError
			var wait *alert.RetryAfterError
			if err == nil || errors.As(err, &permanent) != c.permanent {
				t.Errorf("hook %v, %d %s: %v", hook, c.status, c.body, err)
			}
			if got := errors.As(err, &wait); got != (c.after > 0) || got && wait.After != c.after {
				t.Errorf("hook %v, %d %s: %v, want to wait %v", hook, c.status, c.body, err, c.after)
			}
		}
	}
}

func TestSlackErrorsHoldNoSecret(t *testing.T) {
	for _, hook := range []bool{false, true} {
		f := newFakeSlack(t, hook)
		n := f.notifier(t)
		f.server.Close()
		err := n.Notify(context.Background(), sample(config.Opened))
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "refused") {
			t.Errorf("hook %v: %v", hook, err)
		}
	}
	for _, bad := range []string{"secret", "http://", "::secret"} {
		_, err := NewSlack(config.Slack{WebhookURL: config.NewSecret(bad)}, time.UTC)
		if err == nil || strings.Contains(err.Error(), "secret\"") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := NewSlack(config.Slack{Channel: "#ops"}, time.UTC); err == nil {
		t.Error("a channel without a token was taken")
	}
}

// TestSlackMessages holds what is sent against golden files; -update writes them.
func TestSlackMessages(t *testing.T) {
	for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved, config.Dismissed} {
		n := sample(tr)
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(slack.WebhookMessage{Text: summary(n), Attachments: []slack.Attachment{attachment(n, berlin())}}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "slack_"+string(tr)+".json")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s: %s", tr, diff)
		}
	}
}

// TestSlackLimits measures the largest message against what Slack takes.
func TestSlackLimits(t *testing.T) {
	for _, n := range []alert.Notification{huge(), sample(config.Resolved)} {
		a := attachment(n, berlin())
		if len(a.Blocks.BlockSet) > 50 {
			t.Errorf("%d blocks", len(a.Blocks.BlockSet))
		}
		total := 0
		for _, b := range a.Blocks.BlockSet {
			for _, text := range textsOf(b) {
				size := utf8.RuneCountInString(text)
				if total += size; size == 0 || size > 3000 || !utf8.ValidString(text) || strings.Contains(text, "<!") {
					t.Errorf("a text of %d characters: %.80q", size, text)
				}
				if strings.Count(text, "```")%2 != 0 {
					t.Errorf("a code block does not end: %q", text)
				}
			}
			if s, ok := b.(*slack.SectionBlock); ok && len(s.Fields) > 10 {
				t.Errorf("%d fields", len(s.Fields))
			}
		}
		if total > 12_000 {
			t.Errorf("%d characters together", total)
		}
		if s := summary(n); utf8.RuneCountInString(s) > 3000 {
			t.Errorf("a headline of %d", utf8.RuneCountInString(s))
		}
	}
}

func textsOf(b slack.Block) (out []string) {
	switch b := b.(type) {
	case *slack.SectionBlock:
		if b.Text != nil {
			out = append(out, b.Text.Text)
		}
		for _, f := range b.Fields {
			out = append(out, f.Text)
		}
	case *slack.ContextBlock:
		for _, e := range b.ContextElements.Elements {
			out = append(out, e.(*slack.TextBlockObject).Text)
		}
	}
	return out
}

func TestSlackForgetsOldIncidents(t *testing.T) {
	s := &Slack{threads: map[string]thread{}}
	for n := range 3 * maxThreads {
		s.keep(fmt.Sprint(n), thread{ts: fmt.Sprint(n)})
	}
	if _, ok := s.thread(fmt.Sprint(3*maxThreads - 1)); !ok || len(s.threads) != maxThreads || len(s.order) != maxThreads {
		t.Errorf("%d incidents are remembered", len(s.threads))
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a & b < c > d ``` \x00 \xff 日本", 10)
	f.Add("&&&&&&&&&&&&&", 7)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 10 || limit > 5000 {
			return
		}
		for name, got := range map[string]string{"escape": escape(s, limit), "code": code(s, limit), "bullets": bullets([]string{s, s}, limit)} {
			if n := utf8.RuneCountInString(got); n > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "<>\x00") {
				t.Errorf("%s(%q, %d) = %q (%d)", name, s, limit, got, n)
			}
		}
	})
}
