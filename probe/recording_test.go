package probe_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// scribble fills a value with random data, whatever fields it has, within what a round can hold.
func scribble(v reflect.Value, rng *rand.Rand) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(rng.Int64N(7e9), rng.Int64N(1e9)).UTC()
		return
	case *probe.Seconds:
		*x = probe.Seconds(rng.Int64N(int64(24 * time.Hour)))
		return
	case *tcpinfo.State:
		*x = tcpinfo.State(rng.IntN(12))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			scribble(v.Field(i), rng)
		}
	case reflect.Pointer:
		if rng.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			scribble(v.Elem(), rng)
		}
	case reflect.Slice:
		for i := range rng.IntN(3) {
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			scribble(v.Index(i), rng)
		}
	case reflect.String:
		words := []string{"", "front", "no answer in 3s", "a \"quoted\" <tag> & \\", "\x00\x1b[31m\n", "Straße 漢字 😀", "{[}],:"}
		v.SetString(words[rng.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(rng.Int64() - rng.Int64())
	case reflect.Float64:
		v.SetFloat(rng.NormFloat64())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rng.Uint64() >> (64 - v.Type().Bits()))
	default:
		panic("no idea how to fill a " + v.Type().String())
	}
}

func madeUp(rng *rand.Rand) *probe.RecordedRound {
	r := &probe.RecordedRound{}
	scribble(reflect.ValueOf(r).Elem(), rng)
	r.Result.Target = "orders"
	return r
}

var recordingStarted = time.Date(2026, 11, 22, 14, 3, 7, 0, time.UTC)

// recording is a file of these rounds.
func recording(t testing.TB, rounds ...*probe.RecordedRound) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := probe.NewRecordingWriter(&b, "v1.2.3", recordingStarted)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rounds {
		if err := w.Write(&r.Result, r.Verdict); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// readAll reads until the error that ends it.
func readAll(b []byte) (rounds []*probe.RecordedRound, reader *probe.RecordingReader, err error) {
	reader = probe.NewRecordingReader("orders.jsonl", bytes.NewReader(b))
	for {
		r, err := reader.Next()
		if err != nil {
			return rounds, reader, err
		}
		rounds = append(rounds, r)
	}
}

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestRecordingRoundTrip: whatever was written is read as it was, plain and compressed.
func TestRecordingRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var want []*probe.RecordedRound
	for range 300 {
		want = append(want, madeUp(rng))
	}
	file := recording(t, want...)
	for name, b := range map[string][]byte{"plain": file, "gzip": zipped(t, file)} {
		got, reader, err := readAll(b)
		if !errors.Is(err, io.EOF) || len(reader.Notes()) > 0 {
			t.Fatalf("%s: %v, notes %q", name, err, reader.Notes())
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", name, diff)
		}
		wantHeader := probe.RecordingHeader{Whichlayer: "recording", Format: 1, Version: "v1.2.3", Started: recordingStarted}
		if diff := cmp.Diff(wantHeader, reader.Header()); diff != "" {
			t.Errorf("%s: header (-want +got):\n%s", name, diff)
		}
		if reader.Line() != 302 || reader.Bytes() != int64(len(file)) {
			t.Errorf("%s: line %d, %d bytes; want 302 (the end after 301) and %d", name, reader.Line(), reader.Bytes(), len(file))
		}
	}
}

// TestRecordingTruncated cuts a small recording at every byte.
func TestRecordingTruncated(t *testing.T) {
	want, _, err := readAll([]byte(realHeader + realRound + "\n" + realRound + "\n"))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	file := recording(t, want...)
	ends := map[int]int{} // the length with which so many rounds are whole
	for i, c := range file {
		if c == '\n' {
			ends[i+1], ends[i] = len(ends)/2, len(ends)/2 // with or without the line's end
		}
	}
	for cut := range file {
		rounds, _, err := readAll(file[:cut])
		whole := bytes.Count(file[:cut], []byte{'\n'})
		if _, clean := ends[cut]; clean || cut == 0 {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("cut at %d, between lines: %v", cut, err)
			}
			continue
		}
		var bad *probe.RecordingError
		if !errors.As(err, &bad) || !bad.Truncated() || bad.Offset != int64(cut) || bad.Line != whole+1 {
			t.Fatalf("cut at %d, in line %d: %v", cut, whole+1, err)
		}
		if diff := cmp.Diff(want[:max(0, whole-1)], rounds, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("cut at %d: the rounds before (-want +got):\n%s", cut, diff)
		}
	}
}

func TestRecordingTruncatedGzip(t *testing.T) {
	file := zipped(t, []byte(realHeader+realRound+"\n"+realRound+"\n"))
	for cut := 2; cut < len(file); cut++ {
		_, _, err := readAll(file[:cut])
		var bad *probe.RecordingError
		if !errors.As(err, &bad) || !bad.Truncated() {
			t.Fatalf("cut at %d of %d: %v", cut, len(file), err)
		}
	}
}

