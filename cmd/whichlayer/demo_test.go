package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// TestDemo runs the whole demo: the real engine, the real faults.
func TestDemo(t *testing.T) {
	var out, errs bytes.Buffer
	if code := execute([]string{"demo", "--fast"}, &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s\n%s", code, &errs, &out)
	}
	for _, want := range []string{
		"=== the proxy is frozen", "=== the backend's process is killed", "=== the proxy shows a certificate that expired",
		">>> SUSPECT", ">>> DOWN (people are told): demo is down: proxy, frozen", ">>> RESOLVED",
		"12 of 12 statements held, 0 false alarms",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape sequences without a terminal")
	}
}

func TestDemoEndsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	script := demoScript()
	s := newStory(script, time.Now())
	seen := make(chan error, 1)
	screen := screenFunc(func(s *story) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.columns) > 0 {
			cancel()
		}
	})
	go func() { seen <- playDemo(ctx, script, s, screen) }()
	if err := <-seen; err != nil {
		t.Error(err)
	}
	if len(s.past) != 0 {
		t.Errorf("%d faults were set after the interruption", len(s.past))
	}
}

type screenFunc func(*story)

func (f screenFunc) Draw(s *story, _ time.Time) error { f(s); return nil }
func (screenFunc) Close() error                       { return nil }

func TestDemoIsShortEnough(t *testing.T) {
	s := demoScript()
	longest := s.length() + time.Duration(len(s.acts))*s.patience
	if s.length() > 70*time.Second || longest > 95*time.Second {
		t.Errorf("the demo takes %v, at most %v", s.length(), longest)
	}
}

