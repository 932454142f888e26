// Command whichlayer says which layer broke when a service behind a TLS proxy stops answering, from when to when,
// and how it knows.
//
// One file holds one subcommand; this one is their table. daemon.go wires the parts of `whichlayer run`.
package main

import (
	"os"

	"github.com/spf13/cobra"
)

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// commands is the table of subcommands, in the order in which a newcomer meets them.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newDemoCmd(),
		newCheckCmd(),
		newExplainCmd(),
		newRunCmd(),
		newReplayCmd(),
		newIncidentsCmd(),
		newDrillCmd(),
		newValidateCmd(),
		newVersionCmd(),
	}
}
