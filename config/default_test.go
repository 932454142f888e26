package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const minimal = "targets: [{name: a, front: {url: https://a.example/}, backend: {url: http://b.example/}}]\n"

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse(filepath.Join("etc", "w.yaml"), []byte(text), WithEnv(variables("")))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := parse(t, minimal+"receivers: [{name: r, exec: {command: [/bin/sh]}}]")
	a := c.Targets[0]
	if a.Schedule.Every != 10*time.Second || a.Timeouts != c.Timeouts || a.Detect != c.Detect || a.HeldOpen.Std() != time.Second {
		t.Errorf("the target did not inherit: %+v", a)
	}
	want := Timeouts{Duration(2e9), Duration(4e9), Duration(3e9), Duration(5e9), Duration(5e9)}
	if diff := cmp.Diff(want, c.Timeouts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Detect{Duration(20e9), Duration(60e9), Duration(600e9)}, c.Detect); diff != "" {
		t.Error(diff)
	}
	if c.Listen != "127.0.0.1:9853" || a.Front.MinTLS != tls.VersionTLS12 || a.Front.Request.Method != "GET" {
		t.Errorf("listen %q, TLS %x, method %q", c.Listen, a.Front.MinTLS, a.Front.Request.Method)
	}
	if a.Backend != nil || len(a.Backends) != 1 || a.Backends[0].Name != "backend" || a.Backends[0].Request.Method != "GET" {
		t.Errorf("backend was not brought into backends: %+v", a.Backends)
	}
	r := c.Receivers[0]
	if diff := cmp.Diff([]Transition{Opened, Resolved}, r.On); diff != "" || r.Exec.Timeout.Std() != 30*time.Second {
		t.Errorf("receiver %+v %s", r.Exec, diff)
	}
}

func TestOwnValues(t *testing.T) {
	c := parse(t, `
schedule: "@every 30s"
timeouts: {tls: 1s}
heldopen: 2s
listen: "[::1]:0"
targets:
  - name: a
    front: {url: "https://a.example/"}
    backends: [{url: "http://b.example/"}, {url: "https://c.example:8443/"}, {name: x, url: "http://b.example/"}]
  - name: 1.50
    schedule: "0 * * * *"
    timeouts: {connect: 5s}
    heldopen: off
    detect: {confirm: 1m}
    front: {url: "https://a.example/", min_tls: 1.3, ip_version: 4, request: {method: HEAD}}
    backend: {name: app, url: "http://b.example/"}
    expect: {cert_days: "${DAYS}", body: "a $${b}"}
`)
	a, b := c.Targets[0], c.Targets[1]
	var names []string
	for _, x := range a.Backends {
		names = append(names, x.Name)
	}
	if diff := cmp.Diff([]string{"b.example:80", "c.example:8443", "x"}, names); diff != "" {
		t.Error(diff)
	}
	if a.Schedule.Every != 30*time.Second || a.Timeouts.TLS.Std() != time.Second || a.Timeouts.Connect.Std() != 4*time.Second {
		t.Errorf("a: %+v", a)
	}
	if b.Name != "1.50" || b.Schedule.Spec != "0 * * * *" || *b.HeldOpen != 0 || b.Detect.Confirm.Std() != time.Minute ||
		b.Detect.Reopen != c.Detect.Reopen || b.Timeouts.Connect.Std() != 5*time.Second || b.Timeouts.TLS.Std() != time.Second {
		t.Errorf("b: %+v", b)
	}
	if b.Front.MinTLS != tls.VersionTLS13 || b.Front.IPVersion != 4 || b.Front.Request.Method != "HEAD" || b.Backends[0].Name != "app" {
		t.Errorf("b: %+v", b.Front)
	}
	if b.Expect.CertDays != 7 || b.Expect.Body != "a ${b}" || c.Listen != "[::1]:0" {
		t.Errorf("expect %+v, listen %q", b.Expect, c.Listen)
	}
}

func TestEmptyListsAreFine(t *testing.T) {
	c := parse(t, minimal+"controls:\nreceivers:\ndns: {servers: }\nlisten: off\n")
	if c.Controls != nil || c.Receivers != nil || c.Listen != "" {
		t.Errorf("%+v", c)
	}
}

