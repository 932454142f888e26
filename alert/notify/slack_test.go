package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

func TestSlackConforms(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]bool{"bot": false, "webhook": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conform(t, func(t *testing.T) far { return newFakeSlack(t, hook) })
		})
	}
}

func TestSlackKeepsOneMessagePerIncident(t *testing.T) {
	f := newFakeSlack(t, false)
	n := f.notifier(t)
	for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Opened, config.Updated, config.Resolved} {
		if err := n.Notify(t.Context(), sample(tr)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"chat.postMessage",
		"chat.update of 1.000", "chat.postMessage in 1.000 to all",
		"chat.update of 1.000", // the same notification again: nothing is said twice
		"chat.update of 1.000", "chat.postMessage in 1.000",
		"chat.update of 1.000", "chat.postMessage in 1.000",
	}
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

// TestSlackGoesOnAfterARestart: the next process edits the message of the one before.
func TestSlackGoesOnAfterARestart(t *testing.T) {
	f, memory := newFakeSlack(t, false), newRAM()
	if err := f.slack(t, f.receiver(t), memory).Notify(t.Context(), sample(config.Opened)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it was killed before it could note that the message was taken, and tells it again
		if err := f.slack(t, f.receiver(t), memory).Notify(t.Context(), sample(config.Opened)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.slack(t, f.receiver(t), memory).Notify(t.Context(), sample(config.Resolved)); err != nil {
		t.Fatal(err)
	}
	want := []string{"chat.postMessage", "chat.update of 1.000", "chat.update of 1.000", "chat.update of 1.000", "chat.postMessage in 1.000"}
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Error(diff)
	}
}

// TestSlackRepeatsWhatFailed: a reply that failed is made good without a second message.
func TestSlackRepeatsWhatFailed(t *testing.T) {
	f := newFakeSlack(t, false)
	n := f.notifier(t)
	if err := n.Notify(t.Context(), sample(config.Suspect)); err != nil {
		t.Fatal(err)
	}
	f.refusal = func(w http.ResponseWriter, method string) bool {
		if method == "chat.postMessage" {
			w.WriteHeader(http.StatusBadGateway)
		}
		return method == "chat.postMessage"
	}
	if err := n.Notify(t.Context(), sample(config.Opened)); err == nil || isPermanent(err) {
		t.Fatalf("got %v, want an error that passes", err)
	}
	f.refusal = nil
	if err := n.Notify(t.Context(), sample(config.Opened)); err != nil {
		t.Fatal(err)
	}
	want := []string{"chat.postMessage", "chat.update of 1.000", "chat.update of 1.000", "chat.postMessage in 1.000 to all"}
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Error(diff)
	}
}

func TestSlackPostsAnewWhenItsMessageIsGone(t *testing.T) {
	f := newFakeSlack(t, false)
	n := f.notifier(t)
	if err := n.Notify(t.Context(), sample(config.Opened)); err != nil {
		t.Fatal(err)
	}
	f.refusal = func(w http.ResponseWriter, method string) bool {
		if method != "chat.update" {
			return false
		}
		fmt.Fprint(w, `{"ok":false,"error":"message_not_found"}`)
		return true
	}
	if err := n.Notify(t.Context(), sample(config.Resolved)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"chat.postMessage", "chat.postMessage"}, f.calls); diff != "" {
		t.Error(diff)
	}
}

