package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// demoFlags is the command line of demo.
type demoFlags struct {
	fast  bool
	plain bool
	color string
}

const demoLong = `Bring up a TLS proxy and its backend on loopback, break them one after the other, and
show live what each lane sees, what whichlayer concludes and when it would alert. It
ends by itself after about a minute with a table of what was true and what was said.

Nothing needs root, a network or a configuration. The engine is the one that 'run' has;
only its patience is shorter, since nobody wants to watch for the usual 20 seconds of
evidence. The exit code is 1 if anything that was said was wrong.`

func newDemoCmd() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "watch a proxy and a backend break, and whichlayer find out",
		Long:  demoLong,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.fast, "fast", false, "as short as it can be")
	flags.BoolVar(&f.plain, "plain", false, "one line per round, even on a terminal")
	flags.StringVar(&f.color, "color", "auto", "colours: auto, always or never")
	return cmd
}

func runDemo(cmd *cobra.Command, f *demoFlags) error {
	out := cmd.OutOrStdout()
	t, err := newTerminal(out, f.color, os.Getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	script := demoScript()
	if f.fast {
		script = script.fast()
	}
	s := newStory(script, time.Now())
	if err := playDemo(ctx, script, s, newDemoScreen(out, t, f.plain)); err != nil {
		return err
	}
	fmt.Fprint(out, s.summary(t))
	if ctx.Err() != nil {
		return errors.New("the demo was interrupted")
	}
	if n := s.wrong(); n > 0 {
		return fmt.Errorf("%s said by the demo did not hold", plural(n, "thing"))
	}
	return nil
}

// demoScreen shows the story so far.
type demoScreen interface {
	// Draw is called some times a second, and once more at the end.
	Draw(s *story, now time.Time) error
	Close() error
}

// newDemoScreen is a board that is redrawn in place on a terminal, else lines.
func newDemoScreen(out io.Writer, t terminal, plain bool) demoScreen {
	if f, ok := out.(*os.File); ok && !plain && isTerminal(f) {
		return &board{terminal: t, file: f}
	}
	return &ticker{terminal: t, out: out}
}

// playDemo is the wiring:
//
//	script -> lab            ticks \
//	           ^                    > loop -> Attribute -> Tracker -> story -> screen
//	           | lanes        wakes /
//	         Target -----------'
func playDemo(ctx context.Context, script script, s *story, screen demoScreen) (err error) {
	// The chain outlives an interruption by a moment, so that nothing fails because of it.
	chain, err := lab.Start(context.WithoutCancel(ctx), lab.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chain.Close(), screen.Close()) }()
	cfg, err := chain.Config("@every 1s")
	if err != nil {
		return fmt.Errorf("the lab's configuration: %w", err)
	}
	health := probe.NewHealth()
	target, err := probe.NewTarget(script.tune(cfg.Targets[0]), &probe.Env{
		DNS: cfg.DNS, Health: health, Version: thisBuild().Version, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	j := &demoJudge{tracker: alert.NewTracker(target.Config().Name, target.Config().Detect, alert.NewID("demo", rand.Reader)), story: s}
	ctx, end := context.WithCancel(ctx)
	defer end()
	l := newLoop(target, func(r *probe.Result) time.Duration { return j.judge(ctx, r) }, func() {})
	var g errgroup.Group
	g.Go(func() error { return health.Run(ctx) })
	g.Go(func() error { return target.Run(ctx) })
	g.Go(func() error { l.run(ctx, ctx); return nil })
	g.Go(func() error { every(ctx, script.round, l.Fire); return nil })
	g.Go(func() error { return drawDemo(ctx, s, screen) })
	err = script.play(ctx, chain, s)
	end()
	return errors.Join(err, g.Wait())
}

// every calls f at once and then every d until ctx ends.
func every(ctx context.Context, d time.Duration, f func(time.Time)) {
	t := time.NewTicker(d)
	defer t.Stop()
	f(time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			f(now)
		}
	}
}

// drawDemo redraws until ctx ends; a screen that is gone ends only the drawing.
func drawDemo(ctx context.Context, s *story, screen demoScreen) error {
	var failed error
	every(ctx, 100*time.Millisecond, func(now time.Time) {
		if failed == nil {
			failed = screen.Draw(s, now)
		}
	})
	if failed == nil {
		failed = screen.Draw(s, time.Now())
	}
	return failed
}

// demoJudge is what run's judge does, told to the story in place of receivers.
type demoJudge struct {
	tracker *alert.Tracker
	story   *story
}

func (j *demoJudge) judge(ctx context.Context, r *probe.Result) time.Duration {
	if ctx.Err() != nil {
		return 0 // a round that the end cut short shows nothing
	}
	v := probe.Attribute(r, j.tracker.History())
	step := j.tracker.Observe(r, v)
	j.story.observe(r, v, step.Events, time.Now())
	return 0 // rounds come often enough
}

// tune gives a target the patience of this script.
func (s script) tune(t config.Target) config.Target {
	t.Timeouts.TLS, t.Timeouts.Request, t.Timeouts.Response = s.timeout, s.timeout, s.timeout
	t.Detect = s.detect
	return t
}