func TestJudgeVerdict(t *testing.T) {
	frozen := probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}
	dead := probe.Suspect{Layer: probe.LayerBackend, Cause: probe.CauseProcessDead}
	lost := probe.Suspect{Layer: probe.LayerNetwork, Cause: probe.CauseLoss}
	verdict := func(c probe.Confidence, s ...probe.Suspect) probe.Verdict {
		return probe.Verdict{State: probe.Down, Layer: s[0].Layer, Cause: s[0].Cause, Confidence: c, Suspects: s}
	}
	for _, c := range []struct {
		name string
		v    probe.Verdict
		want bool
	}{
		{"right", verdict(probe.Confirmed, frozen), true},
		{"right layer, another cause, likely", verdict(probe.Likely, probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseSlow}), true},
		{"right layer, another cause, confirmed", verdict(probe.Confirmed, probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseSlow}), false},
		{"wrong layer", verdict(probe.Likely, dead), false},
		{"among the suspects", verdict(probe.Ambiguous, lost, frozen), true},
		{"not among the suspects", verdict(probe.Ambiguous, lost, dead), false},
	} {
		if got := judgeVerdict(c.v, lab.ProxyFrozen); got.ok != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestWithin(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1_000_000 + ms)) }
	p := func(ms int) *time.Time { t := at(ms); return &t }
	m := moment{at(100), at(101)}
	for _, c := range []struct {
		name          string
		after, before *time.Time
		want          bool
	}{
		{"inside", p(50), p(150), true},
		{"no lower bound", nil, p(150), true},
		{"touching", p(100), p(100), true},
		{"too early", p(50), p(99), false},
		{"too late", p(101), p(150), false},
		{"never told", p(50), nil, false},
	} {
		if got := within(c.after, c.before, m); got.ok != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// demoTale is a story by hand: a freeze that was told, and a false alarm before it.
func demoTale() (*story, time.Time) {
	now := time.Date(2026, 11, 22, 14, 3, 0, 0, time.UTC)
	at := func(ms int) time.Time { return now.Add(time.Duration(ms) * time.Millisecond) }
	s := newStory(demoScript(), now)
	s.turn(0, moment{now, now})
	ok := probe.Stage{Stage: probe.StageConnect, Outcome: probe.OK, Started: now, Duration: probe.Seconds(120 * time.Microsecond)}
	failed := probe.Stage{Stage: probe.StageTLS, Outcome: probe.Failed, Type: probe.TLSTimedOut, Started: now, Duration: probe.Seconds(800 * time.Millisecond)}
	lanes := func(front ...probe.Stage) []probe.Lane {
		return []probe.Lane{{Lane: probe.LaneFront, Stages: front}, {Lane: probe.LaneBackend, Hop: "backend", Stages: []probe.Stage{ok}}}
	}
	s.observe(&probe.Result{Target: "demo", Ended: at(10), Lanes: lanes(ok)}, probe.Verdict{State: probe.Up}, nil, at(10))
	v := probe.Verdict{
		State: probe.Down, Layer: probe.LayerProxy, Cause: probe.CauseFrozen, Confidence: probe.Likely,
		Suspects: []probe.Suspect{{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}},
		Evidence: []string{"front/tls: acknowledged, no reply in 800 ms", "\x1b[31mforeign text"},
		Cleared:  []probe.Cleared{{Layer: probe.LayerBackend, Reason: "HTTP 200"}},
	}
	event := func(k alert.Kind, id string, after, before time.Time) []alert.Event {
		i := &alert.Incident{ID: id, Target: "demo", State: alert.Open, Verdict: v, Bounds: alert.Bounds{StartsAfter: &after, StartsBefore: before}}
		return []alert.Event{{Event: k, Time: before, Target: "demo", Verdict: &i.Verdict, Incident: i}}
	}
	bad := &probe.Result{Target: "demo", Ended: at(1800), Lanes: lanes(ok, failed)}
	s.observe(bad, v, event(alert.EventOpened, "early", now, at(500)), at(600))
	s.turn(1, moment{at(1000), at(1001)})
	s.observe(bad, v, event(alert.EventSuspect, "freeze", at(900), at(1800)), at(1800))
	s.observe(bad, v, event(alert.EventOpened, "freeze", at(900), at(1800)), at(4000))
	return s, at(4500)
}

func TestStoryCountsWhatDidNotHold(t *testing.T) {
	s, _ := demoTale()
	if len(s.stray) != 1 || s.stray[0].ID != "early" {
		t.Errorf("false alarms: %+v", s.stray)
	}
	if got := s.wrong(); got != 2 { // the false alarm, and an end that was never told
		t.Errorf("%d things did not hold, want 2", got)
	}
	if e := s.past[0]; e.opened.Sub(e.start.to) != 2999*time.Millisecond || e.told.ID != "freeze" {
		t.Errorf("episode: %+v", e)
	}
	select {
	case <-s.noticed:
	default:
		t.Error("the opened incident did not end the scene")
	}
}

// TestSlowAnswersExcuse: bounds that reach beyond the fault are right only as far as the service was really slow.
func TestSlowAnswersExcuse(t *testing.T) {
	s, now := demoTale()
	s.turn(2, moment{now, now})
	e := &s.past[0]
	sec := func(n int) *time.Time { t := now.Add(time.Duration(n) * time.Second); return &t }
	e.latest.StartsAfter, e.latest.StartsBefore = sec(-8), *sec(-7)
	e.latest.EndsAfter, e.latest.EndsBefore = sec(2), sec(3)
	if f := e.judgeStart(s.slow); f.ok {
		t.Errorf("a start that was told too early held: %+v", f)
	}
	if f := e.judgeEnd(s.slow); f.ok {
		t.Errorf("an end that was told too late held: %+v", f)
	}
	slow := probe.Verdict{State: probe.Degraded, Cause: probe.CauseSlow}
	s.observe(&probe.Result{Started: *sec(-8), Ended: *sec(-7)}, slow, nil, *sec(-7))
	s.observe(&probe.Result{Started: *sec(2), Ended: *sec(3)}, slow, nil, *sec(3))
	if f := e.judgeStart(s.slow); !f.ok {
		t.Errorf("slow answers before do not count: %+v", f)
	}
	if f := e.judgeEnd(s.slow); !f.ok {
		t.Errorf("slow answers after do not count: %+v", f)
	}
}

// TestBoard compares pictures; -update rewrites them. Each must fit its terminal.
func TestBoard(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	defer func() { time.Local = local }()
	for name, b := range map[string]*board{
		"80x24.txt":        {terminal: terminal{width: 80}, height: 24},
		"80x24-ascii.txt":  {terminal: terminal{width: 80, ascii: true}, height: 24},
		"120x40-color.txt": {terminal: terminal{width: 120, colour: colour256}, height: 40},
	} {
		s, now := demoTale()
		lines := b.lines(s, now)
		for _, l := range lines {
			if n := cells(stripped(l)); n >= b.width {
				t.Errorf("%s: a line of %d cells: %q", name, n, l)
			}
		}
		if strings.Contains(strings.Join(lines, ""), "\x1b[31m") {
			t.Errorf("%s: foreign text steers the terminal", name)
		}
		compareGolden(t, filepath.Join("testdata", "demo", name), strings.Join(lines, "\n")+s.summary(b.terminal))
	}
}

// stripped is a line without its colours.
func stripped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\x1b' {
			i += strings.IndexByte(s[i:], 'm')
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestBoardFindsItsWayHome(t *testing.T) {
	b := &board{}
	if got := b.home(80); !strings.Contains(got, "?25l") {
		t.Errorf("first picture: %q does not hide the cursor", got)
	}
	b.width0, b.shown = 80, 12
	if got := b.home(80); got != "\r\x1b[12A" {
		t.Errorf("next picture: %q", got)
	}
	for _, width := range []int{81, 40} {
		if got := b.home(width); got != "\x1b[2J\x1b[H" {
			t.Errorf("%d columns: %q", width, got)
		}
	}
}