// TestVariableIsOneValue fills in a value that looks like YAML.
func TestVariableIsOneValue(t *testing.T) {
	c := parse(t, "targets: [{name: a, front: {url: https://a.example/}, expect: {body: \"${NAME}\"}}]")
	if want, _ := variables("")("NAME"); c.Targets[0].Expect.Body != want || len(c.Targets) != 1 {
		t.Errorf("got %q", c.Targets[0].Expect.Body)
	}
}

func TestFileNamesStartFromTheFile(t *testing.T) {
	dir := playground(t)
	text := strings.Replace(minimal, "front: {", "front: {ca_file: ca.pem, ", 1)
	write(t, filepath.Join(dir, "w.yaml"), text, 0o600)
	c, err := Load(filepath.Join(dir, "w.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(dir, "ca.pem")
	if f := c.Targets[0].Front; f.CAFile != want || f.Roots == nil || f.Roots.Equal(x509.NewCertPool()) {
		t.Errorf("CA file %q, roots %v", f.CAFile, f.Roots)
	}
	if diff := cmp.Diff([]string{want}, c.Files); diff != "" {
		t.Error(diff)
	}
}

func TestWarnings(t *testing.T) {
	for text, want := range map[string][]string{
		minimal:                          nil,
		minimal + "listen: 0.0.0.0:9853": {"0.0.0.0:9853 can be reached"},
		minimal + "listen: :9853":        {":9853 can be reached"},
		minimal + "listen: '[::1]:1'":    nil,
		minimal + "listen: localhost:1":  nil,
		minimal + "listen: off":          nil,
		minimal + "timeouts: {connect: 3s}": {
			`target "a": timeouts.connect: in 3s the last router's`,
		},
		minimal + "receivers: [{name: a, exec: {command: [/bin/sh]}}]":                                     {"state: none is given"},
		minimal + "receivers: [{name: a, exec: {command: [/bin/sh]}}]\nstate: .":                           nil,
		minimal + "maintenance: [{name: a, schedule: '0 2 * * *', duration: 24h}]":                         nil,
		minimal + "timezone: Europe/Berlin\nmaintenance: [{name: a, schedule: '0 2 * * 0', duration: 2h}]": nil,
		minimal + "maintenance: [{name: a, schedule: '* 2 * * *', duration: 2h}]":                          {`maintenance "a": it begins again`},
		"targets: [{name: a, front: {url: https://a.example/}}]":                                           {"no backend", "no via"},
		"targets: [{name: a, front: {url: http://a.example/}, backend: {url: http://b.example/}}]":         {"no via"},
	} {
		got := parse(t, text).Warnings()
		if len(got) != len(want) {
			t.Errorf("%s: %q, expected %q", text, got, want)
			continue
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: %q, expected %q", text, got[i], want[i])
			}
		}
	}
}

// TestFullExampleIsFull wants every key of the schema in examples/full.yaml.
func TestFullExampleIsFull(t *testing.T) {
	data, err := os.ReadFile("../examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// A key that excludes another one, which the example has, stands in a comment as "or KEY: ...".
	for _, key := range schemaKeys(t) {
		shown := regexp.MustCompile(`(?m)[\s{]` + key + `:`).Match(data)
		if !shown && !regexp.MustCompile(`# .*\bor `+key+`\b`).Match(data) {
			t.Errorf("examples/full.yaml does not show %s", key)
		}
	}
}

// schemaKeys are all keys of the schema.
func schemaKeys(t *testing.T) (keys []string) {
	t.Helper()
	type object struct {
		Properties map[string]any    `json:"properties"`
		Defs       map[string]object `json:"$defs"`
	}
	var root object
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	keys = sortedKeys(root.Properties)
	for _, def := range root.Defs {
		keys = append(keys, sortedKeys(def.Properties)...)
	}
	if len(keys) < 130 {
		t.Fatalf("%d keys, expected all", len(keys))
	}
	return keys
}

func TestExamplesNameTheSchema(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(data), "# yaml-language-server: $schema=../config/schema.json\n") {
			t.Errorf("%s does not begin with its schema", f)
		}
	}
}
