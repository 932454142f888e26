package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	compiler "github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write schema.json and the expected errors in testdata")

const schemaFile = "schema.json"

// TestSchemaIsFresh fails when the types have changed and schema.json has not: run go test ./config -update.
func TestSchemaIsFresh(t *testing.T) {
	want := generateSchema(t)
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want, Schema()) {
		t.Errorf("%s is stale, run go test ./config -update", schemaFile)
	}
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{
		FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, ExpandedStruct: true,
		Mapper: scalarSchema,
	}
	if err := r.AddGoComments("github.com/whichlayer/whichlayer/config", "."); err != nil {
		t.Fatal(err)
	}
	// AddGoComments takes the directory for a part of the import path.
	for name, text := range r.CommentMap {
		r.CommentMap[name] = strings.Join(strings.Fields(text), " ")
	}
	s := r.Reflect(&Config{})
	s.ID = "https://raw.githubusercontent.com/whichlayer/whichlayer/main/config/schema.json"
	s.Title = "whichlayer configuration"
	s.PatternProperties = map[string]*jsonschema.Schema{"^x-": {Description: "Not read: a place for anchors."}}
	require(s, s.Definitions)
	for _, name := range []string{"Webhook", "Watchdog"} { // a URL that may stand there as it is
		s.Definitions[name].Properties.Value("url").Pattern = `\$\{|^https?://.+`
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// require names the keys without which the loader refuses a file.
func require(root *jsonschema.Schema, defs jsonschema.Definitions) {
	root.Required = []string{"targets"}
	for name, keys := range map[string][]string{
		"Target": {"name", "front"}, "Endpoint": {"url"}, "Backend": {"url"}, "Hop": {"name", "role", "address"},
		"Control": {"name", "address"}, "Receiver": {"name"}, "Exec": {"command"}, "BasicAuth": {"username"},
		"ForwardProxy": {"address"}, "JSONCheck": {"path"}, "Alertmanager": {"urls"}, "Email": {"server", "from", "to"},
		"Maintenance": {"name", "schedule", "duration"},
	} {
		defs[name].Required = keys
	}
}

// scalarSchema describes the types that parse themselves. Any of them may come from a variable.
func scalarSchema(t reflect.Type) *jsonschema.Schema {
	orVariable := func(pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: `\$\{|^(` + pattern + `)$`}
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return orVariable(`([0-9]+(\.[0-9]*)?(ns|us|ms|s|m|h))+`)
	case reflect.TypeFor[Interval]():
		return orVariable(`off|([0-9]+(\.[0-9]*)?(ns|us|ms|s|m|h))+`)
	case reflect.TypeFor[Size]():
		return orVariable(`[0-9]+ *(KiB|MiB|GiB|TiB)`)
	case reflect.TypeFor[Address]():
		return orVariable(`[^:]+:[0-9]+|\[[0-9a-fA-F:.%a-z]+\]:[0-9]+`)
	case reflect.TypeFor[URL]():
		return orVariable(`(https?|tls|tcp)://.+`)
	case reflect.TypeFor[IPVersion]():
		return &jsonschema.Schema{Enum: []any{4, 6, "4", "6"}}
	case reflect.TypeFor[TLSVersion]():
		return &jsonschema.Schema{Enum: []any{1.0, 1.1, 1.2, 1.3, "1.0", "1.1", "1.2", "1.3"}}
	case reflect.TypeFor[Secret]():
		return &jsonschema.Schema{Type: "string", Pattern: `\$\{[A-Za-z_][A-Za-z0-9_]*\}`}
	case reflect.TypeFor[Prefix](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[Regexp](), reflect.TypeFor[JSONPath](),
		reflect.TypeFor[Zone](), reflect.TypeFor[Schedule](), reflect.TypeFor[OptionalSchedule](), reflect.TypeFor[Template]():
		return &jsonschema.Schema{Type: "string"}
	}
	if words := wordsOf(t); len(words) > 0 {
		s := &jsonschema.Schema{Type: "string"}
		for _, w := range words {
			s.Enum = append(s.Enum, w)
		}
		return s
	}
	if t.Kind() == reflect.Int {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "integer"}, orVariable(`[0-9]+`)}}
	}
	return nil
}

