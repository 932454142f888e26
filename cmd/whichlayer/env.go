package main

import (
	"log/slog"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// newEnv is what the targets of one configuration share.
func newEnv(cfg *config.Config, health *probe.Health, log *slog.Logger) *probe.Env {
	env := &probe.Env{DNS: cfg.DNS, Health: health, Version: thisBuild().Version, Log: log}
	env.Vantage = probe.NewVantage(cfg.Controls, env)
	return env
}
