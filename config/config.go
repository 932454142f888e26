package config

// Config is one configuration file, defaults filled in, every value checked.
type Config struct {
	// Schedule is the default of every target: cron with 5 or 6 fields, @every DURATION, CRON_TZ=ZONE before the fields;
	// default @every 10s.
	Schedule Schedule `yaml:"schedule"`
	// Timeouts are the defaults of every target's stages.
	Timeouts Timeouts `yaml:"timeouts"`
	// HeldOpen is the request interval on the long-lived connections, or off; default 1s.
	HeldOpen Interval `yaml:"heldopen"`
	// DNS says whom to ask for names.
	DNS DNS `yaml:"dns"`
	// Detect holds the defaults of every target's detection.
	Detect Detect `yaml:"detect"`
	// Listen is the address:port of /metrics, /-/healthy and /-/ready, or off; default 127.0.0.1:9853, port 0 is any free
	// one. An empty one, in Go, is off.
	Listen string `yaml:"listen"`
	// State is the directory in which incidents, messages that wait and baselines survive a restart; made if it is not
	// there; default none: they are kept in memory, and lost with the process.
	State string `yaml:"state"`
	// Retention says for how long the state is kept.
	Retention Retention `yaml:"retention"`
	// ExternalURL is where people reach this prober's pages, for links in messages; default none.
	ExternalURL *URL `yaml:"external_url"`
	// TimeZone is the IANA zone in which messages show times beside UTC; default the system's.
	TimeZone Zone `yaml:"timezone"`
	// Controls are hosts that have nothing to do with any target: when they fail too, the trouble is ours.
	Controls []Control `yaml:"controls"`
	// Targets are the services to watch.
	Targets []Target `yaml:"targets"`
	// Receivers are told of incidents.
	Receivers []Receiver `yaml:"receivers"`
	// Maintenance are times in which incidents are recorded but not told.
	Maintenance []Maintenance `yaml:"maintenance"`
	// Watchdog tells others that this prober is alive, so that its own death is noticed.
	Watchdog Watchdog `yaml:"watchdog"`
	// Drill is when a made-up incident goes through every receiver: cron with 5 or 6 fields in TimeZone, or off; default
	// Mondays at 10 o'clock when there are receivers.
	Drill OptionalSchedule `yaml:"drill"`

	// Path is the file that this was read from.
	Path string `yaml:"-" json:"-"`
	// Files are the further files that were read: secrets, CAs, client certificates.
	Files []string `yaml:"-" json:"-"`

	// seen is the digest of each file, Path included, as it was when it was read.
	seen map[string]digest
	// at is where each value that was given stands in the file, by its path.
	at map[string]place
	// written is the text of values that a variable was filled into, by path: what Redacted shows in their place.
	written map[string]string
	// warnings are those that only reading the files could tell.
	warnings []string
}

// Timeouts bound each stage of a lane, in the order of the stages. A zero field of a target takes the global value.
type Timeouts struct {
	// Resolve bounds the DNS query; default 2s.
	Resolve Duration `yaml:"resolve"`
	// Connect bounds the TCP handshake; default 4s. Under 3.2s the last router's host-unreachable comes too late.
	Connect Duration `yaml:"connect"`
	// TLS bounds the TLS handshake; default 3s.
	TLS Duration `yaml:"tls"`
	// Request bounds the time until the first byte of the answer; default 5s.
	Request Duration `yaml:"request"`
	// Response bounds the rest of the answer; default 5s.
	Response Duration `yaml:"response"`
}

// DNS says whom to ask for names.
type DNS struct {
	// Servers are asked in order, address:port; default those of the system's resolv.conf, read each time.
	Servers []Address `yaml:"servers"`
}

// Detect holds the parameters of detection; see alert.Detector.
type Detect struct {
	// Confirm is the least span of the evidence before an incident opens; default 20s.
	Confirm Duration `yaml:"confirm"`
	// Resolve is the time without a bad round after which an incident is resolved; default 60s.
	Resolve Duration `yaml:"resolve"`
	// Reopen is the time after resolution within which a relapse reopens the same incident; default 10m.
	Reopen Duration `yaml:"reopen"`
}

// Control is a host that has nothing to do with any target: when it does not answer either, the trouble is ours.
type Control struct {
	// Name of the control in messages, unique.
	Name string `yaml:"name"`
	// Address that accepts TCP connections.
	Address Address `yaml:"address"`
}
