package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReceiverDefaults(t *testing.T) {
	c := parse(t, minimal+`
receivers:
  - {name: json, webhook: {url: https://h.example/}}
  - {name: pagerduty, webhook: {format: pagerduty, key: "${API_TOKEN}"}}
  - {name: opsgenie, webhook: {format: opsgenie, key: "${API_TOKEN}"}}
  - {name: eu, webhook: {format: opsgenie, key: "${API_TOKEN}", url: "https://api.eu.opsgenie.com/v2/alerts", timeout: 3s}, group: false}
  - {name: email, email: {server: "mail.example.com:587", from: a@example.com, to: [b@example.com]}, drill: false}
  - {name: none, email: {server: "localhost:25", from: a@example.com, to: [b@example.com], tls: none, username: a, password: "${API_TOKEN}"}}
  - {name: alertmanager, alertmanager: {urls: ["http://[::1]:9093/prefix"]}}
  - {name: slack, slack: {channel: a, token: "${API_TOKEN}"}}
`)
	var got []string
	for _, r := range c.Receivers {
		s := fmt.Sprintf("%s: group %t, drill %t, people %t", r.Name, *r.Group, *r.Drill, r.ForPeople())
		if w := r.Webhook; w != nil {
			s += fmt.Sprintf(", %s to %s in %s", w.Format, w.URL.Reveal(), w.Timeout.Std())
		}
		if r.Email != nil {
			s += ", TLS " + string(r.Email.TLS)
		}
		got = append(got, s)
	}
	want := []string{
		"json: group false, drill true, people false, json to https://h.example/ in 10s",
		"pagerduty: group true, drill true, people true, pagerduty to https://events.pagerduty.com/v2/enqueue in 10s",
		"opsgenie: group true, drill true, people true, opsgenie to https://api.opsgenie.com/v2/alerts in 10s",
		"eu: group false, drill true, people true, opsgenie to https://api.eu.opsgenie.com/v2/alerts in 3s",
		"email: group true, drill false, people true, TLS starttls",
		"none: group true, drill true, people true, TLS none",
		"alertmanager: group false, drill true, people false",
		"slack: group true, drill true, people true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	text, err := c.Redacted()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"url: https://events.pagerduty.com/v2/enqueue", "url: https://api.opsgenie.com/v2/alerts", "url: <redacted>"} {
		if !strings.Contains(string(text), s) {
			t.Errorf("redacted does not show %q", s)
		}
	}
	if strings.Contains(string(text), "h.example") || strings.Contains(string(text), "api.eu") {
		t.Error("redacted shows the URL of a webhook")
	}
}

func TestSigningKey(t *testing.T) {
	for text, want := range map[string]string{
		"": "", signingSecret: "from-file-from-file-from-file---",
		strings.TrimPrefix(signingSecret, "whsec_"): "from-file-from-file-from-file---",
	} {
		w := Webhook{Secret: NewSecret(text)}
		if key, err := w.SigningKey(); err != nil || string(key) != want {
			t.Errorf("%q: %q, %v", text, key, err)
		}
	}
	w := Webhook{Secret: NewSecret("whsec_MTIz")}
	if key, err := w.SigningKey(); err == nil || key != nil {
		t.Errorf("3 bytes are a key: %q", key)
	}
}

const someReceiver = `
receivers:
  - name: a
    webhook: {url: "https://h.example/${NAME}", secret: "${SIGNING_SECRET}", ca_file: ca.pem, headers: {A: b, C: d}}
    layers: [proxy]
`

