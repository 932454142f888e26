package probe_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/whichlayer/whichlayer/probe"
)

var update = flag.Bool("update", false, "write the verdicts that the rules give now")

// TestGolden judges results that were recorded from real runs. Each file of testdata/cases holds the rounds of one fault,
// oldest first, one JSON object a line (rounds.jsonl, in the form of the event stream), and the verdict on the last of
// them (verdict.json). Its comment says what was really wrong.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rounds := parseRounds(t, section(ar, "rounds.jsonl"))
			v := probe.Attribute(rounds[len(rounds)-1], rounds[:len(rounds)-1])
			got, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if *update {
				setSection(ar, "verdict.json", got)
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(section(ar, "verdict.json")), string(got)); diff != "" {
				t.Errorf("%s\nverdict (-want +got):\n%s", ar.Comment, diff)
			}
		})
	}
}

func parseRounds(t *testing.T, data []byte) (rounds []*probe.Result) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r := &probe.Result{}
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			t.Fatal(err)
		}
		var e struct{ Time time.Time }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		r.Started, r.Ended = firstStart(r, e.Time), e.Time
		rounds = append(rounds, r)
	}
	if len(rounds) == 0 {
		t.Fatal("no rounds")
	}
	return rounds
}

// firstStart is when the round's first stage began.
func firstStart(r *probe.Result, ended time.Time) time.Time {
	first := ended
	for _, l := range r.Lanes {
		for _, s := range l.Stages {
			if l.Lane != probe.LaneHeldOpen && !s.Started.IsZero() && s.Started.Before(first) {
				first = s.Started
			}
		}
	}
	return first
}

func section(ar *txtar.Archive, name string) []byte {
	for _, f := range ar.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func setSection(ar *txtar.Archive, name string, data []byte) {
	for i := range ar.Files {
		if ar.Files[i].Name == name {
			ar.Files[i].Data = data
			return
		}
	}
	ar.Files = append(ar.Files, txtar.File{Name: name, Data: data})
}
