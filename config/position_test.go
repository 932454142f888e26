package config

import (
	"strings"
	"testing"
)

const placed = `targets: [{name: a, front: {url: https://a.example/}, backend: {url: http://b.example/}}]
receivers:
  - name: ops
    slack: {channel: x, token: "${API_TOKEN}"}
    title: "{{.Title}}"
    text: |
      {{.Sentence}}
`

func TestPlace(t *testing.T) {
	c := parse(t, placed)
	for path, want := range map[string]place{
		"receivers[0].title":         {5, 12},
		"receivers[0].text":          {6, 11},
		"receivers[0].slack.channel": {4, 22},
		"targets[0].backend.url":     {1, 70},
	} {
		line, column, ok := c.Place(path)
		if !ok || (place{line, column}) != want {
			t.Errorf("%s: %d:%d %t, expected %v", path, line, column, ok, want)
		}
	}
	if line, column, ok := c.Place("receivers[0].repeat"); ok {
		t.Errorf("what was not given stands at %d:%d", line, column)
	}
}

func TestMistake(t *testing.T) {
	c := parse(t, placed)
	for path, want := range map[string]string{
		"receivers[0].title":  "etc/w.yaml:5:12: receivers[0].title: there is no x",
		"receivers[0].repeat": "etc/w.yaml:3:5: receivers[0].repeat: there is no x",
		"watchdog.url":        "etc/w.yaml:1:1: watchdog.url: there is no x",
	} {
		if got := c.Mistake(path, "there is no %s", "x").Error(); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
	var err error = Errors{c.Mistake("receivers[0].text", "%s", strings.Repeat("x", 5000))}
	if n := len(err.Error()); n > 1100 {
		t.Errorf("%d bytes", n)
	}
	made := &Config{}
	if got := made.Mistake("drill", "wrong").Error(); !strings.HasSuffix(got, "drill: wrong") {
		t.Errorf("without a file: %q", got)
	}
}
