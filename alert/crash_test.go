package alert_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/alert/store"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// A prober is killed with SIGKILL at random instants, again and again, while outages begin and end and receivers refuse,
// answer late, or take a message and lose the answer. WHICHLAYER_KILLS says how often, 40 by default; `make crash` does
// 10,000.

// The crowd of receivers: two programs and one for people, who get what is over in one message.
var crashReceivers = []config.Receiver{
	{Name: "hook", Webhook: &config.Webhook{}, On: []config.Transition{config.Opened, config.Updated, config.Resolved}},
	{Name: "other", Webhook: &config.Webhook{}},
	{Name: "people", Slack: &config.Slack{}},
}

const (
	crashTargets = 4
	crashRound   = 20 * time.Millisecond
	// Each target is broken for crashOutage of every crashPeriod.
	crashPeriod = 1200 * time.Millisecond
	crashOutage = 400 * time.Millisecond
)

// told is a message as a receiver got it.
type told struct {
	Transition config.Transition `json:"transition"`
	Whole      bool              `json:"whole"`
	Time       time.Time         `json:"time"`
	Incident   string            `json:"incident"`
	Target     string            `json:"target"`
	Before     time.Time         `json:"starts_before"`
}

// poster sends messages to the parent.
type poster struct{ url string }

func (p poster) Notify(ctx context.Context, n alert.Notification) error {
	i := n.Event.Incident
	body, err := json.Marshal(told{n.Transition, n.Whole, n.Event.Time, i.ID, i.Target, i.StartsBefore})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// TestMain is the prober that gets killed, when it is told to be.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WHICHLAYER_CRASH_DIR"); dir != "" {
		if err := crashChild(dir, os.Getenv("WHICHLAYER_CRASH_URL"), os.Getenv("WHICHLAYER_CRASH_LAST") != ""); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashChild watches until it is killed; the last one watches targets that are well until nothing waits any more.
func crashChild(dir, url string, last bool) error {
	log := slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	db, err := store.Open(ctx, store.Options{Dir: dir, Log: log})
	if err != nil {
		return err
	}
	saved, err := db.Load(ctx)
	if err != nil {
		return err
	}
	cfg := &config.Config{Receivers: crashReceivers}
	for n := range crashTargets {
		d := config.Detect{Confirm: config.Duration(20 * time.Millisecond), Resolve: config.Duration(30 * time.Millisecond), Reopen: 1}
		cfg.Targets = append(cfg.Targets, config.Target{Name: fmt.Sprint("t", n), Detect: d})
	}
	d, err := alert.NewDispatcher(cfg, saved, db, func(r config.Receiver, _ alert.Memory) (alert.Notifier, error) { return poster{url + r.Name}, nil },
		log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	desk, err := alert.NewDesk(cfg, nil, d.Take, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	d.Watch(desk)
	desk.Restore(ctx, saved, db)
	fmt.Println("runs")
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	if err := crashWatch(desk, db, last); err != nil {
		return err
	}
	stop()
	return errors.Join(<-done, db.Close())
}

// crashWatch looks at the targets until, with last, all incidents are over and told.
func crashWatch(desk *alert.Desk, db *store.DB, last bool) error {
	var round uint64
	for tick := time.NewTicker(crashRound); ; <-tick.C {
		round++
		for n := range crashTargets {
			desk.Observe(crashLook(n, round, !last))
		}
		if !last || round%20 != 0 {
			continue
		}
		saved, err := db.Load(context.Background())
		if err != nil {
			return err
		}
		if round > 100 && len(saved.Deliveries) == 0 && len(desk.Incidents()) == 0 {
			return nil
		}
	}
}

// crashLook is a round of a target, which is broken when the wall clock says so.
func crashLook(n int, round uint64, breaks bool) *probe.Result {
	now := time.Now()
	phase := (time.Duration(now.UnixNano()) + time.Duration(n)*crashPeriod/crashTargets) % crashPeriod
	s := probe.Stage{Stage: probe.StageConnect, Outcome: probe.OK, Started: now, Duration: probe.Seconds(time.Millisecond)}
	if breaks && phase < crashOutage {
		s.Outcome, s.Type, s.Code = probe.Failed, probe.TCPRefused, probe.TCPRefused.Code()
	}
	address := fmt.Sprintf("10.0.%d.10:443", n)
	return &probe.Result{Target: fmt.Sprint("t", n), Round: round, Due: now, Started: now, Ended: now.Add(time.Millisecond), Trigger: probe.BySchedule,
		Lanes: []probe.Lane{{Lane: probe.LaneFront, Address: address, Local: "10.0.9.4:51234", Stages: []probe.Stage{s}}}}
}

// crowd is the receivers, in the parent.
type crowd struct {
	mu        sync.Mutex
	rand      *rand.Rand
	healthy   bool
	got       map[string][]told
	ambiguous map[string]int
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var m told
	if err != nil || json.Unmarshal(body, &m) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	c.mu.Lock()
	luck := c.rand.Float64()
	if c.healthy {
		luck = 1
	}
	if luck >= 0.1 {
		c.got[name] = append(c.got[name], m)
	}
	if luck >= 0.1 && luck < 0.15 {
		c.ambiguous[name]++
	}
	c.mu.Unlock()
	switch {
	case luck < 0.1:
		w.WriteHeader(http.StatusServiceUnavailable)
	case luck < 0.15:
		panic(http.ErrAbortHandler) // taken, and the answer is lost
	case luck < 0.25:
		time.Sleep(30 * time.Millisecond)
	}
}

func TestCrash(t *testing.T) {
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("WHICHLAYER_KILLS"), "40"))
	if err != nil {
		t.Fatalf("WHICHLAYER_KILLS: %v", err)
	}
	probers := max(4, kills/250) // what a prober remembers of the last hour makes each next start slower
	for n := range probers {
		t.Run(fmt.Sprint("prober ", n), func(t *testing.T) {
			t.Parallel()
			crashOne(t, kills/probers, uint64(n))
		})
	}
}

// crashOne kills one prober after the other on the same state, and then looks at what people were told.
func crashOne(t *testing.T, kills int, seed uint64) {
	c := &crowd{rand: rand.New(rand.NewPCG(seed, 7)), got: map[string][]told{}, ambiguous: map[string]int{}}
	server := httptest.NewUnstartedServer(c)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	defer server.Close()
	dir, when := t.TempDir(), rand.New(rand.NewPCG(seed, 8))
	for n := range kills {
		p, runs := crashStart(t, dir, server.URL+"/", false)
		if n%4 > 0 { // every fourth one dies while it opens the state, reads it, goes on with it
			runs()
		}
		time.Sleep(time.Duration(when.Int64N(int64(200 * time.Millisecond))))
		_ = p.Process.Kill() // it may have failed by itself, which Wait shows
		if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the prober ended by itself: %v", err)
		}
	}
	c.mu.Lock()
	c.healthy = true
	c.mu.Unlock()
	began := time.Now()
	p, runs := crashStart(t, dir, server.URL+"/", true)
	runs()
	if err := p.Wait(); err != nil {
		t.Fatalf("the last prober: %v", err)
	}
	t.Logf("the last prober took %v to tell everything", time.Since(began).Round(time.Millisecond))
	crashVerify(t, c, dir, kills)
}

