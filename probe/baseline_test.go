package probe

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// routine is a target's rounds, one after the other, as its baseline sees them.
type routine struct {
	b   *baseline
	now time.Time
	// every is from one round to the next.
	every time.Duration
}

func newRoutine() *routine { return &routine{b: newBaseline(), now: noon, every: 10 * time.Second} }

// round is one whose request took so long; it returns the request's stage.
func (r *routine) round(took time.Duration) *Stage {
	s := passing(StageRequest)
	s.Duration = Seconds(took)
	return r.look(s, true)
}

func (r *routine) look(s Stage, fine bool) *Stage {
	lanes := []Lane{laneOf(LaneFront, "", RoleFront, "10.0.0.1:443", s)}
	for i := range lanes[0].Stages {
		lanes[0].Stages[i].Started = r.now
	}
	r.b.mark(lanes)
	r.b.learn(lanes, fine)
	r.now = r.now.Add(r.every)
	return &lanes[0].Stages[len(lanes[0].Stages)-1]
}

func (r *routine) fail() {
	r.look(failing(StageRequest, HTTPTimedOut), false)
}

func (r *routine) figures() figures { return r.b.lanes["front/"][StageRequest].figures }

// usually are the durations of a service that answers within 3 to 9 ms, and once in a thousand times within 40.
func usually(rnd *rand.Rand) time.Duration {
	if rnd.IntN(1000) == 0 {
		return 40 * time.Millisecond
	}
	return 3*time.Millisecond + time.Duration(rnd.ExpFloat64()*float64(time.Millisecond))
}

func (r *routine) learn(rnd *rand.Rand, rounds int) {
	for range rounds {
		r.round(usually(rnd))
	}
}

