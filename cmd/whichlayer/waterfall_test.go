package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// looks are the ways in which each case is drawn.
var looks = map[string]struct {
	t terminal
	d detail
}{
	"80.txt":      {terminal{width: 80}, normal},
	"120.txt":     {terminal{width: 120}, normal},
	"ascii.txt":   {terminal{width: 80, ascii: true}, normal},
	"colour.txt":  {terminal{width: 80, colour: colour256}, normal},
	"verbose.txt": {terminal{width: 100}, verbose},
	"quiet.txt":   {terminal{width: 80}, quiet},
}

// TestWaterfall draws what check --json printed (check.json) and compares it with the golden pictures beside it.
func TestWaterfall(t *testing.T) {
	files, err := filepath.Glob("testdata/waterfall/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := readChecked(t, a.Files[0].Data)
			for i := range a.Files[1:] {
				f := &a.Files[i+1]
				look, ok := looks[f.Name]
				if !ok {
					t.Fatalf("%s: no look is called %q", file, f.Name)
				}
				var got bytes.Buffer
				if err := writeChecked(&got, look.t, c, look.d); err != nil {
					t.Fatal(err)
				}
				if look.d > quiet {
					fits(t, f.Name, got.String(), look.t)
				}
				if *update {
					f.Data = got.Bytes()
				} else if diff := cmp.Diff(string(f.Data), got.String()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", f.Name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// readChecked reads one line of check --json, which holds all that is drawn.
func readChecked(t *testing.T, line []byte) *checked {
	t.Helper()
	var e alert.Event
	if err := json.Unmarshal(line, &e); err != nil {
		t.Fatalf("check.json: %v", err)
	}
	if e.Verdict == nil {
		t.Fatal("check.json holds no verdict")
	}
	return &checked{result: probe.Result{Target: e.Target, Lanes: e.Lanes}, verdict: *e.Verdict}
}

// fits requires that no line is wider than the terminal.
func fits(t *testing.T, name, text string, term terminal) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		line = escapes.ReplaceAllString(line, "")
		if n := utf8.RuneCountInString(line); n > term.width && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("%s: a line takes %d cells: %q", name, n, line)
		}
		if term.ascii && strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("%s: not ASCII: %q", name, line)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                 "-",
		3 * time.Microsecond:              "0.01 ms",
		412 * time.Microsecond:            "0.41 ms",
		4123 * time.Microsecond:           "4.1 ms",
		41 * time.Millisecond:             "41 ms",
		999 * time.Millisecond:            "999 ms",
		999600 * time.Microsecond:         "1.00 s",
		3003 * time.Millisecond:           "3.00 s",
		75*time.Second + time.Microsecond: "1m15s",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestReceivedFact(t *testing.T) {
	for want, info := range map[string]tcpinfo.Info{
		"nothing received": {},
		"received 7 bytes, the last less than 1 ms ago": {BytesReceived: 7},
		"received 7 bytes, the last 2.0 ms ago":         {BytesReceived: 7, LastDataRecv: 2},
	} {
		if got := receivedFact(&info); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTickStep(t *testing.T) {
	for _, total := range []time.Duration{100 * time.Microsecond, 7 * time.Millisecond, time.Second, 3 * time.Second, 19 * time.Second, time.Hour} {
		for _, width := range []int{12, 32, 92} {
			step := tickStep(total, width)
			if cells := int64(step) * int64(width) / int64(total); cells < 7 || cells > 22 {
				t.Errorf("tickStep(%v, %d) = %v: %d cells apart", total, width, step, cells)
			}
		}
	}
}

// TestCleanKeepsTerminalSafe feeds what a hostile server may put into a reason phrase or a certificate.
func TestCleanKeepsTerminalSafe(t *testing.T) {
	term := terminal{width: 80}
	for in, want := range map[string]string{
		"plain":                   "plain",
		"two\nlines\tand tabs":    "two lines and tabs",
		"\x1b]0;title\x07\x1b[2J": "?]0;title??[2J",
		"\u202eright to left":     "?right to left",
		"\u009b31mC1 control":     "?31mC1 control",
		"invalid \xff utf8":       "invalid \ufffd utf8",
		"Grüße stay as they are":  "Grüße stay as they are",
	} {
		if got := term.clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	term.ascii = true
	if got, want := term.clean("412 µs – “ok” ✓"), `412 us - "ok" ?`; got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
}

// TestHeldOpenNames: a held-open connection beside another lane is told from that through the front.
func TestHeldOpenNames(t *testing.T) {
	for want, l := range map[string]probe.Lane{
		"held open":                    {Lane: probe.LaneHeldOpen, Hop: "f5"},
		"held open, stunnel-1":         {Lane: probe.LaneHeldOpen, Of: probe.LaneVia, Hop: "stunnel-1"},
		"held open, backend app-1":     {Lane: probe.LaneHeldOpen, Of: probe.LaneBackend, Hop: "app-1"},
		"held open, control stunnel-1": {Lane: probe.LaneHeldOpen, Of: probe.LaneControl, Hop: "stunnel-1"},
	} {
		if got := laneName(&l); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
	if got := heldOpenText(&probe.HeldOpenFacts{Mute: true}); got != "kept alive" {
		t.Errorf("%q", got)
	}
}
