//go:build linux

package probe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// lookedStarved is what a child process saw in one round.
type lookedStarved struct {
	Verdict Verdict
	Self    Self
	Took    Seconds
}

const starvedChild = "WHICHLAYER_TEST_STARVED"

// TestStarvedChild is the child process of the tests below: it looks at an address again and again, and says what it saw.
// Asked to, it keeps its own processors busy meanwhile.
func TestStarvedChild(t *testing.T) {
	args := strings.Fields(os.Getenv(starvedChild))
	if len(args) < 3 {
		t.Skip("no child process")
	}
	cfg, env := load(t, `targets: [{name: demo, front: {url: "https://%s/", ca_file: "%s", server_name: demo.test}, expect: {max_duration: %s}}]`,
		args[0], args[1], args[2])
	env.Health = NewHealth()
	go env.Health.Run(t.Context())
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	if len(args) > 3 {
		burn(t, 4)
	}
	for range 6 {
		r := target.Round(t.Context(), time.Now(), BySchedule)
		json.NewEncoder(os.Stdout).Encode(lookedStarved{Attribute(&r, nil), r.Self, Seconds(r.Ended.Sub(r.Started))})
		time.Sleep(100 * time.Millisecond)
	}
}

// burn keeps so many threads busy until the test ends.
func burn(t *testing.T, n int) {
	for range n {
		go func() {
			for t.Context().Err() == nil {
			}
		}()
	}
}

// startStarved starts the child. begin lets it look, and gives what it saw.
func startStarved(t *testing.T, args string) (pid int, begin func() []lookedStarved) {
	t.Helper()
	p := newPKI(t)
	at := serveHTTP(t, p.server("demo.test"), answerOK)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStarvedChild$")
	cmd.Env = append(os.Environ(), starvedChild+"="+at.String()+" "+p.caFile+" "+args)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	out := bufio.NewScanner(pipe)
	out.Scan()
	return cmd.Process.Pid, func() (all []lookedStarved) {
		in.Write([]byte("\n"))
		for out.Scan() {
			var l lookedStarved
			if json.Unmarshal(out.Bytes(), &l) == nil && l.Verdict.State != "" {
				all = append(all, l)
			}
		}
		if err := cmd.Wait(); err != nil || len(all) == 0 {
			t.Errorf("it saw %d rounds: %v", len(all), err)
		}
		return all
	}
}

// limitCPU puts a process into a group that gets a tenth of one processor.
func limitCPU(t *testing.T, pid int) {
	t.Helper()
	name := fmt.Sprintf("whichlayer-test-%d", pid)
	var errs error
	for _, version := range []struct {
		root  string
		files [][2]string
	}{
		{"/sys/fs/cgroup/cpu", [][2]string{{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "10000"}}},
		{"/sys/fs/cgroup", [][2]string{{"cpu.max", "10000 100000"}}},
	} {
		group := filepath.Join(version.root, name)
		if err := os.Mkdir(group, 0o755); err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		t.Cleanup(func() { os.Remove(group) })
		var err error
		for _, f := range append(version.files, [2]string{"cgroup.procs", fmt.Sprint(pid)}) {
			err = errors.Join(err, os.WriteFile(filepath.Join(group, f[0]), []byte(f[1]), 0o644))
		}
		if err == nil {
			return
		}
		errs = errors.Join(errs, err)
	}
	t.Skipf("SKIPPED: a process cannot be limited here: %v", errs)
}

// TestStarvedByLimit: a prober that gets a tenth of a processor, and has other work, charges nobody with its slowness.
func TestStarvedByLimit(t *testing.T) {
	t.Parallel()
	pid, begin := startStarved(t, "150ms busy")
	limitCPU(t, pid)
	starved := 0
	for _, l := range begin() {
		t.Logf("%s %s %s: %v starved of %v, %d pauses", l.Verdict.State, l.Verdict.Layer, l.Verdict.Cause, l.Self.Starved.Std(), l.Took.Std(), len(l.Self.Gaps))
		if l.Verdict.State != Up && l.Verdict.Layer != LayerProber {
			t.Errorf("%+v", l.Verdict)
		}
		if l.Verdict.Cause == CauseStarved {
			starved++
		}
	}
	if starved == 0 {
		t.Error("it did not notice")
	}
}

// TestStarvedNot: on a machine that is merely busy the target is up. It runs alone, because others mind the noise.
func TestStarvedNot(t *testing.T) {
	_, begin := startStarved(t, "10s")
	burn(t, 2*runtime.NumCPU())
	for _, l := range begin() {
		t.Logf("%s %s: %v starved of %v", l.Verdict.State, l.Verdict.Cause, l.Self.Starved.Std(), l.Took.Std())
		if l.Verdict.State != Up {
			t.Errorf("%+v", l.Verdict)
		}
	}
}
