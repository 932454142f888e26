package notify

import (
	"bytes"
	"encoding/json"
	"errors"
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

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// fakeHook takes what a webhook posts, in one of its formats, as strictly as the real ones.
type fakeHook struct {
	format config.WebhookFormat
	server *httptest.Server

	mu      sync.Mutex
	got     []sent
	handler http.Handler
	failing int
}

// sent is a request that was taken.
type sent struct {
	path   string
	header http.Header
	body   []byte
}

func newFakeHook(t *testing.T, format config.WebhookFormat) *fakeHook {
	f := &fakeHook{format: format}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

const (
	hookKey    = "R0123456789abcdef0123456789abcde"
	hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	hookPath   = "/hooks/T0secretpart/B1"
)

func (f *fakeHook) secrets() []string {
	return []string{hookKey, hookSecret, "T0secretpart", "header-secret", "query-secret"}
}

func (f *fakeHook) receiver() config.Receiver {
	w := &config.Webhook{Format: f.format, Timeout: config.Duration(time.Second), Key: config.NewSecret(hookKey)}
	w.URL = config.NewSecret(f.server.URL)
	if f.format == config.WebhookJSON {
		w.URL = config.NewSecret(f.server.URL + hookPath + "?token=query-secret")
		w.Key, w.Secret = config.Secret{}, config.NewSecret(hookSecret)
		w.Headers = map[string]string{"Authorization": "Bearer header-secret"}
	}
	return config.Receiver{Name: "hook", Webhook: w}
}

func (f *fakeHook) notifier(t *testing.T) alert.Notifier {
	t.Helper()
	n, err := New(f.receiver(), Setting{Zone: berlin(), Log: discard(), ExternalURL: "https://w.example.com", Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fakeHook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	handler := f.handler
	if f.failing > 0 {
		f.failing--
		handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	}
	f.mu.Unlock()
	if handler != nil {
		handler.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var err error
	switch f.format {
	case config.WebhookPagerDuty:
		err = strictPagerDuty(r, body)
	case config.WebhookOpsgenie:
		err = strictOpsgenie(r, body)
	default:
		if !json.Valid(body) || r.URL.Path != hookPath {
			err = errors.New("no JSON, or elsewhere")
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"message":%q}`, err)
		return
	}
	f.mu.Lock()
	f.got = append(f.got, sent{r.URL.RequestURI(), r.Header.Clone(), body})
	f.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"success","message":"Event processed","dedup_key":"x","result":"Request will be processed","requestId":"43a29c5c"}`)
}

func (f *fakeHook) answer(_ *testing.T, h http.Handler) { f.mu.Lock(); f.handler = h; f.mu.Unlock() }
func (f *fakeHook) fail(_ *testing.T, times int)        { f.mu.Lock(); f.failing = times; f.mu.Unlock() }

func (f *fakeHook) hang(t *testing.T) <-chan struct{} {
	reached := make(chan struct{})
	f.answer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-r.Context().Done()
	}))
	return reached
}

func (f *fakeHook) refuse(t *testing.T) {
	f.answer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintln(w, "no", r.URL, r.Header)
	}))
}

func (f *fakeHook) all() []sent { f.mu.Lock(); defer f.mu.Unlock(); return f.got }

func (f *fakeHook) taken(*testing.T) int { return len(f.all()) }

func (f *fakeHook) said(*testing.T) string {
	var b strings.Builder
	for _, s := range f.all() {
		b.Write(s.body)
	}
	return b.String()
}

func strictPagerDuty(r *http.Request, body []byte) error {
	var e pagerEvent
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	switch err := d.Decode(&e); {
	case err != nil:
		return err
	case r.URL.Path != "/v2/enqueue" || len(body) > 512<<10 || len(e.RoutingKey) != 32:
		return errors.New("not enqueue, too large, or not a key")
	case e.DedupKey == "" || utf8.RuneCountInString(e.DedupKey) > 255:
		return errors.New("dedup_key")
	case e.Action != "trigger" && e.Action != "resolve":
		return errors.New("event_action")
	case e.Payload.Summary == "" || utf8.RuneCountInString(e.Payload.Summary) > 1024 || e.Payload.Source == "":
		return errors.New("summary, source")
	case !strings.Contains(" critical error warning info ", " "+e.Payload.Severity+" "):
		return errors.New("severity")
	}
	_, err := time.Parse(time.RFC3339, e.Payload.Timestamp)
	return err
}

