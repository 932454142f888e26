package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/pflag"

	"github.com/whichlayer/whichlayer/config"
)

// parseAdhoc reads flags, one word each, as the command would.
func parseAdhoc(t *testing.T, words ...string) (*config.Config, error) {
	t.Helper()
	var a adhoc
	flags := pflag.NewFlagSet("check", pflag.ContinueOnError)
	a.addFlags(flags)
	if err := flags.Parse(words); err != nil {
		t.Fatal(err)
	}
	if !a.given() {
		t.Fatalf("%v describe nothing", words)
	}
	return a.config()
}

// TestAdhocIsAFile: the flags (first line) mean what the file says.
func TestAdhocIsAFile(t *testing.T) {
	const file = "testdata/adhoc.txtar"
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Files {
		f := &a.Files[i]
		t.Run(f.Name, func(t *testing.T) {
			line, text, _ := strings.Cut(string(f.Data), "\n")
			cfg, err := parseAdhoc(t, strings.Fields(line)...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := cfg.Redacted()
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				f.Data = []byte(line + "\n" + string(got))
			} else if diff := cmp.Diff(text, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAdhocKeepsDollars: the shell has expanded what was to be expanded.
func TestAdhocKeepsDollars(t *testing.T) {
	t.Setenv("HOME", "/root")
	cfg, err := parseAdhoc(t, "--front", "http://127.0.0.1/", "--expect-body", "costs ${HOME} $5 $$ \"quoted\" <tag>\n- x")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Targets[0].Expect.Body, "costs ${HOME} $5 $$ \"quoted\" <tag>\n- x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAdhocMistakes(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ words, want string }{
		{"--backend http://127.0.0.1/", "--front is missing"},
		{"--front https:///x", "--front: "},
		{"--front https://[::1/", "--front: "},
		{"--front https://127.0.0.1/ --backend gopher://x/", "--backend: "},
		{"--front https://127.0.0.1/ --backend http://127.0.0.1/ --backend 127.0.0.1:80", "--backend: "},
		{"--front https://127.0.0.1/ --balancer 127.0.0.2:443 --proxy 127.0.0.3", "--proxy: "},
		{"--front https://127.0.0.1/ --control 127.0.0.9:0", "--control: "},
		{"--front https://127.0.0.1/ --resolve 300.1.1.1", "--resolve: "},
		{"--front https://127.0.0.1/ --ca " + junk, "--ca: "},
		{"--front https://127.0.0.1/ --timeout 0s", "--timeout: "},
		{"--front https://127.0.0.1/ --expect-status 700", "--expect-status: "},
	} {
		_, err := parseAdhoc(t, strings.Fields(tt.words)...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want a usage error with %q", tt.words, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "targets[") || strings.Contains(err.Error(), ":1:")) {
			t.Errorf("%s: speaks of a file that nobody wrote: %v", tt.words, err)
		}
	}
}
