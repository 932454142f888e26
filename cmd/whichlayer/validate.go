package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/whichlayer/whichlayer/config"
)

const validateLong = `Read a configuration as 'whichlayer run' would, without running anything, and print every
mistake at once as file:line:column: key: what is wrong, what is expected.

Exit codes:
  0   the configuration is good; warnings may be printed
  64  the command line is wrong
  78  the configuration is wrong`

func newValidateCmd() *cobra.Command {
	var show, schema bool
	var given string
	cmd := &cobra.Command{
		Use:   "validate [FILE]",
		Short: "check a configuration file",
		Long:  validateLong,
		Example: `  whichlayer validate /etc/whichlayer/whichlayer.yaml
  whichlayer validate --print whichlayer.yaml
  whichlayer validate --schema > whichlayer.schema.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if schema {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", config.Schema())
				return err
			}
			if len(args) == 1 {
				if given != "" {
					return usageError{fmt.Errorf("give the file either as FILE or with --config")}
				}
				given = args[0]
			}
			return validate(cmd.OutOrStdout(), cmd.ErrOrStderr(), given, show)
		},
	}
	addConfigFlag(cmd.Flags(), &given)
	cmd.Flags().BoolVar(&show, "print", false, "print the effective configuration, secrets as <redacted>")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema for editors, and end")
	return cmd
}

// validate reads a file and says what it holds; warnings go to stderr, so that --print can be piped.
func validate(stdout, stderr io.Writer, given string, show bool) error {
	cfg, err := loadConfig(given)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintf(stderr, "warning: %s\n", w)
	}
	if show {
		text, err := cfg.Redacted()
		if err != nil {
			return fmt.Errorf("print the configuration: %w", err)
		}
		_, err = stdout.Write(text)
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: ok, %s, %s\n", cfg.Path, plural(len(cfg.Targets), "target"), plural(len(cfg.Receivers), "receiver"))
	return err
}
