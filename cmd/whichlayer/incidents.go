package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/alert/store"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

const incidentsLong = `List the incidents in the state directory, oldest first, also while the prober runs.

TIME is RFC 3339, a date, "2026-11-22 14:03" in the configured zone, or how long ago:
36h, 30d. Suspicions that came to nothing are listed with --all.

Exit codes:
  0   it worked, be it that there are none
  1   the state cannot be read, or there is no such incident
  64  the command line is wrong
  78  the configuration is wrong`

// incidentsFlags pick incidents and say how they are shown.
type incidentsFlags struct {
	config, state, colour string
	since, from, to       string
	target, layer         string
	states                []string
	limit                 int
	all, json, csv        bool
}

func newIncidentsCmd() *cobra.Command {
	var f incidentsFlags
	cmd := &cobra.Command{
		Use:   "incidents",
		Short: "list past and present incidents",
		Long:  incidentsLong,
		Example: `  whichlayer incidents --since 30d
  whichlayer incidents --target orders --layer proxy --csv > outages.csv
  whichlayer incidents show 20261122T14`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.read(cmd, func(ctx context.Context, db *store.DB, p incidentsPrinter) error {
				all, err := f.pick(ctx, db, p.zone)
				if err != nil {
					return err
				}
				return p.list(all, &f)
			})
		},
	}
	f.add(cmd.PersistentFlags(), cmd.Flags())
	cmd.AddCommand(newIncidentsShowCmd(&f), newIncidentsRecurrenceCmd(&f))
	return cmd
}

// add declares the flags: those of all three commands, and those of the list alone.
func (f *incidentsFlags) add(shared, own *pflag.FlagSet) {
	addConfigFlag(shared, &f.config)
	shared.StringVar(&f.state, "state", "", "read this state directory, without a configuration")
	shared.StringVar(&f.colour, "color", "auto", "auto, always or never")
	shared.BoolVar(&f.json, "json", false, "print JSON: one object per line, of show one alone")
	shared.StringVar(&f.since, "since", "", "only incidents that went on at or after `TIME`")
	shared.StringVar(&f.from, "from", "", "the same as --since")
	shared.StringVar(&f.to, "to", "", "only incidents that began before `TIME`")
	shared.StringVar(&f.target, "target", "", "only this target's; a pattern such as 'shop-*' names several")
	shared.StringVar(&f.layer, "layer", "", "only those of which this layer is accused")
	own.StringSliceVar(&f.states, "state-is", nil, "only those in these `STATES`: suspect, open, recovering, resolved, dismissed")
	own.BoolVar(&f.all, "all", false, "also suspicions that came to nothing")
	own.BoolVar(&f.csv, "csv", false, "print CSV (RFC 4180) with a header")
	own.IntVarP(&f.limit, "limit", "n", 0, "only the last `N`")
}

func newIncidentsShowCmd(f *incidentsFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "tell one incident: its course, the reasons, who was told",
		Long: `Tell all that is kept of one incident: what broke and how sure that is, from when to when,
why, how the verdict changed, when nobody looked, and who was told what and when. The
first characters of an ID suffice if no other begins with them.`,
		Example: "  whichlayer incidents show 20261122T140307Z-orders-3f9a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.read(cmd, func(ctx context.Context, db *store.DB, p incidentsPrinter) error {
				story, err := db.Incident(ctx, args[0])
				if err != nil {
					return err
				}
				return p.show(story, f.json)
			})
		},
	}
}

