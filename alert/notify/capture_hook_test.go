//go:build linux

package notify

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// fakeTcpdump writes its arguments down, one a line, and waits for its end.
const fakeTcpdump = `#!/bin/sh
printf '%s\n' "$@" >"$HOOK_ARGS.new"
mv "$HOOK_ARGS.new" "$HOOK_ARGS"
trap 'echo stopped >"$HOOK_ARGS.stopped"; exit 0' TERM
while :; do sleep 0.05; done
`

// hook runs examples/hooks/capture.sh as the exec receiver does.
type hook struct {
	t         *testing.T
	dir, args string
	exec      *Exec
}

func newHook(t *testing.T, tcpdump string) *hook {
	t.Helper()
	bin := t.TempDir()
	h := &hook{t: t, dir: filepath.Join(t.TempDir(), "captures"), args: filepath.Join(bin, "args")}
	if err := os.WriteFile(filepath.Join(bin, "tcpdump"), []byte(tcpdump), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	script, err := filepath.Abs("../../examples/hooks/capture.sh")
	if err != nil {
		t.Fatal(err)
	}
	h.exec, err = NewExec(config.Receiver{Name: "capture", Exec: &config.Exec{Command: []string{"/bin/sh", script}, Timeout: config.Duration(20 * time.Second),
		Env: map[string]string{"CAPTURE_DIR": h.dir, "CAPTURE_AFTER": "0", "HOOK_ARGS": h.args}}}, Setting{Zone: time.UTC, Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.killLeftOver)
	return h
}

func (h *hook) run(n alert.Notification) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return h.exec.Notify(ctx, n)
}

// pid of the fake that the state file names.
func (h *hook) pid() int {
	states, _ := filepath.Glob(filepath.Join(h.dir, "*.state"))
	if len(states) != 1 {
		return 0
	}
	b, _ := os.ReadFile(states[0])
	pid, _ := strconv.Atoi(strings.SplitN(string(b), "\n", 2)[0])
	return pid
}

// killLeftOver ends a fake that a failed test has left behind; it leads a session of its own.
func (h *hook) killLeftOver() {
	if pid := h.pid(); pid > 1 && strings.Contains(cmdline(pid), h.dir) {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

func cmdline(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return string(b)
}

func (h *hook) waitFor(path string) string {
	h.t.Helper()
	for range 500 {
		if b, err := os.ReadFile(path); err == nil {
			return string(b)
		}
		time.Sleep(10 * time.Millisecond) // another process writes it: there is no event to wait for
	}
	h.t.Fatalf("%s did not appear", path)
	return ""
}

func TestCaptureHookRecordsAnIncident(t *testing.T) {
	h := newHook(t, fakeTcpdump)
	if err := h.run(sample(config.Suspect)); err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimSpace(h.waitFor(h.args)), "\n")
	if got, want := args[len(args)-1], sample(config.Suspect).ServiceFilter(); got != want {
		t.Errorf("the filter is %q, want one argument %q", got, want)
	}
	first := h.pid()
	if first == 0 || !strings.Contains(cmdline(first), "tcpdump") {
		t.Fatalf("no recording runs: pid %d", first)
	}
	if err := h.run(sample(config.Opened)); err != nil {
		t.Fatal(err)
	}
	if h.pid() != first {
		t.Error("opened started a second recording")
	}
	if err := h.run(sample(config.Resolved)); err != nil {
		t.Fatal(err)
	}
	h.waitFor(h.args + ".stopped")
}

func TestCaptureHookSaysWhatIsWrong(t *testing.T) {
	bad := sample(config.Suspect)
	incident := *bad.Event.Incident
	incident.ID = "../../etc; touch /tmp/x"
	bad.Event.Incident = &incident
	nowhere := sample(config.Suspect)
	incident2 := *nowhere.Event.Incident
	incident2.Fingerprints = nil
	nowhere.Event.Incident, nowhere.Event.Lanes = &incident2, nil
	for name, c := range map[string]struct {
		tcpdump string
		n       alert.Notification
		want    string
	}{
		"a foreign ID":     {fakeTcpdump, bad, "the incident's ID is not one of whichlayer's"},
		"no address":       {fakeTcpdump, nowhere, "no address is known to record"},
		"tcpdump may not":  {"#!/bin/sh\necho \"eth9: no permission\" >&2; exit 1\n", sample(config.Suspect), "tcpdump ended at once: eth9: no permission"},
		"nothing recorded": {fakeTcpdump, sample(config.Resolved), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := newHook(t, c.tcpdump).run(c.n)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