// TestEveryKeyIsDescribed keeps the editor's help complete.
func TestEveryKeyIsDescribed(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	n := 0
	check := func(where string, def any) {
		m, _ := def.(map[string]any)
		properties, _ := m["properties"].(map[string]any)
		for key, p := range properties {
			n++
			if text, _ := p.(map[string]any)["description"].(string); text == "" {
				t.Errorf("%s.%s has no description", where, key)
			}
		}
		if m["type"] == "object" && m["additionalProperties"] != false {
			t.Errorf("%s takes any key", where)
		}
	}
	check("", s)
	defs, _ := s["$defs"].(map[string]any)
	for name, def := range defs {
		check(name, def)
	}
	if n < 130 {
		t.Errorf("%d keys were looked at, expected all", n)
	}
}

func compiledSchema(t *testing.T) *compiler.Schema {
	t.Helper()
	doc, err := compiler.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := compiler.NewCompiler()
	if err := c.AddResource(schemaFile, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asEditor reads YAML as an editor's language server does, into JSON's types.
func asEditor(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v, err = compiler.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAcceptsGoodFiles(t *testing.T) {
	s := compiledSchema(t)
	files := goodFiles(t)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asEditor(t, data)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// goodFiles are all configurations that must load.
func goodFiles(t *testing.T) []string {
	t.Helper()
	examples, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(examples) < 4 {
		t.Fatalf("examples: %d files, %v", len(examples), err)
	}
	good, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(good) == 0 {
		t.Fatalf("testdata/good: %d files, %v", len(good), err)
	}
	return append(examples, good...)
}

func TestSchemaRefuses(t *testing.T) {
	s := compiledSchema(t)
	target := "targets: [{name: a, front: {url: 'https://a.example/'}}]\n"
	if err := s.Validate(asEditor(t, []byte(target+"x-anchors: {any: [thing]}\n"))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no targets":       "schedule: '@every 10s'",
		"unknown key":      target + "schedul: x",
		"unknown deep key": "targets: [{name: a, front: {url: 'https://a.example/', uri: b}}]",
		"scheme":           "targets: [{name: a, front: {url: 'ftp://a.example/'}}]",
		"no url":           "targets: [{name: a, front: {}}]",
		"role":             "targets: [{name: a, front: {url: 'https://a.example/'}, via: [{name: b, role: router, address: 'c:1'}]}]",
		"list":             "targets: {name: a}",
		"duration":         target + "heldopen: 10",
		"address":          target + "controls: [{name: a, address: a.example}]",
		"clear secret":     target + "receivers: [{name: a, slack: {channel: b, token: xoxb-1}}]",
		"clear key":        target + "receivers: [{name: a, webhook: {format: pagerduty, key: b}}]",
		"webhook URL":      target + "receivers: [{name: a, webhook: {url: hooks.example}}]",
		"format":           target + "receivers: [{name: a, webhook: {url: 'https://a.example/', format: xml}}]",
		"layer":            target + "receivers: [{name: a, exec: {command: [/bin/true]}, layers: [router]}]",
		"no recipient":     target + "receivers: [{name: a, email: {server: 'a:25', from: a@b.example}}]",
		"size":             target + "retention: {size: 2GB}",
		"maintenance":      target + "maintenance: [{name: a, schedule: '0 2 * * 0'}]",
		"transition":       target + "receivers: [{name: a, exec: {command: [/bin/true]}, on: [closed]}]",
		"IP version":       "targets: [{name: a, front: {url: 'https://a.example/', ip_version: 5}}]",
		"status":           "targets: [{name: a, front: {url: 'https://a.example/'}, expect: {status: [ok]}}]",
	} {
		if s.Validate(asEditor(t, []byte(text))) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
