package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clocks makes readings: at starts at a fixed instant, and each of them is later by so much on each clock. Readings made
// here have no monotonic clock, so that wall stands for it too.
type clocks struct{ at reading }

func newClocks() *clocks {
	return &clocks{reading{now: time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC), boot: time.Hour}}
}

func (c *clocks) after(wall, boot time.Duration) reading {
	c.at = reading{now: c.at.now.Add(wall), boot: c.at.boot + boot}
	return c.at
}

func TestPause(t *testing.T) {
	for name, c := range map[string]struct {
		wall, boot time.Duration
		reason     string
	}{
		"a tick":                   {healthTick, healthTick, ""},
		"a hiccup":                 {500 * time.Millisecond, 500 * time.Millisecond, ""},
		"just not":                 {549 * time.Millisecond, 549 * time.Millisecond, ""},
		"just":                     {550 * time.Millisecond, 550 * time.Millisecond, "the process did not run"},
		"stopped":                  {30 * time.Second, 30 * time.Second, "the process did not run"},
		"suspended":                {60 * time.Millisecond, 8 * time.Hour, "the machine was suspended"},
		"the clock was set ahead":  {time.Hour, healthTick, ""},
		"the clock was set back":   {-time.Hour, healthTick, ""},
		"stopped while it was set": {-time.Hour + 2*time.Second, 2 * time.Second, ""},
	} {
		w := newClocks()
		a := w.at
		b := w.after(c.wall, c.boot)
		gap, paused := pause(a, b)
		if name == "stopped while it was set" { // whatever the reason: a pause it was
			if !paused || gap.To.Sub(gap.From) != 2*time.Second {
				t.Errorf("%s: %v %+v", name, paused, gap)
			}
			continue
		}
		if paused != (c.reason != "") || gap.Reason != c.reason {
			t.Errorf("%s: %v %+v", name, paused, gap)
		}
		if paused && (!gap.To.Equal(b.now) || gap.To.Sub(gap.From) != c.boot) {
			t.Errorf("%s: %+v until %v", name, gap, b.now)
		}
	}
	if _, paused := pause(reading{}, newClocks().at); paused {
		t.Error("a pause before the first reading")
	}
}

func TestClockStep(t *testing.T) {
	for _, c := range []struct{ wall, boot, want time.Duration }{
		{healthTick, healthTick, 0},
		{time.Minute, healthTick, time.Minute - healthTick},
		{-time.Hour, healthTick, -time.Hour - healthTick},
		{30 * time.Second, 30 * time.Second, 0}, // a pause is no step
		{8 * time.Hour, 8 * time.Hour, 0},       // nor is a suspension, after which the wall clock has gone on
	} {
		w := newClocks()
		a := w.at
		if got := clockStep(a, w.after(c.wall, c.boot)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if got := clockStep(reading{}, newClocks().at); got != 0 {
		t.Errorf("before the first reading: %v", got)
	}
}

func TestHealthTick(t *testing.T) {
	var gaps []Gap
	var steps []time.Duration
	h := NewHealth()
	h.OnGap = func(g Gap) { gaps = append(gaps, g) }
	h.OnStep = func(_ time.Time, by time.Duration) { steps = append(steps, by) }
	w := newClocks()
	h.tick(w.at)
	begin := w.at.now
	h.tick(w.after(healthTick, healthTick))
	h.tick(w.after(2*time.Second, 2*time.Second))
	h.tick(w.after(healthTick+400*time.Millisecond, healthTick)) // too small a step
	h.tick(w.after(healthTick+time.Minute, healthTick))
	want := []Gap{{From: begin.Add(healthTick), To: begin.Add(2*time.Second + healthTick), Reason: "the process did not run"}}
	if diff := cmp.Diff(want, gaps); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]time.Duration{time.Minute}, steps); diff != "" {
		t.Error(diff)
	}
	for range 2 * keptGaps {
		h.tick(w.after(time.Second, time.Second))
		h.tick(w.after(time.Second+healthTick, healthTick))
	}
	if len(h.gaps) != keptGaps || len(h.steps) != keptGaps || len(gaps) != 1+2*keptGaps {
		t.Errorf("%d gaps and %d steps are kept, %d were told", len(h.gaps), len(h.steps), len(gaps))
	}
}

