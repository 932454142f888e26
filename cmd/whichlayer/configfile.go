package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/whichlayer/whichlayer/alert/notify"
	"github.com/whichlayer/whichlayer/config"
)

// configPaths are tried in this order when --config is not given.
var configPaths = []string{"whichlayer.yaml", "/etc/whichlayer/whichlayer.yaml"}

// addConfigFlag declares --config.
func addConfigFlag(flags *pflag.FlagSet, path *string) {
	flags.StringVarP(path, "config", "c", "", "configuration file (default "+strings.Join(configPaths, ", then ")+")")
}

// findConfig returns the given path, else the first of the usual ones that exists.
func findConfig(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	for _, p := range configPaths {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", exitError{exitConfig, fmt.Errorf("whichlayer: %w", err)}
		}
	}
	return "", exitError{exitConfig, fmt.Errorf("whichlayer: no configuration: neither %s exists; "+
		"name a file with --config, or look at one service with 'whichlayer check --front URL'", strings.Join(configPaths, " nor "))}
}

// loadConfig finds, reads and checks the configuration; its errors end the program with exitConfig.
func loadConfig(given string) (*config.Config, error) {
	path, err := findConfig(given)
	if err != nil {
		return nil, err
	}
	cfg, err := readConfig(path)
	if err != nil {
		return nil, exitError{exitConfig, err}
	}
	return cfg, nil
}

// readConfig reads and checks a configuration, its templates too: what they can name, only the notifiers know. The error
// is of type config.Errors.
func readConfig(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	var mistakes config.Errors
	for i, r := range cfg.Receivers {
		for _, m := range notify.CheckTemplates(r, fmt.Sprintf("receivers[%d]", i)) {
			mistakes = append(mistakes, cfg.Mistake(m.Key, "%s", m.Msg))
		}
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return cfg, nil
}