// realRound is a line as `run --record` writes it.
const realRound = `{"result":{"target":"orders","round":7,"due":"2026-11-22T14:03:07Z","started":"2026-11-22T14:03:07Z",` +
	`"ended":"2026-11-22T14:03:10Z","trigger":"schedule","lanes":[{"lane":"front","stages":[{"stage":"tls","outcome":"failed",` +
	`"type":"tls.timed_out","code":"L6TOUT","started":"2026-11-22T14:03:07Z","duration_seconds":3.0}]}],"self":{"late_seconds":0}},` +
	`"verdict":` + realVerdict + `}`

const realVerdict = `{"state":"down","layer":"proxy","cause":"frozen","confidence":"likely","suspects":[],"evidence":[],"rule":"tls-silent-acked"}`

const realHeader = `{"whichlayer":"recording","format":1,"version":"v1.2.3","started":"2026-11-22T14:03:07Z"}` + "\n"

func TestRecordingRefused(t *testing.T) {
	replace := func(from, to string) string {
		if !strings.Contains(realRound, from) {
			t.Fatalf("no %q in the round", from)
		}
		return strings.Replace(realRound, from, to, 1)
	}
	after := int64(len(realHeader))
	index := func(s, part string) int64 { return after + int64(strings.Index(s, part)) }
	deep := `{"result":{"target":` + strings.Repeat(`[`, 10000)
	invalid := replace("orders", "or\xffders")
	null := replace("orders", "or\x00ders")
	tests := []struct {
		name, line string
		offset     int64 // -1: anywhere in the line
		want       string
	}{
		{"a newer format", `{"whichlayer":"recording","format":2}`, after, "its format is 2, this version reads formats up to 1"},
		{"no format", `{"whichlayer":"recording"}`, after, "its format is 0, expected 1 to 1"},
		{"another header", `{"whichlayer":"backup","format":1}`, after, `it says that it is "backup"`},
		{"another file", `{"level":"info","msg":"hello"}`, after, "neither a recorded round nor an event"},
		{"a log", `level=INFO msg="whichlayer runs"`, after, "not JSON"},
		{"a list", `[1,2,3]`, -1, "cannot be a"},
		{"a wrong type", replace(`"round":7`, `"round":"7"`), -1, "result.round cannot be a string"},
		{"a huge number", replace(`"round":7`, `"round":1e400`), -1, "result.round cannot be a number"},
		{"a negative count", replace(`"round":7`, `"round":-7`), -1, "result.round cannot be a number"},
		{"a negative time", replace(`3.0`, `-3.0`), after, "a negative time, or one that cannot be, in lane front, stage tls"},
		{"a huge time", replace(`3.0`, `1e300`), after, "1e+300 seconds are out of range"},
		{"a time as text", replace(`3.0`, `"3s"`), after, "is not a number of seconds"},
		{"no time", replace(`"ended":"2026-11-22T14:03:10Z",`, ``), after, "without the times"},
		{"before the epoch", replace(`"ended":"2026`, `"ended":"1926`), after, "expected 1970 to 2199"},
		{"far in the future", replace(`"ended":"2026`, `"ended":"9026`), after, "expected 1970 to 2199"},
		{"not a time", replace(`2026-11-22T14:03:10Z`, `yesterday`), after, "parsing time"},
		{"no target", replace(`"orders"`, `""`), after, "a round without a target"},
		{"deep nesting", deep, after + 20 + 14, "nested deeper than 16"},
		{"a long list", `{"result":{"lanes":[` + strings.Repeat("{},", 5000) + `{}]}}`, -1, "more than 4096 entries"},
		{"a long text", replace("orders", strings.Repeat("x", 70_000)), index(realRound, `"orders"`), "a text of more than 65536 bytes"},
		{"a long line", `{"x":"` + strings.Repeat(" ", 1<<20) + `"}`, after, "the line is longer than 1048576 bytes"},
		{"invalid UTF-8", invalid, index(invalid, "\xff"), "not valid UTF-8"},
		{"a NUL byte", null, index(null, "\x00"), "not JSON: invalid character '\\x00'"},
		{"rubbish behind", realRound + "}", after + int64(len(realRound)), "not JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rounds, reader, err := readAll([]byte(realHeader + tt.line + "\n" + realRound + "\n"))
			var bad *probe.RecordingError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if len(rounds) > 0 || bad.Truncated() || bad.File != "orders.jsonl" || bad.Line != 2 {
				t.Errorf("%d rounds, %+v", len(rounds), bad)
			}
			inside := bad.Offset >= after && bad.Offset <= after+int64(len(tt.line))
			if bad.Offset != tt.offset && (tt.offset != -1 || !inside) {
				t.Errorf("offset %d, want %d: %v", bad.Offset, tt.offset, err)
			}
			if _, again := reader.Next(); !errors.Is(again, err) {
				t.Errorf("then %v", again)
			}
			if len(err.Error()) > 300 {
				t.Errorf("%d bytes of error", len(err.Error()))
			}
		})
	}
}

