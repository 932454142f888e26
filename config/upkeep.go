package config

// Retention bounds what is kept in the state directory. What lies around an incident lives as long as the incident.
type Retention struct {
	// Incidents are kept for this long; default 17520h, two years; at least 1h.
	Incidents Duration `yaml:"incidents"`
	// History of all rounds, in short, is kept for this long; default 2160h, 90 days; at least 1h.
	History Duration `yaml:"history"`
	// Size bounds the database in bytes; the oldest goes first; default 2GiB, at least 64MiB.
	Size Size `yaml:"size"`
}

// Maintenance is a time that comes again in which incidents are recorded but not told. What still lasts at its end is told
// then.
type Maintenance struct {
	// Name in messages and logs, unique.
	Name string `yaml:"name"`
	// Schedule is when it begins: cron with 5 or 6 fields, in the configuration's timezone or with CRON_TZ=ZONE before them.
	Schedule Schedule `yaml:"schedule"`
	// Duration is how long it lasts, at most 168h.
	Duration Duration `yaml:"duration"`
	// Targets it is for, by name or pattern; empty is all.
	Targets []string `yaml:"targets"`
}

// Watchdog is an outbound sign of life: what stops is what others see.
type Watchdog struct {
	// URL is asked with GET each Interval, as healthchecks.io and the like want it; as ${VARIABLE} or, when it holds no
	// secret, as it is.
	URL Secret `yaml:"url" config:"clear"`
	// URLFile holds the URL.
	URLFile string `yaml:"url_file"`
	// Interval between two signs; default 1m, at least 10s.
	Interval Duration `yaml:"interval"`
	// Alertmanager makes every receiver of that kind hold an alert that always fires, WhichlayerWatchdog.
	Alertmanager bool `yaml:"alertmanager"`
}

// Any tells that a watchdog is configured.
func (w *Watchdog) Any() bool { return !w.URL.IsZero() || w.URLFile != "" || w.Alertmanager }