// crashStart starts a prober; what it returns too waits until it runs.
func crashStart(t *testing.T, dir, url string, last bool) (cmd *exec.Cmd, runs func()) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WHICHLAYER_CRASH_DIR="+dir, "WHICHLAYER_CRASH_URL="+url)
	if last {
		cmd.Env = append(cmd.Env, "WHICHLAYER_CRASH_LAST=1")
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, func() {
		t.Helper()
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != "runs\n" {
			_ = cmd.Process.Kill()
			t.Fatalf("the prober says %q: %v; %v", line, err, cmd.Wait())
		}
	}
}

// crashVerify holds what each receiver was told against what the prober knows.
func crashVerify(t *testing.T, c *crowd, dir string, kills int) {
	if aside, err := filepath.Glob(filepath.Join(dir, "*.damaged-*")); err != nil || len(aside) > 0 {
		t.Errorf("a kill damaged the state: %v %v", aside, err)
	}
	again, err := store.Open(t.Context(), store.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)}) // looks for damage
	if err != nil {
		t.Fatal(err)
	}
	if saved, err := again.Load(t.Context()); err != nil || saved.Trouble != "" {
		t.Errorf("the state after all kills: %v %v", saved, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := db.Incidents(t.Context(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	opened, gaps := 0, 0
	for _, i := range all {
		if i.Active() {
			t.Errorf("%s is %s at the end", i.ID, i.State)
		}
		if i.OpenedAt != nil && i.Target != alert.SelfTarget {
			opened++
		}
		gaps += len(i.Gaps)
	}
	for _, r := range crashReceivers {
		crashReceiver(t, c, r, all, kills)
	}
	t.Logf("%d kills, %d incidents opened of %d, %d gaps within; messages %d, %d, %d", kills, opened, len(all), gaps,
		len(c.got["hook"]), len(c.got["other"]), len(c.got["people"]))
	if opened < kills/20 || gaps < kills/20 {
		t.Errorf("too little happened")
	}
}

// crashReceiver checks that one receiver heard of each incident's begin and end, in this order, with one start, and not
// more often than crashes and lost answers explain.
func crashReceiver(t *testing.T, c *crowd, r config.Receiver, all []*alert.Incident, kills int) {
	type message struct {
		incident   string
		transition config.Transition
		at         int64
	}
	seen, twice := map[message]bool{}, 0
	first := map[string]map[config.Transition]int{}
	before := map[string]time.Time{}
	for n, m := range c.got[r.Name] {
		key := message{m.Incident, m.Transition, m.Time.UnixNano()}
		if seen[key] {
			twice++
			continue
		}
		seen[key] = true
		if first[m.Incident] == nil {
			first[m.Incident] = map[config.Transition]int{}
			before[m.Incident] = m.Before
		}
		if !before[m.Incident].Equal(m.Before) {
			t.Errorf("%s: %s began at %v, and then at %v", r.Name, m.Incident, before[m.Incident], m.Before)
		}
		if _, known := first[m.Incident][m.Transition]; !known {
			first[m.Incident][m.Transition] = n
		}
		if m.Whole {
			first[m.Incident][config.Opened] = n
		}
	}
	if limit := kills + c.ambiguous[r.Name]; twice > limit {
		t.Errorf("%s: %d messages came twice, explained are %d", r.Name, twice, limit)
	}
	for _, i := range all {
		if i.OpenedAt == nil || i.Target == alert.SelfTarget {
			continue
		}
		o, okOpened := first[i.ID][config.Opened]
		z, okResolved := first[i.ID][config.Resolved]
		if !okOpened || !okResolved || o > z {
			t.Errorf("%s: of %s (%s) opened came %v, resolved %v, in order %v", r.Name, i.ID, i.State, okOpened, okResolved, o <= z)
		}
	}
	if twice > 0 {
		t.Logf("%s: %d came twice; answers lost: %d", r.Name, twice, c.ambiguous[r.Name])
	}
}
