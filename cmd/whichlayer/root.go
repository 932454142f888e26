package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit codes. Those of check are Nagios' (https://nagios-plugins.org/doc/guidelines.html), the others sysexits(3).
const (
	exitOK       = 0
	exitDegraded = 1
	exitDown     = 2
	exitUnknown  = 3
	exitFailure  = 1  // of all commands but check: it did not work
	exitUsage    = 64 // EX_USAGE
	exitData     = 65 // EX_DATAERR
	exitConfig   = 78 // EX_CONFIG
)

const exitHelp = `Exit codes:
  0   it worked (check: every target is up)
  1   it failed (check: a target is degraded)
  2   check: a target is down
  3   check: unknown, or the prober's own fault
  64  the command line is wrong
  65  replay: a recording cannot be read
  78  the configuration is wrong`

// usageError is a command line that cannot be obeyed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitError ends the program with a code; nil inside means that everything was said already.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// execute runs one command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	root, started := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	if err != nil && !*started {
		err = usageError{err} // cobra's own checks of flags and arguments come before any command
	}
	return report(stderr, cmd, err)
}

// newRoot builds the command tree; started becomes true once a command line was understood.
func newRoot() (root *cobra.Command, started *bool) {
	started = new(bool)
	root = &cobra.Command{
		Use:   "whichlayer",
		Short: "says which layer broke when a service behind a TLS proxy stops answering",
		Long: `whichlayer looks at a service from several sides at once: as its users do, at each
proxy and balancer on the way, and at the backend directly. When it stops answering,
whichlayer says which layer broke, from when to when, and how it knows.

` + exitHelp,
		Example: `  whichlayer check --front https://orders.example.com/healthz --backend http://10.0.2.21:8080/healthz
  whichlayer validate whichlayer.yaml
  whichlayer run --config whichlayer.yaml`,
		Args:             cobra.NoArgs,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { *started = true },
		RunE:             func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(commands()...)
	return root, started
}

// report tells a person what went wrong, in lower case and with a way on, and returns the exit code.
func report(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "whichlayer: %v\nsee '%s --help'\n", err, cmd.CommandPath())
		return exitUsage
	}
	var exit exitError
	if !errors.As(err, &exit) {
		fmt.Fprintf(stderr, "whichlayer: %v\n", err)
		return exitFailure
	}
	if exit.err != nil && exit.code == exitConfig {
		fmt.Fprintln(stderr, exit.err) // each line begins with file:line:col, for editors
	} else if exit.err != nil {
		fmt.Fprintf(stderr, "whichlayer: %v\n", exit.err)
	}
	return exit.code
}
