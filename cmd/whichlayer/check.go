package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// checksAtOnce bounds the targets that one check looks at in the same moment.
const checksAtOnce = 32

// checkFlags is the command line of check.
type checkFlags struct {
	config  string
	adhoc   adhoc
	json    bool
	quiet   bool
	verbose bool
	color   string
	record  string
}

const checkLong = `Look once at every target of the configuration, or at those that are named, or at one
service given by --front and the other flags, and say which layer broke.

The first line of each target is the verdict. Below it stands a row per lane: the front
as users reach it, each hop and each backend addressed directly, and the witnesses
beside them, with their stages on one common time axis.

Exit codes:
  0   every target is up
  1   a target is degraded: users are served, but not as they should be
  2   a target is down
  3   unknown: the prober could not look, or the trouble is its own
  64  the command line is wrong
  78  the configuration is wrong
With several targets the worst decides: down, degraded, unknown, up.`

func newCheckCmd() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [TARGET...]",
		Short: "look once, and say which layer broke",
		Long:  checkLong,
		Example: `  whichlayer check
  whichlayer check orders --json
  whichlayer check --front https://orders.example.com/healthz --proxy 10.0.1.11:443 \
      --backend http://10.0.2.21:8080/healthz --control 10.0.1.11:22`,
		RunE: func(cmd *cobra.Command, args []string) error { return runCheck(cmd, &f, args) },
	}
	flags := cmd.Flags()
	addConfigFlag(flags, &f.config)
	f.adhoc.addFlags(flags)
	flags.BoolVar(&f.json, "json", false, "print one JSON object per target and line")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print only the verdict of each target")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print every address, certificate and kernel counter")
	flags.StringVar(&f.record, "record", "", "append the rounds as they were seen to `FILE`, or to a file each in a directory")
	flags.StringVar(&f.color, "color", "auto", "colours: auto, always or never")
	return cmd
}

// runCheck is the command: what to look at, look, tell, exit.
func runCheck(cmd *cobra.Command, f *checkFlags, names []string) error {
	t, err := newTerminal(cmd.OutOrStdout(), f.color, os.Getenv)
	if err != nil {
		return err
	}
	if f.json && f.quiet || f.json && f.verbose || f.quiet && f.verbose {
		return usageError{errors.New("give only one of --json, --quiet and --verbose")}
	}
	cfg, err := f.load(names)
	if err != nil {
		return err
	}
	keep, err := openCheckRecording(f.record)
	if err != nil {
		return exitError{exitUnknown, err}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	all, err := check(ctx, cfg, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return exitError{exitUnknown, err}
	}
	if err := f.tell(cmd.OutOrStdout(), t, all); err != nil {
		return exitError{exitUnknown, fmt.Errorf("write the answer: %w", err)}
	}
	if err := keep(all); err != nil {
		return exitError{exitUnknown, err}
	}
	if code := worst(all); code != exitOK {
		return exitError{code: code}
	}
	return nil
}

// load gives the targets to look at, from the flags or from the file.
func (f *checkFlags) load(names []string) (*config.Config, error) {
	if f.adhoc.given() {
		if f.config != "" || len(names) > 0 {
			return nil, usageError{fmt.Errorf("--front and the flags that go with it describe one service: give neither --config nor TARGET beside them")}
		}
		return f.adhoc.config()
	}
	cfg, err := loadConfig(f.config)
	if err != nil || len(names) == 0 {
		return cfg, err
	}
	chosen := *cfg
	chosen.Targets = nil
	for _, name := range names {
		i := slices.IndexFunc(cfg.Targets, func(t config.Target) bool { return t.Name == name })
		if i < 0 {
			return nil, usageError{fmt.Errorf("no target %q in %s, which has %s", name, cfg.Path, targetNames(cfg))}
		}
		chosen.Targets = append(chosen.Targets, cfg.Targets[i])
	}
	return &chosen, nil
}

// targetNames lists the first names of a configuration.
func targetNames(cfg *config.Config) string {
	var names []string
	for i := range cfg.Targets {
		if i == 10 {
			names = append(names, fmt.Sprintf("and %d more", len(cfg.Targets)-i))
			break
		}
		names = append(names, cfg.Targets[i].Name)
	}
	return strings.Join(names, ", ")
}

// check looks once at every target and concludes. The prober's own health is watched meanwhile.
func check(ctx context.Context, cfg *config.Config, log *slog.Logger) ([]checked, error) {
	health := probe.NewHealth()
	watch, stop := context.WithCancel(ctx)
	var watching errgroup.Group
	watching.Go(func() error { return health.Run(watch) })
	env := newEnv(cfg, health, log)
	all := make([]checked, len(cfg.Targets))
	var rounds errgroup.Group
	rounds.SetLimit(checksAtOnce)
	for i := range cfg.Targets {
		rounds.Go(func() error {
			target, err := probe.NewTarget(cfg.Targets[i], env)
			if err != nil {
				return err
			}
			all[i].result = target.Round(ctx, time.Now(), probe.ByCheck)
			all[i].verdict = probe.Attribute(&all[i].result, nil)
			return nil
		})
	}
	err := rounds.Wait()
	stop()
	if e := watching.Wait(); err == nil {
		err = e
	}
	return all, err
}

// tell prints the answers in the order of the configuration.
func (f *checkFlags) tell(out io.Writer, t terminal, all []checked) error {
	d := normal
	if f.quiet {
		d = quiet
	} else if f.verbose {
		d = verbose
	}
	for i := range all {
		var err error
		if f.json {
			err = writeJSON(out, &all[i])
		} else {
			if i > 0 && d > quiet {
				fmt.Fprintln(out)
			}
			err = writeChecked(out, t, &all[i], d)
		}
		if err != nil {
			return err
		}
	}
	if len(all) > 1 && d > quiet && !f.json {
		_, err := fmt.Fprintf(out, "\n%s\n", tally(all))
		return err
	}
	return nil
}

// tally counts the targets by state, the worst first.
func tally(all []checked) string {
	count := map[probe.State]int{}
	for i := range all {
		count[all[i].verdict.State]++
	}
	var parts []string
	for _, s := range []probe.State{probe.Down, probe.Degraded, probe.Unknown, probe.Up} {
		if count[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	return plural(len(all), "target") + ": " + strings.Join(parts, ", ")
}

// writeJSON writes the object of the event stream without the parts that belong to one.
func writeJSON(out io.Writer, c *checked) error {
	event := alert.NewResult(&c.result, c.verdict)
	event.Event = ""
	return json.NewEncoder(out).Encode(event)
}

// worst is the exit code of several targets.
func worst(all []checked) int {
	rank := map[probe.State]int{probe.Up: 0, probe.Unknown: 1, probe.Degraded: 2, probe.Down: 3}
	codes := []int{exitOK, exitUnknown, exitDegraded, exitDown}
	highest := 0
	for i := range all {
		n, known := rank[all[i].verdict.State]
		if !known {
			n = rank[probe.Unknown]
		}
		highest = max(highest, n)
	}
	return codes[highest]
}
