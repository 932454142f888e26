//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// event is one line of `whichlayer run --events`: the part of the contract that these tests look at.
type event struct {
	Event   string    `json:"event"`
	Time    time.Time `json:"time"`
	Target  string    `json:"target"`
	Verdict struct {
		State      string    `json:"state"`
		Layer      string    `json:"layer"`
		Cause      string    `json:"cause"`
		Confidence string    `json:"confidence"`
		Rule       string    `json:"rule"`
		Evidence   []string  `json:"evidence"`
		Suspects   []suspect `json:"suspects"`
	} `json:"verdict"`
	Incident *struct {
		ID           string    `json:"id"`
		State        string    `json:"state"`
		StartsAfter  time.Time `json:"starts_after"`
		StartsBefore time.Time `json:"starts_before"`
		EndsAfter    time.Time `json:"ends_after"`
		EndsBefore   time.Time `json:"ends_before"`
	} `json:"incident"`
	raw []byte
}

type suspect struct {
	Layer string `json:"layer"`
	Cause string `json:"cause"`
}

func (e *event) bad() bool { return e.Verdict.State == "down" || e.Verdict.State == "degraded" }

// blind tells that the prober itself did not run for a while, as happens on a busy machine, and says so.
func (e *event) blind() bool { return e.Event == "gap" || e.Verdict.Layer == "prober" }

// span is the time in which something was done: its true instant lies inside.
type span struct{ from, to time.Time }

// during does something and tells when.
func during(f func()) span {
	from := time.Now()
	f()
	return span{from, time.Now()}
}

// observation is all that is known of one fault: the truth, and what whichlayer said.
type observation struct {
	fault       fault
	start, end  span
	events      []event
	opened, was *event // the first alarm, and the last word before the fault was lifted
	resolved    *event
	slack       []slackCall
}

// watcher is a `whichlayer run` in the client's namespace.
type watcher struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan event
	events []event
	ended  chan error
}

// whichlayerConfig writes the configuration for a chain as users of the fault's front reach it.
func (c *chain) whichlayerConfig(f fault) string {
	c.t.Helper()
	address := proxyIP
	if f.front == vipName {
		address = balancerIP
	}
	return c.config("whichlayer.yaml", map[string]any{"Front": f.frontName(), "FrontAddress": address, "Balanced": f.front == vipName})
}

// check looks once with `whichlayer check`, which must end with the code. A look that the prober itself calls void,
// because this machine did not let it run, is repeated.
func (c *chain) check(f fault, code int) *event {
	c.t.Helper()
	for tries := 1; ; tries++ {
		cmd := c.cli.command(c.suite.binary, "check", "--json", "--config", c.whichlayerConfig(f))
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		e := &event{raw: out}
		if err := json.Unmarshal(out, e); err != nil {
			c.t.Fatalf("check: %v\n%s%s", err, said.Bytes(), out)
		}
		got := cmd.ProcessState.ExitCode()
		if e.blind() && got == 3 && tries < 4 {
			c.t.Logf("check was paused: %s", e.Verdict.Evidence)
			continue
		}
		if got != code {
			c.t.Errorf("check: exit code %d, want %d (%v)\n%s%s", got, code, err, said.Bytes(), out)
		}
		return e
	}
}

// watch starts whichlayer on a chain.
func (c *chain) watch(f fault) *watcher {
	c.t.Helper()
	w := &watcher{t: c.t, cmd: c.cli.command(c.suite.binary, "run", "--config", c.whichlayerConfig(f), "--events", "-"),
		lines: make(chan event, 1000), ended: make(chan error, 1)}
	logged, err := os.Create(filepath.Join(c.dir, "whichlayer.log"))
	if err != nil {
		c.t.Fatal(err)
	}
	w.cmd.Stderr = logged
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go w.read(bufio.NewReader(stdout))
	c.t.Cleanup(func() {
		_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL)
		logged.Close()
		if c.t.Failed() {
			c.t.Logf("whichlayer logged:\n%s", tail(logged.Name()))
		}
	})
	return w
}

// read passes the events on until whichlayer ends.
func (w *watcher) read(r *bufio.Reader) {
	defer close(w.lines)
	var wrong error
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			e := event{raw: line}
			wrong = errors.Join(wrong, json.Unmarshal(line, &e))
			w.lines <- e
		}
		if err != nil {
			break
		}
	}
	w.ended <- errors.Join(wrong, w.cmd.Wait())
}

