package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse feeds foreign bytes: no panic, a bounded time, errors of the promised type with places in the file, and
// what loads can be printed and loads again.
func FuzzParse(f *testing.F) {
	seed(f)
	none := func(string, int64) ([]byte, bool, error) { return nil, false, fs.ErrNotExist }
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		c, err := Parse("fuzz.yaml", data, WithEnv(variables("/nonexistent")), WithReadFile(none))
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("took %s", took)
		}
		if err != nil {
			checkErrors(t, err)
			return
		}
		text, err := c.Redacted()
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Targets {
			if !Equal(c.Targets[i], c.Targets[i]) {
				t.Fatalf("target %d is not itself", i)
			}
		}
		_ = c.Warnings()
		if _, err := Parse("fuzz.yaml", unredact(text), WithEnv(variables("/nonexistent")), WithReadFile(none)); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	})
}

func checkErrors(t *testing.T, err error) {
	t.Helper()
	var all Errors
	if !errors.As(err, &all) || len(all) == 0 || len(all) > mostErrors+1 {
		t.Fatalf("%T with %d mistakes", err, len(all))
	}
	for i, e := range all {
		if e.Msg == "" || e.Line < 0 || e.Line > 0 && e.Column < 1 {
			t.Fatalf("no place or words: %+v", e)
		}
		if i > 0 && i < mostErrors && e.Line < all[i-1].Line {
			t.Fatalf("not in order: %v", err)
		}
	}
}

// seed gives the fuzzer every good and every bad file there is.
func seed(f *testing.F) {
	good, _ := filepath.Glob("../examples/*.yaml")
	more, _ := filepath.Glob("testdata/good/*.yaml")
	for _, path := range append(good, more...) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	bad, _ := filepath.Glob("testdata/errors/*.txtar")
	for _, path := range bad {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, in := range a.Files {
			f.Add(in.Data)
		}
	}
	f.Add([]byte(minimal))
	f.Add([]byte("targets: [{name: a, front: {url: https://a.example/, request: {headers: {A: \"${NAME}\"}}}}]"))
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://a.example/", "tls://[::1]:1", "tcp://a:1", "http://a:b@c/", "https://a%zz/", "//a", "tcp://[::1%25eth0]:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var u URL
		if u.UnmarshalText([]byte(s)) != nil {
			return
		}
		if u.Hostname() == "" || u.PortNumber() == 0 || u.User != nil {
			t.Fatalf("%q: host %q, port %d", s, u.Hostname(), u.PortNumber())
		}
		var again URL
		if err := again.UnmarshalText([]byte(u.String())); err != nil || again.String() != u.String() {
			t.Fatalf("%q: %q is %q, %v", s, u, again, err)
		}
	})
}

func FuzzSchedule(f *testing.F) {
	for _, s := range []string{"@every 10s", "* * * * *", "*/5 * * * * *", "CRON_TZ=UTC 5 4 * * *", "TZ=UTC", "@hourly", "0 0 30 2 *", "1-5/2 ? L * mon"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var x Schedule
		if x.UnmarshalText([]byte(s)) != nil {
			return
		}
		if d := x.Interval(time.Unix(1e9, 0)); d <= 0 {
			t.Fatalf("%q fires every %s", s, d)
		}
	})
}
