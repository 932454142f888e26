package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
)

// runFlags is the command line of run.
type runFlags struct {
	config string
	events string
	listen string
	record recordFlags
	log    logFlags
}

const runLong = `Watch every target of the configuration, on its schedule, until SIGTERM or SIGINT; tell
the receivers what broke, from when to when. A second signal ends it at once.

SIGHUP, POST /-/reload or a changed file make it read the configuration again. A bad file
is refused and the old configuration goes on; targets that did not change keep their
connections and their history. SIGHUP also opens the file of --events anew.

On the address listen: (127.0.0.1:9853) it serves
  /metrics     for Prometheus
  /-/healthy   200 while every target makes progress and every receiver took a drill in the
               last 8 days, else 503 and the reason
  /-/ready     200 once the configuration runs
  /-/reload    POST: read the configuration again
  /-/drill     POST: send a made-up incident through every receiver

Exit codes:
  0   ended by a signal, everything drained
  1   it could not start or go on, as when the address is taken
  64  the command line is wrong
  78  the configuration is wrong`

func newRunCmd() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "watch all targets and tell the receivers",
		Long:  runLong,
		Example: `  whichlayer run
  whichlayer run --config whichlayer.yaml --events - | jq 'select(.event != "result")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := f.log.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := f.checkListen(); err != nil {
				return usageError{fmt.Errorf("--listen: %w", err)}
			}
			if err := f.record.check(cmd.Flags()); err != nil {
				return err
			}
			ctx, stop := untilSignal(syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			// A reader of --events - that goes away costs the events, not the monitoring.
			pipe := make(chan os.Signal, 1)
			signal.Notify(pipe, syscall.SIGPIPE)
			defer signal.Stop(pipe)
			return runDaemon(ctx, &f, hup, cmd.OutOrStdout(), log)
		},
	}
	flags := cmd.Flags()
	addConfigFlag(flags, &f.config)
	flags.StringVar(&f.events, "events", "", "append one JSON object per round and incident step to `FILE`; - is stdout")
	flags.StringVar(&f.listen, "listen", "", "`HOST:PORT` of the endpoints, in place of listen: in the configuration; off for none")
	f.record.addFlags(flags)
	f.log.addFlags(flags)
	return cmd
}

// untilSignal is a context that ends with the first of these signals. By then their default action is back, so that a
// second one ends the process at once; signal.NotifyContext gives it back only some time after. stop ends the wait.
func untilSignal(signals ...os.Signal) (ctx context.Context, stop func()) {
	ctx, end := context.WithCancel(context.Background())
	first, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(first, signals...)
	go func() {
		defer close(done)
		select {
		case <-first:
		case <-ctx.Done():
		}
		signal.Stop(first)
		end()
	}()
	return ctx, func() {
		end()
		<-done
	}
}

// checkListen finds the mistakes that no machine would accept; whether the address is free shows when it is opened.
func (f *runFlags) checkListen() error {
	if f.listen == "" || f.listen == "off" {
		return nil
	}
	_, port, err := net.SplitHostPort(f.listen)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT, expected something like 127.0.0.1:9853, or off", f.listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q is out of range, expected 0 to 65535", port)
	}
	return nil
}