func TestEqualReceivers(t *testing.T) {
	dir := playground(t)
	load := func(text string) Receiver {
		t.Helper()
		env := func(name string) (string, bool) {
			if name == "NAME" {
				return "x", true
			}
			return variables(dir)(name)
		}
		c, err := Parse(filepath.Join(dir, "w.yaml"), []byte(minimal+text), WithEnv(env))
		if err != nil {
			t.Fatal(err)
		}
		return c.Receivers[0]
	}
	base := load(someReceiver)
	if base.Webhook.Roots == nil || !Equal(base, load(someReceiver)) ||
		!Equal(base, load(strings.Replace(someReceiver, "${NAME}", "x", 1)+"    drill: true\n    on: [opened, resolved]")) {
		t.Error("another receiver")
	}
	for _, change := range [][2]string{
		{"${NAME}", "y"}, {"C: d", "C: e"}, {", ca_file: ca.pem", ""}, {"[proxy]", "[proxy, link]"}, {"layers: [proxy]", "group: true"},
		{`secret: "${SIGNING_SECRET}", `, ""}, {"name: a", "name: b"},
	} {
		text := strings.Replace(someReceiver, change[0], change[1], 1)
		if text == someReceiver {
			t.Fatalf("%q: nothing changed", change)
		}
		if Equal(base, load(text)) {
			t.Errorf("%q: the same receiver", change)
		}
	}
	cert, _ := selfSigned(t)
	write(t, filepath.Join(dir, "ca.pem"), cert, 0o600)
	if Equal(base, load(someReceiver)) {
		t.Error("content of the CA file: the same receiver")
	}
}

func TestDrill(t *testing.T) {
	receivers := "receivers: [{name: r, exec: {command: [/bin/sh]}}]\n"
	sunday := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		minimal:                                 "off",
		minimal + receivers:                     "0 10 * * 1 at 2026-11-23T10:00:00Z",
		minimal + receivers + "drill: off":      "off",
		minimal + "drill: '0 0 9 * * *'":        "0 0 9 * * * at 2026-11-23T09:00:00Z",
		minimal + receivers + "drill: '@daily'": "@daily at 2026-11-23T00:00:00Z",
	} {
		for zone, ahead := range map[string]time.Duration{"UTC": 0, "Asia/Tokyo": 9 * time.Hour} {
			c := parse(t, text+"\ntimezone: "+zone)
			got := "off"
			if !c.Drill.Off() {
				got = c.Drill.Spec + " at " + c.Drill.Cron.Next(sunday).UTC().Add(ahead).Format(time.RFC3339)
			}
			if got != want {
				t.Errorf("%s in %s: %s, expected %s", text, zone, got, want)
			}
		}
	}
	c := parse(t, minimal+"drill: 'CRON_TZ=America/New_York 0 10 * * 1'\ntimezone: Asia/Tokyo")
	if got := c.Drill.Cron.Next(sunday); !got.Equal(time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)) {
		t.Errorf("with a zone of its own it is at %s", got)
	}
}

func TestUpkeepDefaults(t *testing.T) {
	c := parse(t, minimal+"watchdog: {url: https://h.example/}\nstate: state\nretention: {size: 64MiB}")
	want := Retention{Incidents: Duration(17520 * time.Hour), History: Duration(2160 * time.Hour), Size: 64 << 20}
	if diff := cmp.Diff(want, c.Retention); diff != "" {
		t.Error(diff)
	}
	if c.State != filepath.Join("etc", "state") || c.Watchdog.Interval.Std() != time.Minute || !c.Watchdog.Any() {
		t.Errorf("state %q, watchdog %+v", c.State, c.Watchdog)
	}
	if c := parse(t, minimal); c.Retention.Size != 2<<30 || c.Watchdog.Any() || c.Watchdog.Interval != 0 || c.State != "" {
		t.Errorf("%+v %+v", c.Retention, c.Watchdog)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]string{
		"1KiB": "1KiB", "1024KiB": "1MiB", "64 MiB": "64MiB", "2GiB": "2GiB", "3TiB": "3TiB", "1536MiB": "1536MiB",
		"2GB": "", "0MiB": "", "-1MiB": "", "1.5GiB": "", "MiB": "", "1": "", "9999999999TiB": "",
	} {
		var s Size
		err := s.UnmarshalText([]byte(text))
		if (err == nil) != (want != "") || err == nil && s.String() != want {
			t.Errorf("%q: %s, %v, expected %q", text, s, err, want)
		}
	}
}
