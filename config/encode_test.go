package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRedactedLoadsAgain holds the encoder against the decoder: what was printed means the same.
func TestRedactedLoadsAgain(t *testing.T) {
	dir := playground(t)
	for _, f := range goodFiles(t) {
		t.Run(filepath.Base(f), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, "sub", "whichlayer.yaml")
			first, err := Parse(name, data, WithEnv(variables(dir)))
			if err != nil {
				t.Fatal(err)
			}
			text, err := first.Redacted()
			if err != nil {
				t.Fatal(err)
			}
			second, err := Parse(name, unredact(text), WithEnv(variables(dir)))
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			again, err := second.Redacted()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(unredact(text)), string(unredact(again))); diff != "" {
				t.Error(diff)
			}
			for i := range first.Targets {
				if strings.Contains(string(text), redacted) {
					break // the secrets are others now
				}
				if !Equal(first.Targets[i], second.Targets[i]) {
					t.Errorf("target %q is another one", first.Targets[i].Name)
				}
			}
		})
	}
}

// unredact drops secrets of which the file twin is there too, and gives the others a variable.
func unredact(text []byte) []byte {
	lines := strings.SplitAfter(string(text), "\n")
	s := ""
	for i, line := range lines {
		key, hidden := strings.CutSuffix(strings.TrimSpace(line), ": "+redacted)
		if !hidden || i+1 == len(lines) || !strings.HasPrefix(strings.TrimSpace(lines[i+1]), key+"_file: ") {
			s += line
		}
	}
	for key, variable := range map[string]string{"webhook_url": "SLACK_WEBHOOK", "url": "TICKETS_URL", "secret": "SIGNING_SECRET"} {
		s = strings.ReplaceAll(s, " "+key+": <redacted>", " "+key+": ${"+variable+"}")
	}
	return []byte(strings.ReplaceAll(s, redacted, "${API_TOKEN}"))
}

func TestRedactedShowsDefaults(t *testing.T) {
	c, err := Parse("w.yaml", []byte("listen: off\ntargets: [{name: a, heldopen: off, front: {url: 'https://a.example/$${x}'}}]"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Redacted()
	if err != nil {
		t.Fatal(err)
	}
	want := `schedule: '@every 10s'
timeouts:
  resolve: 2s
  connect: 4s
  tls: 3s
  request: 5s
  response: 5s
heldopen: 1s
detect:
  confirm: 20s
  resolve: 1m0s
  reopen: 10m0s
listen: off
retention:
  incidents: 17520h0m0s
  history: 2160h0m0s
  size: 2GiB
targets:
  - name: a
    schedule: '@every 10s'
    timeouts:
      resolve: 2s
      connect: 4s
      tls: 3s
      request: 5s
      response: 5s
    heldopen: off
    detect:
      confirm: 20s
      resolve: 1m0s
      reopen: 10m0s
    front:
      url: https://a.example/$%7Bx%7D
      request:
        method: GET
      min_tls: "1.2"
drill: off
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

const equalBase = `
targets:
  - name: a
    front: {url: https://a.example/, ca_file: ca.pem, request: {bearer_token: "${API_TOKEN}", headers: {A: b, C: d}}}
    backends: [{url: "http://b.example/", expect: {body_regexp: ok}}, {url: "http://c.example/"}]
    expect: {status: [200], json: [{path: $.a}]}
`

func parseTarget(t *testing.T, dir, text string, env func(string) (string, bool)) Target {
	t.Helper()
	c, err := Parse(filepath.Join(dir, "w.yaml"), []byte(text), WithEnv(env))
	if err != nil {
		t.Fatal(err)
	}
	return c.Targets[0]
}

func TestEqual(t *testing.T) {
	dir := playground(t)
	env := variables(dir)
	base := parseTarget(t, dir, equalBase, env)
	for name, text := range map[string]string{
		"same":          equalBase,
		"comment":       "# new\n" + equalBase,
		"other order":   strings.Replace(equalBase, "{A: b, C: d}", "{C: d, A: b}", 1),
		"default given": "schedule: '@every 10s'\nlisten: off" + equalBase,
		"same text":     strings.Replace(equalBase, "https://a.example/,", "'https://${HOST}/',", 1),
	} {
		withHost := func(n string) (string, bool) {
			if n == "HOST" {
				return "a.example", true
			}
			return env(n)
		}
		if !Equal(base, parseTarget(t, dir, text, withHost)) {
			t.Errorf("%s: another target", name)
		}
	}
	for name, change := range map[string][2]string{
		"schedule": {"name: a", "name: a\n    schedule: '@every 11s'"},
		"timeout":  {"name: a", "name: a\n    timeouts: {tls: 1s}"},
		"heldopen": {"name: a", "name: a\n    heldopen: off"},
		"url":      {"a.example/", "a.example/x"},
		"header":   {"C: d", "C: e"},
		"token":    {"${API_TOKEN}", "${ADMIN_PASSWORD}"},
		"regexp":   {"body_regexp: ok", "body_regexp: fine"},
		"backend":  {`, {url: "http://c.example/"}`, ""},
		"status":   {"[200]", "[200, 204]"},
		"no CA":    {"ca_file: ca.pem, ", ""},
		"path":     {"$.a", "$.b"},
	} {
		text := strings.Replace(equalBase, change[0], change[1], 1)
		if text == equalBase {
			t.Fatalf("%s: nothing changed", name)
		}
		if Equal(base, parseTarget(t, dir, text, env)) {
			t.Errorf("%s: the same target", name)
		}
	}
	cert, _ := selfSigned(t)
	write(t, filepath.Join(dir, "ca.pem"), cert, 0o600)
	if Equal(base, parseTarget(t, dir, equalBase, env)) {
		t.Error("content of the CA file: the same target")
	}
}
