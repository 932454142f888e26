package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// supervisor tells systemd (Type=notify) what goes on; without systemd it does nothing.
type supervisor struct {
	log *slog.Logger
	// stalled gives the reason why this process is not healthy, or nothing.
	stalled func() string
}

// tell sends states to systemd. sd_notify(3) asks programs to ignore its failure; we log it.
func (s *supervisor) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("tell systemd", "state", state, "err", err)
	}
}

// Ready says that the first configuration, or a new one, runs.
func (s *supervisor) Ready(status string) { s.tell(daemon.SdNotifyReady + "\nSTATUS=" + status) }

// Reloading must carry the clock's time, by which systemd tells a reload that it asked for from an older one.
func (s *supervisor) Reloading() {
	s.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that we end.
func (s *supervisor) Stopping() { s.tell(daemon.SdNotifyStopping + "\nSTATUS=draining") }

// Run feeds the watchdog twice in its interval, but only while rounds are finished: a process that is stuck is left
// to systemd, which starts it again.
func (s *supervisor) Run(ctx context.Context) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("systemd's watchdog: %w", err)
	}
	if interval == 0 {
		return nil
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.feed()
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *supervisor) feed() {
	if why := s.stalled(); why != "" {
		s.log.Error("the watchdog is not fed", "reason", why)
		s.tell("STATUS=" + why)
		return
	}
	s.tell(daemon.SdNotifyWatchdog)
}