// TestHealthBetween: which pauses and steps belong to a round.
func TestHealthBetween(t *testing.T) {
	now := time.Now()
	ago := func(s float64) time.Time { return now.Add(-time.Duration(s * float64(time.Second))) }
	h := NewHealth()
	h.gaps = []Gap{{From: ago(60), To: ago(50)}, {From: ago(20), To: ago(15)}}
	h.steps = []step{{ago(40), time.Hour}, {ago(35), -time.Minute}, {ago(5), time.Second}}
	for name, c := range map[string]struct {
		from, to float64
		gaps     []Gap
		step     time.Duration
	}{
		"before all":     {100, 61, nil, 0},
		"between":        {49, 45, nil, 0},
		"begins inside":  {55, 45, []Gap{{ago(60).UTC(), ago(50).UTC(), ""}}, 0},
		"ends inside":    {30, 18, []Gap{{ago(20).UTC(), ago(15).UTC(), ""}}, 0},
		"inside":         {18, 17, []Gap{{ago(20).UTC(), ago(15).UTC(), ""}}, 0},
		"around":         {21, 14, []Gap{{ago(20).UTC(), ago(15).UTC(), ""}}, 0},
		"two steps":      {41, 34, nil, 59 * time.Minute},
		"both, and step": {70, 1, []Gap{{ago(60).UTC(), ago(50).UTC(), ""}, {ago(20).UTC(), ago(15).UTC(), ""}}, 59*time.Minute + time.Second},
	} {
		gaps, by := h.Between(ago(c.from), ago(c.to))
		if diff := cmp.Diff(c.gaps, gaps); diff != "" || by != c.step {
			t.Errorf("%s: step %v %s", name, by, diff)
		}
	}
	if gaps, by := (*Health)(nil).Between(ago(1), now); gaps != nil || by != 0 {
		t.Errorf("nobody watches: %v %v", gaps, by)
	}
}

// TestHealthBetweenTicks: what happened since the last tick counts, before the next one has noted it.
func TestHealthBetweenTicks(t *testing.T) {
	h := NewHealth()
	h.last = readClocks()
	h.last.boot -= 2 * time.Second // our clocks cannot be turned, so the past is moved
	h.last.now = h.last.now.Add(-2 * time.Second)
	gaps, by := h.Between(time.Now().Add(-time.Second), time.Now())
	if len(gaps) != 1 || gaps[0].To.Sub(gaps[0].From) < 2*time.Second || by != 0 {
		t.Errorf("%+v, step %v", gaps, by)
	}

	h.last = readClocks()
	h.last.now = h.last.now.Round(0).Add(-time.Hour)
	from := time.Now().Add(-time.Second)
	if gaps, by := h.Between(from, time.Now()); by < time.Hour-time.Second || by > time.Hour+time.Second {
		t.Errorf("%+v, step %v", gaps, by)
	}
}

// TestHealthStepMovesNothing: a step is seen in the round in which it happened, though the wall clock that dates it is
// another one then.
func TestHealthStepMovesNothing(t *testing.T) {
	h := NewHealth()
	from := time.Now()
	at := time.Now()
	h.steps = []step{{at, time.Hour}}
	h.gaps = []Gap{{From: from, To: at, Reason: "x"}}
	to := time.Now()
	if _, by := h.Between(from, to); by != time.Hour {
		t.Errorf("step %v", by)
	}
	if gaps, _ := h.Between(from, to.Add(time.Second)); len(gaps) != 1 || gaps[0].From.Location() != time.UTC {
		t.Errorf("gaps %+v", gaps)
	}
}

// TestHealthRunEnds: when nobody watches any more, the time from then on is no pause.
func TestHealthRunEnds(t *testing.T) {
	h := NewHealth()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	eventually(t, "a first reading", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return !h.last.now.IsZero() })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !h.last.now.IsZero() {
		t.Errorf("%+v", h.last)
	}
}

