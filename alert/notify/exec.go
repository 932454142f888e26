package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

const (
	// maxOutput is how much of a program's output is kept.
	maxOutput = 64 << 10
	// execTimeout is used when the configuration has none.
	execTimeout = 30 * time.Second
	// waitDelay is how long output of a killed program's leftovers is waited for.
	waitDelay = 2 * time.Second
)

// Exec runs a program for each message: an absolute path and fixed arguments, no shell, no environment but PATH, what
// is configured and WHICHLAYER_*. The event comes as JSON on stdin.
//
// The program runs in a process group of its own, which is killed at the timeout. It is never run twice for a message,
// unless it could not be started: a program that ran may have done half of its work.
type Exec struct {
	command  []string
	env      []string
	timeout  time.Duration
	receiver string
	setting  Setting
}

var _ alert.Notifier = (*Exec)(nil)

// NewExec prepares a notifier; it does not look for the program, which may be installed later.
func NewExec(r config.Receiver, s Setting) (*Exec, error) {
	cfg := r.Exec
	if len(cfg.Command) == 0 || !filepath.IsAbs(cfg.Command[0]) {
		return nil, errors.New("command must begin with an absolute path")
	}
	e := &Exec{command: cfg.Command, timeout: cfg.Timeout.Std(), receiver: r.Name, setting: s}
	if e.timeout <= 0 {
		e.timeout = execTimeout
	}
	for k, v := range cfg.Env {
		e.env = append(e.env, k+"="+v)
	}
	slices.Sort(e.env)
	return e, nil
}

// Notify implements alert.Notifier.
func (e *Exec) Notify(ctx context.Context, n alert.Notification) error {
	m := newMessage(n, e.receiver, e.setting)
	input, err := jsonText(newPayload(n, m))
	if err != nil {
		return permanent("encode the event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	var out limited
	cmd := exec.CommandContext(ctx, e.command[0], e.command[1:]...)
	cmd.Stdin = strings.NewReader(input + "\n")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(environment(n, m), e.env...)
	cmd.Dir = "/"
	cmd.WaitDelay = waitDelay
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %q: %w", e.command[0], err)
	}
	err = cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well; something that it left behind holds its output open
	}
	if ctx.Err() != nil && err != nil {
		err = fmt.Errorf("killed: %w", context.Cause(ctx))
	}
	if err != nil {
		return permanent("run %q: %w; it said: %q", e.command[0], err, clip(out.String(), 2000))
	}
	e.setting.Log.Debug("program ran", "command", e.command[0], "output", clip(out.String(), maxOutput))
	return nil
}

// maxVariable bounds a variable, in characters: the kernel refuses to start a program with one of 128 KiB.
const maxVariable = 16000

// environment is for scripts without a JSON reader. What is not known is empty, and so is what is not so.
func environment(n alert.Notification, m Message) []string {
	var names []string
	for _, x := range m.Members {
		names = append(names, x.Target)
	}
	vars := [][2]string{
		{"EVENT", m.Transition}, {"TARGET", m.Target}, {"STATE", m.State}, {"LAYER", m.Layer}, {"CAUSE", m.Cause}, {"CONFIDENCE", m.Confidence},
		{"INCIDENT", m.Incident}, {"MEMBERS", strings.Join(names, "\n")},
		{"DRILL", yes(n.Drill)}, {"REMINDER", yes(n.Reminder)}, {"WHOLE", yes(n.Whole)}, {"DURABILITY_DEGRADED", yes(n.Degraded)},
		{"STARTS_AFTER", m.StartsAfter}, {"STARTS_BEFORE", m.StartsBefore}, {"ENDS_AFTER", m.EndsAfter}, {"ENDS_BEFORE", m.EndsBefore},
		{"LOG_FROM", m.LogFrom}, {"LOG_TO", m.LogTo},
		{"HEADLINE", m.Headline}, {"MEANS", m.Means}, {"NEXT", m.Next}, {"ASK", m.Ask},
		{"CAPTURE_FILTER", m.CaptureFilter}, {"SERVICE_FILTER", m.ServiceFilter},
	}
	env := []string{"PATH=" + os.Getenv("PATH")}
	for _, p := range vars {
		// clip drops control characters, of which a NUL would make the start fail; nothing honest has one.
		env = append(env, "WHICHLAYER_"+p[0]+"="+clip(p[1], maxVariable))
	}
	return env
}

func yes(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// stamp is for programs; what is not known is empty.
func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// limited keeps the beginning of what is written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