func TestRecordingRefusesBadGzip(t *testing.T) {
	good := zipped(t, []byte(realHeader+realRound+"\n"))
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 0x55
		rounds, _, err := readAll(b)
		var bad *probe.RecordingError
		if errors.As(err, &bad) || errors.Is(err, io.EOF) && len(rounds) == 1 {
			continue // the name, the time or the system in the header may be anything
		}
		t.Errorf("byte %d changed: %d rounds, %v", i, len(rounds), err)
	}
	if _, _, err := readAll(append(slices.Clone(good), "rubbish"...)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("rubbish behind: %v", err)
	}
}

// TestRecordingGzipBomb: a megabyte that expands to a gigabyte is refused at the first line that is too long.
func TestRecordingGzipBomb(t *testing.T) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	fmt.Fprint(z, `{"result":"`)
	for range 64 {
		z.Write(make([]byte, 1<<20))
	}
	z.Close()
	reader := probe.NewRecordingReader("bomb.gz", &out)
	if _, err := reader.Next(); err == nil || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
		t.Fatal(err)
	}
	if reader.Bytes() > 2<<20 {
		t.Errorf("%d bytes were expanded", reader.Bytes())
	}
}

func TestRecordingNotes(t *testing.T) {
	slim := `{"event":"result","time":"2026-11-22T14:03:10Z","target":"orders","verdict":` + realVerdict + `,"lanes":[` +
		`{"lane":"front","stages":[{"stage":"tls","outcome":"failed","started":"2026-11-22T14:03:07Z","duration_seconds":3}]}]}`
	opened := `{"event":"opened","time":"2026-11-22T14:03:10Z","target":"orders","incident":{"id":"x","wild":1}}`
	newer := strings.Replace(realRound, `"round":7`, `"round":7,"mood":{"good":true},"mood":1`, 1)
	newer = strings.Replace(newer, `"stage":"tls"`, `"stage":"tls","colour":"red"`, 1)
	older := strings.Replace(realRound, `"round":7,`, ``, 1)
	older = strings.Replace(older, `"duration_seconds":3.0`, `"duration_seconds":3.0,"tcp_info":{"state":"ESTABLISHED"}`, 1)
	tests := []struct {
		name, file string
		rounds     int
		want       []string
	}{
		{"all is there", realHeader + realRound + "\n", 1, nil},
		{"empty lines", realHeader + "\n  \n" + realRound + "\n\n", 1, nil},
		{"two put together", realHeader + realRound + "\n" + realHeader + realRound + "\n", 2, nil},
		{"no header", realRound + "\n", 1, []string{"no header"}},
		{"newer fields", realHeader + newer + "\n" + newer + "\n", 2, []string{
			"left aside: result.mood, result.lanes.stages.colour"}},
		{"older", realHeader + older + "\n", 1, []string{"recorded without result.lanes.stages.tcp_info.bytes_sent, "}},
		{"older", realHeader + older + "\n", 1, []string{", result.round"}},
		{"events", opened + "\n" + slim + "\n" + opened + "\n", 1, []string{
			"an event stream", "recorded without round, due, started, ended, trigger, self"}},
		{"an old check", strings.Replace(slim, `"event":"result",`, ``, 1), 1, []string{"an event stream", "recorded without round"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rounds, reader, err := readAll([]byte(tt.file))
			if !errors.Is(err, io.EOF) || len(rounds) != tt.rounds {
				t.Fatalf("%d rounds, %v", len(rounds), err)
			}
			notes := reader.Notes()
			if len(notes) != len(tt.want) {
				t.Fatalf("notes %q, want %q", notes, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(notes[i], want) {
					t.Errorf("note %q, want %q", notes[i], want)
				}
			}
		})
	}
}

// TestRecordingReadsCases: the golden cases are event streams, and give the times that their own test takes.
func TestRecordingReadsCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := parseRounds(t, section(ar, "rounds.jsonl"))
		got, reader, err := readAll(section(ar, "rounds.jsonl"))
		if !errors.Is(err, io.EOF) || len(got) != len(want) {
			t.Fatalf("%s: %d rounds of %d, %v", file, len(got), len(want), err)
		}
		for i := range want {
			if diff := cmp.Diff(want[i], &got[i].Result); diff != "" {
				t.Errorf("%s: round %d (-want +got):\n%s", file, i, diff)
			}
		}
		if notes := reader.Notes(); len(notes) == 0 {
			t.Errorf("%s: nothing is said to be missing", file)
		}
	}
}

func TestRecordingWriterRefuses(t *testing.T) {
	good := func() *probe.Result {
		return &probe.Result{Target: "orders", Started: recordingStarted, Ended: recordingStarted}
	}
	many, long, bare := good(), good(), good()
	many.Lanes = make([]probe.Lane, 5000)
	long.Self.Links = slices.Repeat([]string{strings.Repeat("x", 60_000)}, 20)
	bare.Target = ""
	for want, r := range map[string]*probe.Result{"more than 4096 entries": many, "are more than": long, "without a target": bare} {
		var b bytes.Buffer
		err := probe.ContinueRecording(&b).Write(r, probe.Verdict{})
		if err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("%v, %d bytes written; want %q", err, b.Len(), want)
		}
	}
	closed, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := probe.ContinueRecording(closed).Write(good(), probe.Verdict{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a file that is closed: %v", err)
	}
}