// await returns the next event that passes, which must come before the limit.
func (w *watcher) await(what string, limit time.Duration, pass func(*event) bool) *event {
	w.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case e, ok := <-w.lines:
			if !ok {
				w.t.Fatalf("waiting for %s: whichlayer ended: %v", what, <-w.ended)
			}
			w.events = append(w.events, e)
			if pass(&e) {
				return &e
			}
		case <-timer.C:
			w.t.Fatalf("no %s within %s; last events:\n%s", what, limit, w.last(3))
		}
	}
}

// results waits for n more rounds.
func (w *watcher) results(n int) {
	w.t.Helper()
	for i := range n {
		w.await(fmt.Sprintf("round %d of %d", i+1, n), 15*time.Second, func(e *event) bool { return e.Event == "result" })
	}
}

// healthy waits for n good rounds in a row.
func (w *watcher) healthy(n int) {
	w.t.Helper()
	row := 0
	w.await("healthy rounds", 20*time.Second, func(e *event) bool {
		if e.Event != "result" {
			return false
		}
		if row++; e.Verdict.State != "up" {
			w.t.Logf("not yet healthy: %s", e.Verdict.Evidence)
			row = 0
		}
		return row == n
	})
}

// finish asks whichlayer to end and takes its last events.
func (w *watcher) finish() {
	w.t.Helper()
	if err := syscall.Kill(w.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		w.t.Error(err)
	}
	timer := time.NewTimer(15 * time.Second)
	defer timer.Stop()
	for {
		select {
		case e, ok := <-w.lines:
			if ok {
				w.events = append(w.events, e)
				continue
			}
			if err := <-w.ended; err != nil {
				w.t.Errorf("whichlayer did not end well: %v", err)
			}
			return
		case <-timer.C:
			w.t.Fatal("whichlayer did not end within 15 s of SIGTERM")
		}
	}
}

// last shows the last few events.
func (w *watcher) last(n int) []byte {
	var b []byte
	for _, e := range w.events[max(0, len(w.events)-n):] {
		b = append(b, e.raw...)
	}
	return b
}

// observe lets a fault come and go under whichlayer's eyes.
func (c *chain) observe(f fault) *observation {
	t := c.t
	t.Helper()
	name := f.frontName()
	if err := c.get(name); err != nil {
		t.Fatalf("the chain does not work before the fault: %v", err)
	}
	o := &observation{fault: f}
	w := c.watch(f)
	w.healthy(3)

	o.start = during(func() { f.apply(c) })
	o.opened = w.await("opened", 40*time.Second, func(e *event) bool { return e.Event == "opened" })
	w.results(2)
	if err := c.get(name); err == nil && !f.serves {
		t.Error("the fault had no effect: the front answers")
	}
	o.was = lastWord(w.events)

	o.end = during(func() { f.lift(c) })
	o.resolved = w.await("resolved", 60*time.Second, func(e *event) bool { return e.Event == "resolved" })
	if err := c.get(name); err != nil {
		t.Errorf("the chain does not work after the fault: %v", err)
	}
	w.finish()
	o.events, o.slack = w.events, c.slack.told()
	return o
}

// lastWord is the latest event that speaks of an incident.
func lastWord(events []event) *event {
	for _, e := range slices.Backward(events) {
		if e.Event == "opened" || e.Event == "updated" {
			return &e
		}
	}
	return nil
}

// record keeps what was seen: the middle one of the bad rounds in NAME.json, the whole course in NAME.events, and in
// NAME.txtar a case for the golden test of the rules: the last good round and the first two bad ones, as they were
// written. TestGolden of package probe adds its verdict with -update.
func (o *observation) record(dir string) error {
	var all []byte
	var rounds, bad []event
	for _, e := range o.events {
		all = append(all, e.raw...)
		if e.Event != "result" || e.blind() || e.Time.After(o.end.from) {
			continue
		}
		rounds = append(rounds, e)
		if e.bad() {
			bad = append(bad, e)
		}
	}
	first := slices.IndexFunc(rounds, func(e event) bool { return e.bad() })
	if first < 1 || len(rounds) < first+2 {
		return errors.New("too few rounds to record")
	}
	archive := fmt.Appendf(nil, "%s: the %s is at fault. Recorded on a chain of real servers.\n-- rounds.jsonl --\n", o.fault.name, o.fault.layer)
	for _, e := range rounds[first-1 : first+2] {
		archive = append(archive, e.raw...)
	}
	write := func(ext string, b []byte) error { return os.WriteFile(filepath.Join(dir, o.fault.name+ext), b, 0o644) }
	return errors.Join(write(".json", bad[len(bad)/2].raw), write(".events", all), write(".txtar", archive))
}
