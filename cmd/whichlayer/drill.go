package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// drillTime bounds how long a drill waits for receivers.
const drillTime = time.Minute

const drillLong = `Send a made-up incident through every receiver that takes drills, so that months of quiet
do not rot them, and say how each one did. It is marked as a drill everywhere.

The prober that runs does it, on the address listen: of the configuration, so that its
metrics and /-/healthy know of it; with --direct this process does it by itself.
The prober holds a drill by itself as drill: of the configuration says, weekly by default.

Exit codes:
  0   every receiver took it
  1   a receiver did not, or no prober answers
  64  the command line is wrong
  78  the configuration is wrong`

func newDrillCmd() *cobra.Command {
	var given string
	var direct, asJSON bool
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "send a made-up incident through every receiver",
		Long:  drillLong,
		Example: `  whichlayer drill
  whichlayer drill --direct --config whichlayer.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(given)
			if err != nil {
				return err
			}
			ask := askDrill
			if direct {
				ask = holdDrill
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), drillTime+10*time.Second)
			defer cancel()
			results, err := ask(ctx, cfg)
			if err != nil {
				return err
			}
			return printDrill(cmd.OutOrStdout(), results, asJSON)
		},
	}
	addConfigFlag(cmd.Flags(), &given)
	cmd.Flags().BoolVar(&direct, "direct", false, "send from this process, not from the prober that runs")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per receiver")
	return cmd
}

// drillTarget is the target that a made-up incident is about.
func drillTarget(cfg *config.Config) string {
	if len(cfg.Targets) > 0 {
		return cfg.Targets[0].Name
	}
	return alert.SelfTarget
}

// askDrill has the prober that runs hold a drill.
func askDrill(ctx context.Context, cfg *config.Config) ([]alert.Drill, error) {
	url, err := localURL(cfg.Listen, "/-/drill")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the prober: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no prober answers: %w; start it, or use --direct", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the prober's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the prober at %s says %s: %s", url, resp.Status, bytes.TrimSpace(body[:min(len(body), 300)]))
	}
	var results []alert.Drill
	if err := json.Unmarshal(body, &results); err != nil {
		return nil, fmt.Errorf("what answers at %s is no whichlayer of this version: %w", url, err)
	}
	return results, nil
}

// localURL is where a prober on this machine serves a path.
func localURL(listen, path string) (string, error) {
	if listen == "" {
		return "", errors.New("listen is off in the configuration, so that no prober can be asked; use --direct")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + path, nil
}

// holdDrill sends a drill from this process, with a state of its own that ends with it.
func holdDrill(ctx context.Context, cfg *config.Config) ([]alert.Drill, error) {
	log := slog.New(slog.DiscardHandler)
	db, saved, err := openState(ctx, "", cfg.Retention, log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }() // it was in memory
	dispatcher, err := alert.NewDispatcher(cfg, saved, db, notifierOf(cfg, log), log, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- dispatcher.Run(running) }()
	limited, cancel := context.WithTimeout(ctx, drillTime)
	defer cancel()
	results := dispatcher.RunDrill(limited, drillTarget(cfg), drillID)
	stop()
	return results, <-done
}

// printDrill says how each receiver did; an error if one did not do well.
func printDrill(w io.Writer, results []alert.Drill, asJSON bool) error {
	failed := 0
	enc := json.NewEncoder(w)
	for _, r := range results {
		if r.Error != "" {
			failed++
		}
		if asJSON {
			if err := enc.Encode(r); err != nil {
				return fmt.Errorf("print the results: %w", err)
			}
			continue
		}
		outcome := "took it"
		if r.Error != "" {
			outcome = "FAILED: " + r.Error
		}
		fmt.Fprintf(w, "%-20s %s\n", r.Receiver, outcome)
	}
	switch {
	case len(results) == 0:
		return errors.New("no receiver takes drills, so that nobody would be told of an outage")
	case failed > 0:
		return exitError{exitFailure, fmt.Errorf("%d of %s did not take the drill", failed, plural(len(results), "receiver"))}
	}
	return nil
}
