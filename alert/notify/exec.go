package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	command []string
	env     []string
	timeout time.Duration
	loc     *time.Location
	log     *slog.Logger
}

var _ alert.Notifier = (*Exec)(nil)

// NewExec prepares a notifier; it does not look for the program, which may be installed later.
func NewExec(cfg config.Exec, loc *time.Location, log *slog.Logger) (*Exec, error) {
	if len(cfg.Command) == 0 || !filepath.IsAbs(cfg.Command[0]) {
		return nil, errors.New("command must begin with an absolute path")
	}
	e := &Exec{command: cfg.Command, timeout: cfg.Timeout.Std(), loc: loc, log: log}
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
	input, err := json.Marshal(e.input(n))
	if err != nil {
		return permanent("encode the event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	var out limited
	cmd := exec.CommandContext(ctx, e.command[0], e.command[1:]...)
	cmd.Stdin = bytes.NewReader(append(input, '\n'))
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(environment(n), e.env...)
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
	e.log.Debug("program ran", "command", e.command[0], "output", clip(out.String(), maxOutput))
	return nil
}

// input is the event with what the texts of a message say.
type input struct {
	alert.Event
	Headline      string    `json:"headline"`
	Sentence      string    `json:"sentence"`
	Began         string    `json:"began"`
	Ended         string    `json:"ended,omitempty"`
	Lasted        string    `json:"lasted"`
	CaptureFilter string    `json:"capture_filter"`
	DisplayFilter string    `json:"display_filter"`
	ServiceFilter string    `json:"service_filter"`
	LogFrom       time.Time `json:"log_from"`
	LogTo         time.Time `json:"log_to"`
}

func (e *Exec) input(n alert.Notification) input {
	from, to := n.LogRange()
	return input{n.Event, n.Headline(), n.Sentence(), n.Began(e.loc), n.Ended(e.loc), n.Lasted(),
		n.CaptureFilter(), n.DisplayFilter(), n.ServiceFilter(), from, to}
}

// environment is for scripts without a JSON reader. Unknown times are empty.
func environment(n alert.Notification) []string {
	i, v := n.Event.Incident, n.Event.Verdict
	words := alert.VerdictWords(*v)
	vars := [][2]string{
		{"EVENT", string(n.Transition)}, {"TARGET", n.Event.Target}, {"STATE", string(v.State)}, {"LAYER", string(v.Layer)},
		{"CAUSE", string(v.Cause)}, {"CONFIDENCE", string(v.Confidence)}, {"INCIDENT", i.ID},
		{"STARTS_AFTER", stamp(i.StartsAfter)}, {"STARTS_BEFORE", stamp(&i.StartsBefore)},
		{"ENDS_AFTER", stamp(i.EndsAfter)}, {"ENDS_BEFORE", stamp(i.EndsBefore)},
		{"HEADLINE", n.Headline()}, {"MEANS", words.Means}, {"NEXT", words.Next}, {"CAPTURE_FILTER", n.CaptureFilter()}, {"SERVICE_FILTER", n.ServiceFilter()},
	}
	env := []string{"PATH=" + os.Getenv("PATH")}
	for _, p := range vars {
		// A NUL would make the start fail; nothing honest has one.
		env = append(env, "WHICHLAYER_"+p[0]+"="+string(bytes.ReplaceAll([]byte(p[1]), []byte{0}, nil)))
	}
	return env
}

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
