package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// goldenRounds are those of one of the rules' own cases: the last good one, then bad ones.
func goldenRounds(t testing.TB, name string) (rounds []*probe.Result) {
	t.Helper()
	ar, err := txtar.ParseFile(filepath.Join("..", "..", "probe", "testdata", "cases", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for r := probe.NewRecordingReader(name, bytes.NewReader(archived(ar, "rounds.jsonl"))); ; {
		x, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rounds
		}
		if err != nil {
			t.Fatal(err)
		}
		rounds = append(rounds, &x.Result)
	}
}

func archived(ar *txtar.Archive, name string) []byte {
	for _, f := range ar.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// later is a deep copy of a round in which all times are later by d.
func later(t testing.TB, r *probe.Result, d time.Duration) *probe.Result {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	c := &probe.Result{}
	if err := json.Unmarshal(b, c); err != nil {
		t.Fatal(err)
	}
	shift(reflect.ValueOf(c).Elem(), d)
	return c
}

func shift(v reflect.Value, d time.Duration) {
	if at, ok := v.Interface().(time.Time); ok {
		if !at.IsZero() {
			v.Set(reflect.ValueOf(at.Add(d)))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			shift(v.Field(i), d)
		}
	case reflect.Slice:
		for i := range v.Len() {
			shift(v.Index(i), d)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			shift(v.Elem(), d)
		}
	}
}

// outages is a course of two outages of a target, with all that lies between.
func outages(t testing.TB, fault string) (rounds []*probe.Result) {
	t.Helper()
	course := goldenRounds(t, fault)
	good, bad := course[0], course[1:]
	var clock time.Duration
	step := func(r *probe.Result, n int) {
		for range n {
			clock += 5 * time.Second
			x := later(t, r, noon.Add(clock).Sub(r.Started))
			x.Round = uint64(len(rounds) + 1)
			rounds = append(rounds, x)
		}
	}
	for range 2 {
		step(good, 5)
		step(bad[0], 1)
		step(bad[len(bad)-1], 12)
		step(good, 140) // longer than a relapse counts as the same incident
	}
	return rounds
}

// TestReplayIsAsLive: what a desk concludes live, with its recorder beside it, a replay concludes again: the same
// verdicts, the same incidents with the same bounds.
func TestReplayIsAsLive(t *testing.T) {
	for _, fault := range []string{"proxy-frozen", "backend-500", "host-dropped"} {
		t.Run(fault, func(t *testing.T) {
			dir := t.TempDir()
			rounds := outages(t, fault)
			cfg := config.Defaults()
			cfg.Targets = []config.Target{{Name: rounds[0].Target, Detect: cfg.Detect}}
			var live []*alert.Incident
			desk, err := alert.NewDesk(&cfg, func(e alert.Event) {
				if e.Event == alert.EventResolved {
					live = append(live, e.Incident)
				}
			}, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			r, _ := newTestRecorder(t, dir)
			for _, x := range rounds {
				v, _ := desk.Observe(x)
				r.Record(x, v)
			}
			if err := r.Run(ended()); err != nil {
				t.Fatal(err)
			}
			sum, out, code := replayed(t, dir)
			if code != exitOK || sum.Changed != 0 || sum.Rounds != len(rounds) {
				t.Errorf("exit code %d, %d of %d rounds changed:\n%s", code, sum.Changed, sum.Rounds, out)
			}
			if len(live) != 2 || len(sum.Incidents) != 2 {
				t.Fatalf("%d incidents live, %d replayed, want 2", len(live), len(sum.Incidents))
			}
			for i := range live {
				live[i].ID, sum.Incidents[i].ID = "", "" // which ends in randomness
				if diff := cmp.Diff(live[i], sum.Incidents[i]); diff != "" {
					t.Errorf("incident %d (-live +replayed):\n%s", i, diff)
				}
			}
		})
	}
}

// replayed runs the command on files and takes its summary.
func replayed(t *testing.T, args ...string) (sum replaySum, out string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = execute(append([]string{"replay", "--json"}, args...), &stdout, &stderr)
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	var last struct{ Summary replaySum }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatalf("%v in %q; %s", err, lines[len(lines)-1], stderr.String())
	}
	return last.Summary, stdout.String() + stderr.String(), code
}

// recordRounds writes rounds with one verdict into a new file, as a process that began then.
func recordRounds(t *testing.T, name string, process time.Time, v probe.Verdict, rounds ...*probe.Result) string {
	t.Helper()
	f := &recordingFile{path: filepath.Join(t.TempDir(), name)}
	var all []recorded
	for _, r := range rounds {
		all = append(all, recorded{r, v})
	}
	lines, n, err := encodeRounds(all, &recordingStart{"v1", process})
	if err != nil || n != len(rounds) {
		t.Fatal(n, err)
	}
	if err := f.write(lines); err != nil {
		t.Fatal(err)
	}
	return f.path
}

// TestReplayKnowsWhereAPastEnds: the files of one process are one course; another process, or rounds that go back in
// time, begin anew.
func TestReplayKnowsWhereAPastEnds(t *testing.T) {
	rounds := outages(t, "proxy-frozen")[:18] // to the end of the first outage
	cut := 11
	before := recordRounds(t, "a.jsonl", noon, probe.Verdict{}, rounds[:cut]...)
	same := recordRounds(t, "b.jsonl", noon, probe.Verdict{}, rounds[cut:]...)
	other := recordRounds(t, "b.jsonl", noon.Add(time.Hour), probe.Verdict{}, rounds[cut:]...)
	whole, out, _ := replayed(t, before, same)
	if len(whole.Incidents) != 1 || whole.Incidents[0].StartsAfter == nil {
		t.Fatalf("%+v\n%s", whole, out)
	}
	for name, files := range map[string][]string{"another process": {before, other}, "back in time": {same, before}} {
		sum, _, _ := replayed(t, files...)
		if len(sum.Incidents) == 1 && sum.Incidents[0].FailedRounds == whole.Incidents[0].FailedRounds {
			t.Errorf("%s: taken for one course", name)
		}
	}
}

// TestReplayOfAPersonsLooks: a check has no past, and makes no incident.
func TestReplayOfAPersonsLooks(t *testing.T) {
	rounds := outages(t, "proxy-frozen")[:18]
	for _, r := range rounds {
		r.Trigger = probe.ByCheck
	}
	sum, out, _ := replayed(t, recordRounds(t, "a.jsonl", noon, probe.Verdict{}, rounds...))
	if sum.Rounds != 18 || len(sum.Incidents) > 0 || sum.Dismissed > 0 {
		t.Errorf("%+v\n%s", sum, out)
	}
}

// TestReplayWritesCases: a case is judged by the golden test as the round was by the replay.
func TestReplayWritesCases(t *testing.T) {
	dir := t.TempDir()
	rounds := outages(t, "proxy-frozen")[:12]
	file := recordRounds(t, "a.jsonl", noon, probe.Verdict{State: probe.Up, Layer: probe.LayerNone}, rounds...)
	sum, out, code := replayed(t, "--quiet", "--case", dir, "--round", "12,2,12", file)
	if code != exitFailure || sum.Changed != 7 { // there was no up with neither cause nor confidence
		t.Logf("exit code %d: %s", code, out)
	}
	names := namesIn(t, dir)
	if len(names) != 2 || !strings.HasSuffix(names[1], "-12.txtar") {
		t.Fatalf("cases %v", names)
	}
	ar, err := txtar.ParseFile(filepath.Join(dir, names[1]))
	if err != nil {
		t.Fatal(err)
	}
	var past []*probe.Result
	for r := probe.NewRecordingReader("case", bytes.NewReader(archived(ar, "rounds.jsonl"))); ; {
		x, err := r.Next()
		if err != nil {
			break
		}
		x.Result.Started = x.Result.FirstStart()
		past = append(past, &x.Result)
	}
	if len(past) != 7 {
		t.Fatalf("%d rounds, want the 7 bad ones", len(past))
	}
	last := len(past) - 1
	got, err := json.MarshalIndent(probe.Attribute(past[last], past[:last]), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(archived(ar, "verdict.json")), string(got)+"\n"); diff != "" {
		t.Errorf("verdict (-case +again):\n%s", diff)
	}
	if !strings.Contains(string(ar.Comment), "judged then: up") {
		t.Errorf("comment %q", ar.Comment)
	}
}

// FuzzReplay has foreign bytes judged: never a panic, not even one that was caught.
func FuzzReplay(f *testing.F) {
	rounds := outages(f, "proxy-frozen")[4:8]
	var all []recorded
	for _, r := range rounds {
		all = append(all, recorded{r, probe.Verdict{State: probe.Up}})
	}
	lines, _, err := encodeRounds(all, &recordingStart{"v1", noon})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(lines)
	f.Add([]byte(`{"result":{"target":"a","started":"2026-11-22T14:03:07Z","ended":"2026-11-22T14:03:07Z","lanes":[{"lane":"front"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := probe.NewRecordingReader("fuzz", bytes.NewReader(data))
		j := newJudge(config.Defaults().Detect, nil)
		sum := newReplaySum()
		text := &replayText{io.Discard, terminal{}}
		for {
			r, err := reader.Next()
			if err != nil {
				break
			}
			got, err := j.round(r, reader.Header().Started)
			if err != nil {
				t.Fatal(err)
			}
			sum.count(got)
			if err := text.round(got); err != nil {
				t.Fatal(err)
			}
		}
		sum.Incidents, sum.Dismissed = j.incidents()
		sum.close()
		if err := text.summary(&sum); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(&sum); err != nil {
			t.Fatal(err)
		}
	})
}
