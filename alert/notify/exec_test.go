//go:build unix

package notify

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// script is a program that is run as /bin/sh FILE.
type script struct {
	dir  string
	body string
}

func newScript(t *testing.T) *script {
	s := &script{dir: t.TempDir()}
	s.body = `cat >"$OUT/stdin.$WHICHLAYER_EVENT"; echo x >>"$OUT/count"; env >"$OUT/env"`
	return s
}

func (s *script) make(t *testing.T, timeout time.Duration) *Exec {
	t.Helper()
	path := filepath.Join(s.dir, "hook")
	if err := os.WriteFile(path, []byte(s.body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	e, err := NewExec(config.Receiver{Name: "hook", Exec: &config.Exec{Command: []string{"/bin/sh", path, "fixed; echo argument"},
		Timeout: config.Duration(timeout), Env: map[string]string{"OUT": s.dir}}}, Setting{Zone: berlin(), Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (s *script) notifier(t *testing.T) alert.Notifier { return s.make(t, 20*time.Second) }

func (s *script) hang(t *testing.T) <-chan struct{} {
	s.body = `echo x >"$OUT/reached"; sleep 60`
	reached := make(chan struct{})
	go func() {
		defer close(reached)
		s.await("reached")
	}()
	return reached
}

// await waits for a file that another process writes: there is no event to wait for.
func (s *script) await(name string) string {
	for range 1000 {
		if b, err := os.ReadFile(filepath.Join(s.dir, name)); err == nil && len(b) > 0 {
			return strings.TrimSpace(string(b))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ""
}

func (s *script) refuse(*testing.T) { s.body = `echo "I do not like it" >&2; exit 3` }

func (s *script) said(*testing.T) string {
	all, _ := filepath.Glob(filepath.Join(s.dir, "stdin.*"))
	var b strings.Builder
	for _, name := range all {
		text, _ := os.ReadFile(name)
		b.Write(text)
	}
	return b.String()
}

func (s *script) taken(*testing.T) int {
	b, _ := os.ReadFile(filepath.Join(s.dir, "count"))
	return strings.Count(string(b), "x")
}

func TestExecConforms(t *testing.T) { conform(t, func(t *testing.T) far { return newScript(t) }) }

func TestExecPassesTheEvent(t *testing.T) {
	t.Setenv("HOME_SECRET", "must not be passed on")
	s := newScript(t)
	s.body += `; printf '%s' "$1" >"$OUT/arg"`
	n := sample(config.Opened)
	if err := s.notifier(t).Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if got := s.await("arg"); got != "fixed; echo argument" {
		t.Errorf("argument %q", got)
	}
	env := s.await("env")
	for _, want := range []string{"WHICHLAYER_EVENT=opened", "WHICHLAYER_TARGET=orders", "WHICHLAYER_STATE=down", "WHICHLAYER_LAYER=proxy",
		"WHICHLAYER_CAUSE=frozen", "WHICHLAYER_MEANS=Users connect and wait in vain;", "WHICHLAYER_NEXT=On the proxy's host ", "WHICHLAYER_CONFIDENCE=likely", "WHICHLAYER_INCIDENT=20261122T140304Z-orders-3f9a",
		"WHICHLAYER_STARTS_AFTER=2026-11-22T14:03:04.12Z", "WHICHLAYER_STARTS_BEFORE=2026-11-22T14:03:05.32Z", "WHICHLAYER_ENDS_AFTER=\n",
		"WHICHLAYER_CAPTURE_FILTER=(host 10.0.9.4 and host 10.0.0.10 and tcp port 443 and (port 51234 or port 51236))"} {
		if !strings.Contains(env+"\n", want) {
			t.Errorf("the environment has no %q:\n%s", want, env)
		}
	}
	if strings.Contains(env, "HOME_SECRET") {
		t.Errorf("the prober's own environment was passed on:\n%s", env)
	}
	var got struct {
		alert.Event
		Headline      string
		CaptureFilter string `json:"capture_filter"`
	}
	if err := json.Unmarshal([]byte(s.await("stdin.opened")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Headline != n.Headline() || got.CaptureFilter != n.CaptureFilter() {
		t.Errorf("headline %q, filter %q", got.Headline, got.CaptureFilter)
	}
	if diff := cmp.Diff(*n.Event.Verdict, *got.Verdict); diff != "" {
		t.Error(diff)
	}
}

// TestExecTellsWhatSortItIs is for scripts that do not read JSON.
func TestExecTellsWhatSortItIs(t *testing.T) {
	for _, c := range []struct {
		n    alert.Notification
		want string
	}{
		{sample(config.Opened), "DRILL= REMINDER= WHOLE= DURABILITY_DEGRADED= MEMBERS="},
		{drill(config.Opened), "DRILL=1 REMINDER= WHOLE= DURABILITY_DEGRADED= MEMBERS="},
		{reminder(), "DRILL= REMINDER=1 WHOLE= DURABILITY_DEGRADED= MEMBERS="},
		{whole(), "DRILL= REMINDER= WHOLE=1 DURABILITY_DEGRADED= MEMBERS="},
		{degraded(), "DRILL= REMINDER= WHOLE= DURABILITY_DEGRADED=1 MEMBERS="},
		{together(config.Opened), "DRILL= REMINDER= WHOLE= DURABILITY_DEGRADED= MEMBERS=orders,invoices,stock,billing"},
	} {
		s := newScript(t)
		s.body = `for v in DRILL REMINDER WHOLE DURABILITY_DEGRADED; do eval "printf '%s=%s ' $v \"\$WHICHLAYER_$v\""; done >"$OUT/sort"
			echo "MEMBERS=$(echo "$WHICHLAYER_MEMBERS" | tr '\n' ',' | sed 's/,$//')" >>"$OUT/sort"; cat >"$OUT/stdin"`
		if err := s.notifier(t).Notify(t.Context(), c.n); err != nil {
			t.Fatal(err)
		}
		if got := s.await("sort"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		var got payload
		if err := json.Unmarshal([]byte(s.await("stdin")), &got); err != nil {
			t.Fatal(err)
		}
		if got.Drill != c.n.Drill || got.Reminder != c.n.Reminder || got.Whole != c.n.Whole || got.Degraded != c.n.Degraded ||
			got.Transition != string(c.n.Transition) || len(got.Incident.Members) != len(c.n.Event.Incident.Members) {
			t.Errorf("stdin says %+v", got)
		}
	}
}

func TestExecKillsTheWholeGroup(t *testing.T) {
	s := newScript(t)
	s.body = `sleep 60 & echo $! >"$OUT/child"; wait`
	start := time.Now()
	err := s.make(t, 500*time.Millisecond).Notify(t.Context(), sample(config.Opened))
	if err == nil || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	child, _ := strconv.Atoi(s.await("child"))
	for range 200 {
		if child < 2 || !alive(child) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d, started by the program, is alive", child)
}

// alive tells whether a process runs; one that has ended and that nobody has waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		_, after, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(after, "Z")
	}
	return !errors.Is(err, os.ErrNotExist) && syscall.Kill(pid, 0) == nil
}

func TestExecDoesNotWaitForWhatIsLeftBehind(t *testing.T) {
	s := newScript(t)
	s.body = `sleep 20 & echo $! >"$OUT/child"`
	start := time.Now()
	if err := s.notifier(t).Notify(t.Context(), sample(config.Opened)); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if child, _ := strconv.Atoi(s.await("child")); child > 1 {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
}

func TestExecErrors(t *testing.T) {
	s := newScript(t)
	s.body = `head -c 300000 /dev/zero | tr '\0' 'y'; echo; exit 7`
	err := s.notifier(t).Notify(t.Context(), sample(config.Opened))
	var permanent *alert.PermanentError
	if !errors.As(err, &permanent) || !strings.Contains(err.Error(), "exit status 7") || len(err.Error()) > 3000 {
		t.Errorf("%.300v", err)
	}
	missing, _ := NewExec(config.Receiver{Exec: &config.Exec{Command: []string{"/no/such/program"}}}, Setting{Zone: time.UTC, Log: discard()})
	if err := missing.Notify(t.Context(), sample(config.Opened)); err == nil || errors.As(err, &permanent) {
		t.Errorf("a program that is not there may come: %v", err)
	}
	for _, command := range [][]string{nil, {"relative"}, {""}} {
		if _, err := NewExec(config.Receiver{Exec: &config.Exec{Command: command}}, Setting{Zone: time.UTC, Log: discard()}); err == nil {
			t.Errorf("command %q was taken", command)
		}
	}
}

func TestNewWantsAKind(t *testing.T) {
	if _, err := New(config.Receiver{Name: "x"}, Setting{Log: discard()}); err == nil {
		t.Error("a receiver of no kind was made")
	}
}