func strictOpsgenie(r *http.Request, body []byte) error {
	if r.Header.Get("Authorization") != "GenieKey "+hookKey {
		return errors.New("key")
	}
	if strings.HasSuffix(r.URL.Path, "/close") {
		if r.URL.Query().Get("identifierType") != "alias" || !strings.HasPrefix(r.URL.Path, "/v2/alerts/2026") {
			return errors.New("identifierType")
		}
		return nil
	}
	var a genieAlert
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return err
	}
	long := 0
	for k, v := range a.Details {
		long += utf8.RuneCountInString(k) + utf8.RuneCountInString(v)
	}
	chars := utf8.RuneCountInString
	switch {
	case r.URL.Path != "/v2/alerts" || a.Message == "" || chars(a.Message) > 130 || chars(a.Alias) > 512 || chars(a.Description) > 15000:
		return errors.New("message, alias, description")
	case len(a.Tags) > 20 || long > 8000 || chars(a.Entity) > 512 || chars(a.Source) > 100 || !strings.Contains("P1P2P3P4P5", a.Priority):
		return errors.New("tags, details, entity, source, priority")
	}
	return nil
}

func TestWebhookConforms(t *testing.T) {
	for _, format := range []config.WebhookFormat{config.WebhookJSON, config.WebhookPagerDuty, config.WebhookOpsgenie} {
		t.Run(string(format), func(t *testing.T) { conform(t, func(t *testing.T) far { return newFakeHook(t, format) }) })
	}
}

// TestWebhookGolden keeps a sample of each body.
func TestWebhookGolden(t *testing.T) {
	for _, c := range []struct {
		name   string
		format config.WebhookFormat
		n      alert.Notification
	}{
		{"json_opened", config.WebhookJSON, sample(config.Opened)},
		{"json_drill", config.WebhookJSON, drill(config.Opened)},
		{"pagerduty_opened", config.WebhookPagerDuty, sample(config.Opened)},
		{"pagerduty_members", config.WebhookPagerDuty, together(config.Opened)},
		{"pagerduty_resolved", config.WebhookPagerDuty, sample(config.Resolved)},
		{"pagerduty_whole", config.WebhookPagerDuty, whole()},
		{"pagerduty_drill", config.WebhookPagerDuty, drill(config.Opened)},
		{"opsgenie_opened", config.WebhookOpsgenie, sample(config.Opened)},
		{"opsgenie_resolved", config.WebhookOpsgenie, sample(config.Resolved)},
		{"opsgenie_drill", config.WebhookOpsgenie, drill(config.Opened)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeHook(t, c.format)
			if err := f.notifier(t).Notify(t.Context(), c.n); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			for _, s := range f.all() {
				got.WriteString("POST " + s.path + "\n")
				if err := json.Indent(&got, s.body, "", "  "); err != nil {
					t.Fatal(err)
				}
				got.WriteString("\n")
			}
			golden(t, "webhook_"+c.name+".txt", got.Bytes())
		})
	}
}

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", path, diff)
	}
}

func TestPagerDutyActions(t *testing.T) {
	for _, c := range []struct {
		n    alert.Notification
		want string
	}{
		{sample(config.Suspect), "trigger warning"},
		{sample(config.Opened), "trigger critical"},
		{sample(config.Updated), "trigger critical"},
		{reminder(), "trigger critical"},
		{sample(config.Resolved), "resolve info"},
		{sample(config.Dismissed), "resolve info"},
		{whole(), "trigger info, resolve info"},
		{drill(config.Opened), "trigger info"},
		{drill(config.Resolved), "resolve info"},
	} {
		f := newFakeHook(t, config.WebhookPagerDuty)
		if err := f.notifier(t).Notify(t.Context(), c.n); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range f.all() {
			var e pagerEvent
			if err := json.Unmarshal(s.body, &e); err != nil {
				t.Fatal(err)
			}
			if e.DedupKey != c.n.Event.Incident.ID {
				t.Errorf("dedup key %q", e.DedupKey)
			}
			got = append(got, e.Action+" "+e.Payload.Severity)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: got %v, want %s", c.n.Headline(), got, c.want)
		}
	}
}

// TestHooksWantTheRightServer meets a login page that answers everything with 200.
func TestHooksWantTheRightServer(t *testing.T) {
	for _, format := range []config.WebhookFormat{config.WebhookPagerDuty, config.WebhookOpsgenie} {
		for _, answer := range []string{"<html>Please log in to the hotel's WLAN</html>", "{}", `{"status":"throttled"}`, "[]", ""} {
			f := newFakeHook(t, format)
			f.answer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
			if err := f.notifier(t).Notify(t.Context(), sample(config.Opened)); err == nil || isPermanent(err) {
				t.Errorf("%s: %q: got %v", format, answer, err)
			}
		}
	}
}