// TestHealthStopped stops a process for a second and asks it what it saw.
func TestHealthStopped(t *testing.T) {
	t.Parallel()
	const child = "WHICHLAYER_TEST_STOPPED"
	if os.Getenv(child) != "" {
		h := NewHealth()
		out := json.NewEncoder(os.Stdout)
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		h.OnGap = func(g Gap) {
			out.Encode(g)
			stop()
		}
		time.AfterFunc(2*healthTick, func() { out.Encode("ready") })
		h.Run(ctx)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHealthStopped$")
	cmd.Env = append(os.Environ(), child+"=1")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); line != "\"ready\"\n" {
		t.Fatalf("%q, %v", line, err)
	}
	from := time.Now()
	cmd.Process.Signal(syscall.SIGSTOP)
	<-time.After(time.Second)
	to := time.Now()
	cmd.Process.Signal(syscall.SIGCONT)
	var g Gap
	if err := json.NewDecoder(out).Decode(&g); err != nil {
		t.Fatal(err)
	}
	if g.From.After(from.Add(100*time.Millisecond)) || g.From.Before(from.Add(-time.Second)) || g.To.Before(to) || g.Reason != "the process did not run" {
		t.Errorf("stopped from %v to %v, it saw %+v", from, to, g)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestSelfOfRound: a round says by how much it began late, and which pauses it had.
func TestSelfOfRound(t *testing.T) {
	t.Parallel()
	cfg, env := load(t, `targets: [{name: demo, front: {url: "http://%s/"}}]`, closedPort(t))
	env.Health = NewHealth()
	env.Health.gaps = []Gap{{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour), Reason: "x"}}
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	r := target.Round(t.Context(), time.Now().Add(-3*time.Second), BySchedule)
	if late := r.Self.Late.Std(); late < 3*time.Second || late > 10*time.Second || len(r.Self.Gaps) != 1 {
		t.Errorf("%+v", r.Self)
	}
	if v := Attribute(&r, nil); v.State != Unknown || v.Layer != LayerProber || v.Cause != CausePaused {
		t.Errorf("verdict %+v", v)
	}
	if r := target.Round(t.Context(), time.Now().Add(time.Second), BySchedule); r.Self.Late != 0 {
		t.Errorf("early is not late: %+v", r.Self)
	}
}

// TestHealthStarved: ticks that come late, and are no pauses, add up; those of a busy machine do not count.
func TestHealthStarved(t *testing.T) {
	h := NewHealth()
	w := newClocks()
	h.tick(w.at)
	begin := w.at.now
	for range 10 {
		h.tick(w.after(healthTick+15*time.Millisecond, healthTick+15*time.Millisecond)) // busy
	}
	calm := w.at.now
	for range 10 {
		h.tick(w.after(250*time.Millisecond, 250*time.Millisecond)) // 200 ms late each
	}
	slow := w.at.now
	h.tick(w.after(3*time.Second, 3*time.Second)) // a pause
	h.last = reading{}                            // the clocks above are not those of this process
	for name, c := range map[string]struct {
		from, to time.Time
		want     time.Duration
	}{
		"busy":            {begin, calm, 0},
		"starved":         {calm, slow, 2 * time.Second},
		"all":             {begin, w.at.now, 2 * time.Second},
		"half of a tick":  {calm, calm.Add(150 * time.Millisecond), 100 * time.Millisecond},
		"only the pause":  {slow, w.at.now, 0},
		"before all that": {begin.Add(-time.Hour), begin, 0},
	} {
		if got := h.Starved(c.from, c.to); got != c.want {
			t.Errorf("%s: %v, expected %v", name, got, c.want)
		}
	}
	for range 2 * keptLate {
		h.tick(w.after(100*time.Millisecond, 100*time.Millisecond))
	}
	if len(h.late) != keptLate {
		t.Errorf("%d late ticks are kept", len(h.late))
	}
	h.last = readClocks()
	h.last.boot -= 250 * time.Millisecond
	h.last.now = h.last.now.Add(-250 * time.Millisecond)
	h.late = nil
	if got := h.Starved(time.Now().Add(-time.Second), time.Now().Add(time.Second)); got < 190*time.Millisecond || got > 450*time.Millisecond {
		t.Errorf("a tick that is still to come: %v", got)
	}
	if (*Health)(nil).Starved(begin, calm) != 0 || (*Health)(nil).Recent(begin) != nil {
		t.Error("nobody watches")
	}
}

// TestHealthRecent: which pauses are told beside the rounds after them.
func TestHealthRecent(t *testing.T) {
	now := time.Now()
	ago := func(s float64) time.Time { return now.Add(-time.Duration(s * float64(time.Second))) }
	h := NewHealth()
	h.gaps = []Gap{{From: ago(90), To: ago(70)}, {From: ago(60), To: ago(50)}, {From: ago(5), To: now.Add(time.Second)}}
	for name, c := range map[string]struct {
		at   float64
		want []Gap
	}{
		"a minute later":  {0, []Gap{{ago(60).UTC(), ago(50).UTC(), ""}}},
		"after both":      {45, []Gap{{ago(90).UTC(), ago(70).UTC(), ""}, {ago(60).UTC(), ago(50).UTC(), ""}}},
		"within a pause":  {55, []Gap{{ago(90).UTC(), ago(70).UTC(), ""}}},
		"before any":      {100, nil},
		"the very moment": {70, []Gap{{ago(90).UTC(), ago(70).UTC(), ""}}},
	} {
		if diff := cmp.Diff(c.want, h.Recent(ago(c.at))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