func newIncidentsRecurrenceCmd(f *incidentsFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "recurrence",
		Short: "show how often, at what hour and on what weekday outages began",
		Long: `Show for each target how often outages began, how far apart, at what hour of the day and on
what weekday, and say what is more than chance: a time of day, a weekday, a steady
distance. A regularity is said only when fewer than one in a hundred series without it
would show one as strong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.read(cmd, func(ctx context.Context, db *store.DB, p incidentsPrinter) error {
				all, err := f.pick(ctx, db, p.zone)
				if err != nil {
					return err
				}
				return p.recurrence(all, f.json)
			})
		},
	}
}

// read opens the state and hands it over with a printer.
func (f *incidentsFlags) read(cmd *cobra.Command, do func(context.Context, *store.DB, incidentsPrinter) error) (err error) {
	if f.json && f.csv {
		return usageError{errors.New("--json and --csv exclude each other")}
	}
	t, err := newTerminal(cmd.OutOrStdout(), f.colour, os.Getenv)
	if err != nil {
		return err
	}
	dir, zone, err := f.where()
	if err != nil {
		return err
	}
	db, err := store.OpenReadOnly(cmd.Context(), dir)
	if errors.Is(err, store.ErrNoState) {
		return fmt.Errorf("%w; it begins with the first 'whichlayer run' whose configuration has state: %s", err, dir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(cmd.Context(), db, incidentsPrinter{cmd.OutOrStdout(), t, zone, time.Now()})
}

// where is the state directory, and the zone in which times are shown beside UTC.
func (f *incidentsFlags) where() (dir string, zone *time.Location, err error) {
	if f.state != "" {
		return f.state, time.Local, nil
	}
	cfg, err := loadConfig(f.config)
	if err != nil {
		return "", nil, err
	}
	if cfg.State == "" {
		return "", nil, exitError{exitConfig, fmt.Errorf("whichlayer: %s names no state directory, so that incidents are not kept: "+
			"set state: /var/lib/whichlayer, or name a directory with --state", cfg.Path)}
	}
	return cfg.State, cfg.TimeZone.Std(), nil
}

// pick reads the incidents that the flags ask for.
func (f *incidentsFlags) pick(ctx context.Context, db *store.DB, zone *time.Location) ([]*alert.Incident, error) {
	filter, err := f.filter(time.Now(), zone)
	if err != nil {
		return nil, usageError{err}
	}
	return db.Incidents(ctx, filter)
}

// filter is what the flags ask for.
func (f *incidentsFlags) filter(now time.Time, zone *time.Location) (x store.Filter, err error) {
	x = store.Filter{Target: f.target, Layer: probe.Layer(f.layer), Limit: f.limit, States: storedStates[:len(storedStates)-1]}
	if f.all {
		x.States = nil
	}
	if f.layer != "" && !slices.Contains(config.Layers(), f.layer) {
		return x, fmt.Errorf("--layer: %q is not a layer, expected one of %s", f.layer, strings.Join(config.Layers(), ", "))
	}
	if len(f.states) > 0 {
		x.States = nil
	}
	for _, s := range f.states {
		if !slices.Contains(storedStates, alert.State(s)) {
			return x, fmt.Errorf("--state-is: %q is not a state, expected one of suspect, open, recovering, resolved and dismissed", s)
		}
		x.States = append(x.States, alert.State(s))
	}
	switch {
	case f.since != "" && f.from != "":
		return x, errors.New("--since and --from are the same, expected one of them")
	case f.limit < 0:
		return x, fmt.Errorf("--limit: %d is negative", f.limit)
	}
	for _, a := range []struct {
		flag, text string
		at         *time.Time
	}{{"since", f.since, &x.From}, {"from", f.from, &x.From}, {"to", f.to, &x.To}} {
		if a.text == "" {
			continue
		}
		if *a.at, err = readTime(a.text, now, zone); err != nil {
			return x, fmt.Errorf("--%s: %w", a.flag, err)
		}
	}
	if !x.From.IsZero() && !x.To.IsZero() && x.To.Before(x.From) {
		return x, fmt.Errorf("--to %s lies before --from %s", f.to, f.since+f.from)
	}
	return x, nil
}

// storedStates are those of incidents, that of suspicions that came to nothing last.
var storedStates = []alert.State{alert.Suspected, alert.Open, alert.Recovering, alert.Resolved, alert.Dismissed}

// readTime reads an instant, or how long before now one was.
func readTime(s string, now time.Time, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 100_000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time, expected something like 2026-11-22, \"2026-11-22 14:03\", 2026-11-22T14:03:07Z, 36h or 30d", s)
}
