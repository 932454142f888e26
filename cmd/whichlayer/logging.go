package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// logFlags choose how the daemon logs.
type logFlags struct{ level, format string }

func (l *logFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&l.level, "log.level", "info", "least important messages that are logged: debug, info, warn or error")
	flags.StringVar(&l.format, "log.format", "text", "form of the log: text or json")
}

// logger writes to w, which is stderr: stdout belongs to --events -.
func (l *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	switch l.level {
	case "debug", "info", "warn", "error":
		if err := level.UnmarshalText([]byte(l.level)); err != nil {
			return nil, usageError{fmt.Errorf("--log.level: %w", err)}
		}
	default:
		return nil, usageError{fmt.Errorf("--log.level: %q is not debug, info, warn or error", l.level)}
	}
	options := &slog.HandlerOptions{Level: level}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usageError{fmt.Errorf("--log.format: %q is not text or json", l.format)}
}