// TestSlackTellsTheChannel: what people must see does not stand in a thread alone.
func TestSlackTellsTheChannel(t *testing.T) {
	long := sample(config.Resolved)
	long.Event.Incident.EndsAfter, long.Event.Incident.EndsBefore = at(31*time.Minute), at(32*time.Minute)
	for _, c := range []struct {
		name string
		n    alert.Notification
		want string
	}{
		{"a reminder", reminder(), "chat.postMessage in 1.000 to all"},
		{"a short outage's end", sample(config.Resolved), "chat.postMessage in 1.000"},
		{"a long outage's end", long, "chat.postMessage in 1.000 to all"},
	} {
		f := newFakeSlack(t, false)
		n := f.notifier(t)
		for _, m := range []alert.Notification{sample(config.Opened), c.n} {
			if err := n.Notify(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.calls[len(f.calls)-1]; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
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
			{503, "9", "", false, 9 * time.Second},
			{403, "", "invalid_token", true, 0},
			{200, "", `{"ok":false,"error":"invalid_auth"}`, true, 0},
			{200, "", `{"ok":false,"error":"internal_error"}`, false, slackPause},
			{200, "", `<html>log in first</html>`, false, 0},
		} {
			if hook && c.status == 200 {
				continue
			}
			f := newFakeSlack(t, hook)
			f.refusal = func(w http.ResponseWriter, _ string) bool {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
				return true
			}
			err := f.notifier(t).Notify(t.Context(), sample(config.Opened))
			var wait *alert.RetryAfterError
			if err == nil || isPermanent(err) != c.permanent {
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
		err := n.Notify(t.Context(), sample(config.Opened))
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "refused") {
			t.Errorf("hook %v: %v", hook, err)
		}
	}
	make := func(s config.Slack) error {
		_, err := New(config.Receiver{Name: "ops", Slack: &s}, Setting{Log: discard()})
		return err
	}
	for _, bad := range []string{"secret", "http://", "::secret"} {
		if err := make(config.Slack{WebhookURL: config.NewSecret(bad)}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if make(config.Slack{Channel: "#ops"}) == nil {
		t.Error("a channel without a token was taken")
	}
}

func TestSlackCheck(t *testing.T) {
	f := newFakeSlack(t, false)
	s := f.slack(t, f.receiver(t), newRAM())
	if err := s.Check(t.Context()); err != nil || f.calls[0] != "auth.test" {
		t.Errorf("%v after %v", err, f.calls)
	}
	f.refusal = func(w http.ResponseWriter, _ string) bool {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return true
	}
	if err := s.Check(t.Context()); !isPermanent(err) || !strings.Contains(err.Error(), "invalid_auth") {
		t.Errorf("a wrong token: %v", err)
	}
	f.refusal = nil
	f.fail(t, 1)
	if err := s.Check(t.Context()); err == nil || isPermanent(err) {
		t.Errorf("a server that does not work just now: %v", err)
	}
	hook := newFakeSlack(t, true)
	if err := hook.slack(t, hook.receiver(t), newRAM()).Check(t.Context()); err != nil || hook.taken(t) != 0 {
		t.Errorf("a webhook was tried by a check: %v", err)
	}
}

func TestSlackAttaches(t *testing.T) {
	f := newFakeSlack(t, false)
	s := f.slack(t, f.receiver(t), newRAM())
	n := sample(config.Opened)
	id, picture := n.Event.Incident.ID, []byte("\x89PNG\r\n\x00picture")
	if err := s.Attach(t.Context(), id, "course.png", "The course", picture); !isPermanent(err) {
		t.Errorf("without a message: %v", err)
	}
	if err := s.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(t.Context(), id, "course.png", "The course", picture); err != nil {
		t.Fatal(err)
	}
	want := []string{"chat.postMessage", "files.getUploadURLExternal", "files.completeUploadExternal in 1.000"}
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(f.files[fmt.Sprint(len(picture))], picture) || f.bodies[2]["channel_id"] != "C0123" || f.bodies[1]["filename"] != "course.png" {
		t.Errorf("%v, uploaded %q", f.bodies[1:], f.files)
	}
	for _, size := range []int{0, maxFile + 1} {
		if err := s.Attach(t.Context(), id, "x", "x", bytes.Repeat([]byte("x"), size)); !isPermanent(err) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := s.Attach(t.Context(), id, "large.bin", "As large as allowed", bytes.Repeat([]byte("x"), maxFile)); err != nil {
		t.Error(err)
	}
	hook := newFakeSlack(t, true)
	if err := hook.slack(t, hook.receiver(t), newRAM()).Attach(t.Context(), id, "x", "x", picture); !isPermanent(err) {
		t.Errorf("by a webhook: %v", err)
	}
}

// TestSlackTemplates: a template may use Slack's markup, what it is filled with may not.
func TestSlackTemplates(t *testing.T) {
	f := newFakeSlack(t, true)
	r := f.receiver(t)
	r.Title, r.Text = config.NewTemplate("<!here> {{.Target}}: {{.Layer}}"), config.NewTemplate("{{join \" / \" .Evidence}}")
	n := sample(config.Opened)
	n.Event.Target, n.Event.Verdict.Evidence = "a <!channel> & b", []string{"one <x>", "two"}
	if err := f.slack(t, r, newRAM()).Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if got, want := f.bodies[0]["text"], "<!here> a &lt;!channel&gt; &amp; b: proxy"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if said := f.said(t); !strings.Contains(said, `"one \u0026lt;x\u0026gt; / two"`) || strings.Contains(said, "<!channel>") {
		t.Errorf("the text is not there: %s", said)
	}
	if diff := cmp.Diff([]string{"one <x>", "two"}, n.Event.Verdict.Evidence); diff != "" {
		t.Errorf("the notification was changed: %s", diff)
	}
}

// TestPace: messages to a channel are a second apart, whoever sends them; other channels do not wait.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := NewPace(), time.Now()
		done := make(chan time.Duration, 6)
		for range 5 {
			go func() {
				if err := p.wait(t.Context(), place{"token", "#ops"}); err != nil {
					t.Error(err)
				}
				done <- time.Since(began)
			}()
		}
		for k := range 5 {
			if got := <-done; got != time.Duration(k)*time.Second {
				t.Errorf("message %d went after %v", k, got)
			}
		}
		if err := p.wait(t.Context(), place{"token", "#dev"}); err != nil || time.Since(began) != 4*time.Second {
			t.Errorf("another channel: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := p.wait(ctx, place{"token", "#ops"}); err == nil {
			t.Error("went although its time was over")
		}
	})
}

// TestSlackForgets: seven days after the end, and of too many those that ended first; what lasts goes last.
func TestSlackForgets(t *testing.T) {
	memory := newRAM()
	th := threads{memory}
	tell := func(id string, tr config.Transition, when time.Time) {
		n := sample(tr)
		n.Event.Incident.ID, n.Event.Time = id, when
		th.keep(t.Context(), n, thread{Channel: "C0123", TS: "1.0"})
	}
	known := func(id string) bool { _, ok := th.get(id); return ok }
	tell("a", config.Resolved, began)
	tell("b", config.Opened, began)
	tell("c", config.Resolved, began.Add(forgetThread))
	if !known("a") || !known("b") {
		t.Error("forgot too early")
	}
	tell("d", config.Opened, began.Add(forgetThread+time.Second))
	if known("a") || !known("b") || !known("c") {
		t.Error("did not forget what ended 7 days ago, or more")
	}
	memory.Set(t.Context(), "alert/x", "of another kind")
	for k := range maxThreads - 1 {
		memory.Set(t.Context(), fmt.Sprintf("slack/e%04d", k), `{"channel":"C0123","ts":"1.0"}`)
	}
	tell("e0999", config.Opened, began.Add(forgetThread+time.Minute))
	if known("c") || known("b") || !known("e0999") || len(memory.All()) != maxThreads+1 {
		t.Errorf("%d are remembered", len(memory.All()))
	}
}