func TestOpsgenieCheck(t *testing.T) {
	for _, c := range []struct {
		status int
		good   bool
		final  bool
	}{{200, true, false}, {403, true, false}, {404, true, false}, {401, false, true}, {402, false, true}, {503, false, false}} {
		f := newFakeHook(t, config.WebhookOpsgenie)
		f.answer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v2/account" || r.Header.Get("Authorization") != "GenieKey "+hookKey {
				t.Errorf("asked %s %s", r.Method, r.URL)
			}
			w.WriteHeader(c.status)
		}))
		err := f.notifier(t).(alert.Checker).Check(t.Context())
		if (err == nil) != c.good || isPermanent(err) != c.final {
			t.Errorf("%d: %v", c.status, err)
		}
	}
	if _, ok := newFakeHook(t, config.WebhookJSON).notifier(t).(alert.Checker); ok {
		t.Error("a plain webhook has nothing to ask by")
	}
}

func TestWebhookURLs(t *testing.T) {
	for _, c := range []struct {
		format    config.WebhookFormat
		url, want string
	}{
		{config.WebhookPagerDuty, "", "https://events.pagerduty.com/v2/enqueue"},
		{config.WebhookPagerDuty, "https://events.eu.pagerduty.com", "https://events.eu.pagerduty.com/v2/enqueue"},
		{config.WebhookPagerDuty, "https://relay.example.com/pd", "https://relay.example.com/pd"},
		{config.WebhookOpsgenie, "", "https://api.opsgenie.com/v2/alerts"},
		{config.WebhookOpsgenie, "https://api.eu.opsgenie.com/", "https://api.eu.opsgenie.com/v2/alerts"},
	} {
		w := &config.Webhook{Format: c.format, Key: config.NewSecret(hookKey), URL: config.NewSecret(c.url)}
		n, err := NewWebhook(config.Receiver{Webhook: w}, Setting{Log: discard()})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		switch n := n.(type) {
		case *PagerDuty:
			got = n.url.String()
		case *Opsgenie:
			got = n.url.String()
		}
		if got != c.want {
			t.Errorf("%s %q: got %s, want %s", c.format, c.url, got, c.want)
		}
	}
	for _, w := range []*config.Webhook{{}, {URL: config.NewSecret("ftp://x/")}, {URL: config.NewSecret("%zz secret")}, {Format: config.WebhookPagerDuty},
		{Format: config.WebhookOpsgenie}, {URL: config.NewSecret("http://x/"), Secret: config.NewSecret("not base64!secret")}} {
		if _, err := NewWebhook(config.Receiver{Webhook: w}, Setting{Log: discard()}); err == nil || strings.Contains(err.Error(), "secret ") && strings.Contains(err.Error(), "zz") {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

// TestWebhookBody lets a template write the body.
func TestWebhookBody(t *testing.T) {
	f := newFakeHook(t, config.WebhookJSON)
	r := f.receiver()
	r.Webhook.Body = config.NewTemplate(`{"text": {{json .Title}}, "id": {{json .Incident}}}`)
	setting := Setting{Zone: berlin(), Log: discard()}
	n, err := New(r, setting)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Notify(t.Context(), sample(config.Opened)); err != nil {
		t.Fatal(err)
	}
	if got, want := string(f.all()[0].body), `{"text": "DOWN: orders is down: proxy, frozen (likely)", "id": "20261122T140304Z-orders-3f9a"}`; got != want {
		t.Errorf("got %s", got)
	}
	for _, body := range []string{"{{.Title}}", "{{index .Members 3}}", `"{{printf "%70000s" .Word}}"`} {
		r.Webhook.Body = config.NewTemplate(body)
		if n, err = New(r, setting); err != nil {
			t.Fatal(err)
		}
		if err := n.Notify(t.Context(), sample(config.Opened)); !isPermanent(err) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestPagersHaveTheReceiversWords puts templates in place of summary and description.
func TestPagersHaveTheReceiversWords(t *testing.T) {
	for _, format := range []config.WebhookFormat{config.WebhookPagerDuty, config.WebhookOpsgenie} {
		f := newFakeHook(t, format)
		r := f.receiver()
		r.Title, r.Text = config.NewTemplate("{{.Layer}}: {{.Target}}"), config.NewTemplate("Call the {{.Layer}} team")
		n, err := New(r, Setting{Zone: berlin(), Log: discard()})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Notify(t.Context(), sample(config.Opened)); err != nil {
			t.Fatal(err)
		}
		if said := f.said(t); !strings.Contains(said, `"proxy: orders"`) || !strings.Contains(said, `"Call the proxy team"`) {
			t.Errorf("%s: %s", format, said)
		}
	}
}
