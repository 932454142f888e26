package main

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/alert/store"
)

// stateCommand fills a state directory.
func stateCommand(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "state DIR FILE")
	var b alert.Batch
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &b))
	d, err := store.Open(context.Background(), store.Options{Dir: ts.MkAbs(args[0])})
	ts.Check(err)
	ts.Check(errors.Join(d.Commit(context.Background(), &b), d.Close()))
}

func TestReadTime(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-11-22":                "2026-11-21T23:00:00Z",
		"2026-07-01 14:03":          "2026-07-01T12:03:00Z",
		"2026-11-22 14:03:07":       "2026-11-22T13:03:07Z",
		"2026-11-22T14:03:07.5Z":    "2026-11-22T14:03:07.5Z",
		"2026-11-22T14:03:07+01:00": "2026-11-22T13:03:07Z",
		"36h":                       "2026-11-21T02:00:00Z",
		"30d":                       "2026-10-23T14:00:00Z",
		"0d":                        "2026-11-22T14:00:00Z",
		"90m":                       "2026-11-22T12:30:00Z",
		"":                          "", "-1h": "", "-1d": "", "d": "", "yesterday": "", "2026-13-01": "", "1000000d": "", "14:03": "",
	} {
		got, err := readTime(text, now, berlin)
		if want == "" && err == nil {
			t.Errorf("%q is %v", text, got)
		} else if want != "" && (err != nil || got.UTC().Format(time.RFC3339Nano) != want) {
			t.Errorf("%q is %v, %v, want %s", text, got.UTC(), err, want)
		}
	}
}