// TestBaselineFigures: the quantiles are right within the sketch's accuracy, and said in the evidence.
func TestBaselineFigures(t *testing.T) {
	t.Parallel()
	r := newRoutine()
	for i := range 5210 {
		r.round(time.Duration(1+i%100) * time.Millisecond)
	}
	r.b.lanes["front/"][StageRequest].read(r.b.mapping)
	f := r.figures()
	for _, c := range []struct{ got, want time.Duration }{{f.median, 50 * time.Millisecond}, {f.nearly, 99 * time.Millisecond}, {f.most, 100 * time.Millisecond}} {
		if off := float64(c.got-c.want) / float64(c.want); off < -0.03 || off > 0.03 {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	s := r.round(3 * time.Second)
	if !s.Unusual || s.Outcome != Slow || !strings.Contains(s.Error, "99 of 100 within ") || !strings.HasSuffix(s.Error, "of 5210 seen)") {
		t.Errorf("three seconds: %+v", s)
	}
}

// TestBaselineLearnt: with enough seen, what is far beyond the usual is slow from half a second on, and before that only
// what takes many times longer.
func TestBaselineLearnt(t *testing.T) {
	t.Parallel()
	r, rnd := newRoutine(), rand.New(rand.NewPCG(1, 1))
	r.learn(rnd, 200)
	if s := r.round(700 * time.Millisecond); s.Unusual {
		t.Errorf("while it learns: %+v", s)
	}
	r.learn(rnd, 2*learntAfter)
	for took, want := range map[time.Duration]bool{45 * time.Millisecond: false, 400 * time.Millisecond: false, 700 * time.Millisecond: true} {
		if s := r.round(took); s.Unusual != want {
			t.Errorf("%v: %+v", took, s)
		}
	}
	wide := newRoutine()
	for i := range 2 * learntAfter {
		wide.round(time.Duration(1+i%20) * 100 * time.Millisecond) // up to two seconds
	}
	if s := wide.round(3 * time.Second); s.Unusual {
		t.Errorf("one that takes from 0.1 to 2 s took 3: %+v", s)
	}
	if s := wide.round(5 * time.Second); !s.Unusual {
		t.Errorf("one that takes from 0.1 to 2 s took 5: %+v", s)
	}
}

// TestBaselineFrozen: neither failures nor slow rounds nor those right after teach anything.
func TestBaselineFrozen(t *testing.T) {
	t.Parallel()
	r, rnd := newRoutine(), rand.New(rand.NewPCG(1, 2))
	r.learn(rnd, 1000)
	before := r.b.lanes["front/"][StageRequest].now.TotalCount()
	for range 300 {
		r.round(2 * time.Second)
	}
	for range 20 {
		r.fail()
		for range calmRounds - 1 {
			r.round(300 * time.Millisecond)
		}
	}
	if after := r.b.lanes["front/"][StageRequest].now.TotalCount(); after != before {
		t.Errorf("%v samples were learnt in an outage", after-before)
	}
	r.round(4 * time.Millisecond)
	r.round(4 * time.Millisecond)
	if after := r.b.lanes["front/"][StageRequest].now.TotalCount(); after != before+2 {
		t.Errorf("%v samples were learnt after it, want 2", after-before)
	}
}

// TestBaselineChanges: what stays slow for hours is usual then; what was slow for an hour and is over is not.
func TestBaselineChanges(t *testing.T) {
	t.Parallel()
	r, rnd := newRoutine(), rand.New(rand.NewPCG(1, 3))
	r.learn(rnd, 2000)
	for range 400 { // more than an hour
		r.round(time.Second)
	}
	r.learn(rnd, calmRounds+quietRounds)
	if r.b.lanes["front/"][StageRequest].changed != nil {
		t.Error("an hour that is over is still remembered")
	}
	from := r.now
	for r.round(time.Second).Unusual {
		if r.now.Sub(from) > 2*changedAfter {
			t.Fatal("never learnt")
		}
	}
	if took := r.now.Sub(from); took < changedAfter {
		t.Errorf("learnt after %v", took)
	}
	if f := r.figures(); f.median < 900*time.Millisecond {
		t.Errorf("the old times still count: %+v", f)
	}
	for range 3 { // and back again, at once
		if s := r.round(4 * time.Millisecond); s.Unusual {
			t.Errorf("%+v", s)
		}
	}
}

// TestBaselineForgets: after two weeks nothing is left of how it was before, and a rare schedule forgets nothing early.
func TestBaselineForgets(t *testing.T) {
	t.Parallel()
	r := newRoutine()
	r.every = time.Minute
	for range 20 * 24 * 60 {
		r.round(400 * time.Millisecond)
	}
	for range 15 * 24 * 60 {
		r.round(100 * time.Millisecond)
	}
	if f := r.figures(); f.most > 110*time.Millisecond || f.seen > 15*24*60 {
		t.Errorf("after two weeks: %+v", f)
	}
	rare := newRoutine()
	rare.every = 3 * time.Hour
	for range 600 {
		rare.round(400 * time.Millisecond)
	}
	if f := rare.figures(); f.seen < 590 {
		t.Errorf("every three hours for 75 days: %+v", f)
	}
}

// TestBaselineLoss: what took long because packets were lost is not how long it takes.
func TestBaselineLoss(t *testing.T) {
	t.Parallel()
	r, rnd := newRoutine(), rand.New(rand.NewPCG(1, 4))
	r.learn(rnd, 600)
	for range 600 {
		s := passing(StageRequest)
		s.Duration, s.TCPInfo = Seconds(1200*time.Millisecond), &tcpinfo.Info{TotalRetrans: 1}
		if r.look(s, true).Unusual {
			t.Fatal("loss was taken for slowness")
		}
	}
	if f := r.figures(); f.most > 100*time.Millisecond {
		t.Errorf("loss was learnt: %+v", f)
	}
}

func baselineTarget(t testing.TB) *Target {
	t.Helper()
	return newTestTarget(t, `front: {url: "http://127.0.0.1:1/"}`)
}

// TestBaselineSurvives: a restart changes nothing, not even when something was about to become usual.
func TestBaselineSurvives(t *testing.T) {
	t.Parallel()
	target := baselineTarget(t)
	r, rnd := newRoutine(), rand.New(rand.NewPCG(1, 5))
	r.every = 10 * time.Minute
	r.b = target.usual
	r.learn(rnd, 3000) // three weeks: there is a period before
	for range 30 {
		r.round(time.Second)
	}
	data, err := target.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	again := baselineTarget(t)
	if err := again.RestoreBaseline(data); err != nil {
		t.Fatal(err)
	}
	back, err := again.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(back)); diff != "" {
		t.Error(diff)
	}
	other := *r
	other.b = again.usual
	for i := range 700 {
		took := usually(rnd)
		if i > 100 && i < 600 {
			took = time.Second
		}
		if a, b := r.round(took), other.round(took); a.Unusual != b.Unusual {
			t.Fatalf("round %d: %+v without a restart, %+v after one", i, a, b)
		}
	}
	t.Logf("%d bytes", len(data))
}

// TestBaselineRefuses: what is no baseline is an error, and nothing of it is taken.
func TestBaselineRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		``, `null`, `{}`, `[1]`, `{"whichlayer":"tracker","format":1}`, `{"whichlayer":"baseline","format":2}`,
		`{"whichlayer":"baseline","format":1,"calm":-1}`,
		`{"whichlayer":"baseline","format":1,"lanes":{"front/":{"request":null}}}`,
		`{"whichlayer":"baseline","format":1,"lanes":{"front/":{"lunch":{"now":{"from":1,"counts":[1]}}}}}`,
		`{"whichlayer":"baseline","format":1,"lanes":{"front/":{"request":{"now":{"from":1,"counts":[-1]}}}}}`,
		`{"whichlayer":"baseline","format":1,"lanes":{"front/":{"request":{"now":{"from":99999,"counts":[1]}}}}}`,
		`{"whichlayer":"baseline","format":1,"lanes":{"front/":{"request":{"now":{"from":1,"counts":[` + strings.Repeat("1,", sketchBins) + `1]}}}}}`,
		strings.Repeat(" ", maxBaseline+1),
	} {
		target := baselineTarget(t)
		r := newRoutine()
		r.b = target.usual
		r.learn(rand.New(rand.NewPCG(1, 6)), 20)
		if err := target.RestoreBaseline([]byte(bad)); err == nil || !strings.Contains(err.Error(), `"demo"`) {
			t.Errorf("%.60s: %v", bad, err)
		}
		if len(target.usual.lanes) != 0 {
			t.Errorf("%.60s: something is known", bad)
		}
	}
	target := baselineTarget(t)
	if err := target.RestoreBaseline([]byte(`{"whichlayer":"baseline","format":1,"lanes":{"via/gone":{"request":{"now":{"from":1,"counts":[1]}}}}}`)); err != nil || len(target.usual.lanes) != 0 {
		t.Errorf("a lane that is no longer configured: %v, %v", err, target.usual.lanes)
	}
}

