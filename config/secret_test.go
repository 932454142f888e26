package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func loadExample(t *testing.T, name string) *Config {
	t.Helper()
	dir := playground(t)
	data, err := os.ReadFile(filepath.Join("../examples", name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(filepath.Join(dir, name), data, WithEnv(variables(dir)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func receiver(t *testing.T, c *Config, name string) *Receiver {
	t.Helper()
	for i := range c.Receivers {
		if c.Receivers[i].Name == name {
			return &c.Receivers[i]
		}
	}
	t.Fatalf("no receiver %q", name)
	return nil
}

// TestSecretsNeverPrint prints a configuration full of secrets in every way that a program does by accident.
func TestSecretsNeverPrint(t *testing.T) {
	c := loadExample(t, "full.yaml")
	secrets := []string{
		c.Receivers[0].Slack.Token.Reveal(), c.Receivers[1].Slack.WebhookURL.Reveal(),
		c.Receivers[2].Slack.WebhookURL.Reveal(), c.Receivers[3].Slack.Token.Reveal(),
		c.Targets[0].Front.Request.BasicAuth.Password.Reveal(), c.Targets[0].Backends[1].Request.BearerToken.Reveal(),
		c.Targets[1].Front.Request.BearerToken.Reveal(), c.Targets[1].Front.ForwardProxy.BasicAuth.Password.Reveal(),
		receiver(t, c, "alertmanager").Alertmanager.BasicAuth.Password.Reveal(),
		receiver(t, c, "tickets").Webhook.URL.Reveal(), receiver(t, c, "tickets").Webhook.Secret.Reveal(),
		receiver(t, c, "on-call").Webhook.Key.Reveal(), receiver(t, c, "second-line").Webhook.Key.Reveal(),
		receiver(t, c, "mail").Email.Password.Reveal(), c.Watchdog.URL.Reveal(),
	}
	for i, s := range secrets {
		if s != signingSecret && !strings.Contains(s, "from-file") && !strings.Contains(s, "from-variable") {
			t.Fatalf("secret %d was not read: %q", i, s)
		}
	}
	key := c.Targets[0].Front.Certificate
	if key == nil || key.PrivateKey == nil {
		t.Fatal("the client certificate was not read")
	}

	texts := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		texts[verb] = fmt.Sprintf(verb, *c) +
			fmt.Sprintf(verb, c.Receivers[0].Slack) + fmt.Sprintf(verb, c.Targets[0].Front.Request.BasicAuth) +
			fmt.Sprintf(verb, c.Targets[0].Front) + fmt.Sprintf(verb, c.Targets[1].Front.ForwardProxy.BasicAuth)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("loaded", "config", c, "slack", *c.Receivers[0].Slack, "token", c.Receivers[0].Slack.Token)
		texts[name] = b.String()
	}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	texts["json"] = string(j)
	// Redacted is the way to print a configuration; the library itself must not do worse with a part of it.
	y, err := yaml.Marshal(c.Receivers)
	if err != nil {
		t.Fatal(err)
	}
	texts["yaml"] = string(y)
	r, err := c.Redacted()
	if err != nil {
		t.Fatal(err)
	}
	texts["redacted"] = string(r)
	for _, x := range c.Receivers {
		for verb := range texts {
			if verb[0] == '%' {
				texts[verb] += fmt.Sprintf(verb, x.Alertmanager) + fmt.Sprintf(verb, x.Webhook) + fmt.Sprintf(verb, x.Email)
			}
		}
	}
	for how, text := range texts {
		if len(text) < 100 {
			t.Errorf("%s printed only %q", how, text)
		}
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s shows the secret %q", how, s)
			}
		}
		if strings.Contains(text, "PrivateKey:") {
			t.Errorf("%s shows a private key", how)
		}
	}
	for _, how := range []string{"%v", "%+v", "%#v", "slog json", "json", "yaml", "redacted"} {
		if !strings.Contains(strings.ReplaceAll(texts[how], `\u003c`, "<"), "<redacted") {
			t.Errorf("%s does not say that there is a secret", how)
		}
	}
	// Plain values that came from the environment are shown as they are written.
	for _, secret := range []string{"admin-from-variable"} {
		if strings.Contains(texts["redacted"], secret) || !strings.Contains(texts["redacted"], "${ADMIN_PASSWORD}") {
			t.Errorf("redacted shows a value from the environment:\n%s", texts["redacted"])
		}
	}
}

func TestSecretFiles(t *testing.T) {
	c := loadExample(t, "full.yaml")
	for what, pair := range map[string][2]string{
		"line feed":                 {c.Receivers[0].Slack.Token.Reveal(), "xoxb-from-file"},
		"no line end":               {c.Receivers[2].Slack.WebhookURL.Reveal(), "https://hooks.slack.com/services/from-file"},
		"carriage return line feed": {c.Targets[0].Front.Request.BasicAuth.Password.Reveal(), "pass-from-file"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, expected %q", what, pair[0], pair[1])
		}
	}
	if n := len(c.Files); n != 11 {
		t.Errorf("%d files are recorded, expected 11: %q", n, c.Files)
	}
}

func TestPublicSecretFile(t *testing.T) {
	dir := playground(t)
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		if err := os.Chmod(filepath.Join(dir, "slack.token"), mode); err != nil {
			t.Fatal(err)
		}
		c, err := Parse(filepath.Join(dir, "w.yaml"), []byte(`
state: .
targets: [{name: a, front: {url: https://a.example/}, backend: {url: http://b.example/}}]
receivers: [{name: b, slack: {channel: c, token_file: slack.token}}]
`))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Warnings(); len(got) != want {
			t.Errorf("%o: %q, expected %d", mode, got, want)
		}
	}
}
