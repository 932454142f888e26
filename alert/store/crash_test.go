package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// roles are what a copy of the test's program does in another process, by the value of the variable STORE_TEST_ROLE.
var roles = map[string]func(dir string) error{
	"commit": commitForEver, "full": onFullDisk, "read-only": onReadOnlyDisk, "io-errors": onBadDisk, "nobody": asNobody,
}

func TestMain(m *testing.M) {
	role, known := roles[os.Getenv("STORE_TEST_ROLE")]
	if !known {
		os.Exit(m.Run())
	}
	if err := role(os.Getenv("STORE_TEST_DIR")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is a copy of this program with a role.
func child(t *testing.T, role, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, self)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "STORE_TEST_ROLE="+role, "STORE_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// numbered is a batch whose parts all carry one number.
func numbered(n int64) *alert.Batch {
	at := noon.Add(time.Duration(n) * time.Second)
	v := probe.Verdict{State: probe.Down, Layer: probe.LayerProxy, Evidence: []string{fmt.Sprintf("%01000d", n)}}
	incident := &alert.Incident{ID: "incident-" + strconv.FormatInt(n, 10), Target: "orders", State: alert.Open, StartsAt: at, Verdict: v}
	incident.StartsBefore = at
	event := alert.Event{Event: alert.EventOpened, Time: at, Target: "orders", Verdict: &v, Incident: incident}
	delivery := alert.Delivery{Seq: n, Receiver: "ops", Incident: incident.ID, Transition: config.Opened, State: alert.Waiting, Created: at}
	delivery.Notification, _ = alert.NewNotification(event)
	var round probe.RecordedRound
	round.Result.Target, round.Result.Started, round.Result.Ended, round.Verdict = "orders", at, at, v
	return &alert.Batch{
		Incidents: []*alert.Incident{incident}, Events: []alert.Event{event}, Deliveries: []alert.Delivery{delivery},
		Rounds: []probe.RecordedRound{round}, History: []alert.Span{{Target: "orders", From: at, To: at, Rounds: 1}},
		State: map[string][]byte{"last": []byte(strconv.FormatInt(n, 10))},
	}
}

// commitForEver goes on with the numbers, and says which are durable. It trims meanwhile, as a daemon does.
func commitForEver(dir string) error {
	ctx := context.Background()
	d, err := Open(ctx, Options{Dir: dir, Retention: config.Retention{Size: 1 << 40}})
	if err != nil {
		return err
	}
	saved, err := d.Load(ctx)
	if err != nil {
		return err
	}
	go func() {
		for d.Trim(ctx, noon) == nil {
		}
	}()
	for n := saved.Seq + 1; ; n++ {
		if err := d.Commit(ctx, numbered(n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// TestKill kills a process in the midst of commits again and again: what it said to be durable is there, nothing is half.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged, kills := int64(0), 30
	if testing.Short() {
		kills = 5
	}
	for i := range kills {
		cmd := child(t, "commit", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for said := 0; lines.Scan(); said++ {
			if acknowledged, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
			if said == i%7 { // what it says after this was done before it died
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
		examine(t, dir, acknowledged)
	}
	if acknowledged < int64(kills) {
		t.Errorf("only %d commits in %d lives", acknowledged, kills)
	}
}

// examine requires all up to a number, each as a whole.
func examine(t *testing.T, dir string, acknowledged int64) {
	t.Helper()
	d, err := OpenReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	saved := load(t, d)
	last, err := strconv.ParseInt(string(saved.State["last"]), 10, 64)
	if err != nil || last != saved.Seq || last < acknowledged || last > acknowledged+1 || saved.Trouble != "" {
		t.Errorf("%d was acknowledged, %d (%v) and %d are there; %s", acknowledged, last, err, saved.Seq, saved.Trouble)
	}
	incidents, err := d.Incidents(t.Context(), Filter{})
	rounds, err2 := d.Rounds(t.Context(), "orders", noon, noon.AddDate(1, 0, 0), 1<<30)
	history, err3 := d.History(t.Context(), "orders", noon, noon.AddDate(1, 0, 0))
	var events int64
	err4 := d.read.QueryRow("SELECT count(*) FROM events").Scan(&events)
	for what, n := range map[string]int{"deliveries": len(saved.Deliveries), "incidents": len(incidents), "rounds": len(rounds), "history": len(history), "events": int(events)} {
		if int64(n) != last {
			t.Errorf("%d %s of %d; %v %v %v %v", n, what, last, err, err2, err3, err4)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*corrupt*")); len(left) > 0 {
		t.Errorf("moved aside: %v", left)
	}
}