// TestBaselineWhileRounds: it is saved by another goroutine than the rounds'. The race detector judges.
func TestBaselineWhileRounds(t *testing.T) {
	t.Parallel()
	target := baselineTarget(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 20 {
			target.Round(t.Context(), time.Now(), BySchedule)
		}
	})
	for range 200 {
		if _, err := target.Baseline(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func FuzzRestoreBaseline(f *testing.F) {
	r := newRoutine()
	r.learn(rand.New(rand.NewPCG(1, 7)), 600)
	data, err := r.b.save()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"whichlayer":"baseline","format":1,"lanes":{"front/":{"request":{"now":{"from":-9,"counts":[0,0,1]},"changed":{}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBaseline()
		if err := b.restore(data, []string{"front/"}); err != nil {
			if len(b.lanes) != 0 {
				t.Fatal("something is known after", err)
			}
			return
		}
		r := &routine{b: b, now: noon, every: time.Hour}
		r.learn(rand.New(rand.NewPCG(1, 8)), 200)
		if _, err := b.save(); err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkBaseline is one round of one lane of four stages: four samples.
func BenchmarkBaseline(b *testing.B) {
	base, rnd := newBaseline(), rand.New(rand.NewPCG(1, 9))
	lanes := []Lane{laneOf(LaneFront, "", RoleFront, "10.0.0.1:443", passing(StageResponse))}
	now := noon
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(10 * time.Second)
		for j := range lanes[0].Stages {
			lanes[0].Stages[j].Started, lanes[0].Stages[j].Duration = now, Seconds(usually(rnd))
		}
		base.mark(lanes)
		base.learn(lanes, true)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(lanes[0].Stages)), "ns/sample")
}

// TestBaselineMemory: a target of six lanes with two periods behind it costs no more than so many bytes.
func TestBaselineMemory(t *testing.T) {
	const targets = 50
	var kept []*baseline
	rnd := rand.New(rand.NewPCG(1, 10))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range targets {
		b, now := newBaseline(), noon
		for range 2200 {
			now = now.Add(10 * time.Minute)
			var lanes []Lane
			for _, hop := range []string{"", "a", "b", "c", "d", "e"} {
				l := laneOf(LaneVia, hop, RoleProxy, "10.0.0.1:443", passing(StageResponse))
				for j := range l.Stages {
					l.Stages[j].Started, l.Stages[j].Duration = now, Seconds(usually(rnd))
				}
				lanes = append(lanes, l)
			}
			b.mark(lanes)
			b.learn(lanes, true)
		}
		kept = append(kept, b)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / targets
	if t.Logf("%d bytes a target of six lanes", each); each > 150<<10 {
		t.Errorf("%d bytes a target", each)
	}
	runtime.KeepAlive(kept)
}
