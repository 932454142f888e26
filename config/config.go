package config

// Config is one configuration file, defaults filled in, every value checked.
type Config struct {
	// Schedule is the default of every target.
	Schedule Schedule `yaml:"schedule" doc:"when targets are probed: cron with 5 or 6 fields, @every DURATION, CRON_TZ=ZONE before either"`
	// Timeouts are the defaults of every target.
	Timeouts Timeouts `yaml:"timeouts"`
	// HeldOpen is the request interval on the long-lived connections; 0 is off.
	HeldOpen Interval `yaml:"heldopen" doc:"request interval on the long-lived connections, or off"`
	DNS      DNS      `yaml:"dns"`
	Detect   Detect   `yaml:"detect"`
	// Listen is the address of the HTTP endpoints (/metrics, /-/healthy, /-/ready); empty is off.
	Listen string `yaml:"listen" doc:"address of /metrics, /-/healthy and /-/ready; off to serve nothing"`
	// TimeZone is the zone in which messages show times beside UTC; nil is the system's.
	TimeZone Zone `yaml:"timezone" doc:"IANA zone in which messages show times beside UTC"`
	// Controls are vantage controls: when they fail too, the trouble is ours.
	Controls  []Control  `yaml:"controls"`
	Targets   []Target   `yaml:"targets"`
	Receivers []Receiver `yaml:"receivers"`

	// Path is the file that this was read from.
	Path string `yaml:"-"`
}

// Timeouts bound each stage of a lane, in the order of the stages. A zero field of a target takes the global value.
type Timeouts struct {
	Resolve  Duration `yaml:"resolve"`
	Connect  Duration `yaml:"connect"`
	TLS      Duration `yaml:"tls"`
	Request  Duration `yaml:"request"`
	Response Duration `yaml:"response"`
}

// DNS says whom to ask for names.
type DNS struct {
	// Servers are asked in order; empty means the servers of the system's resolv.conf, read each time.
	Servers []Address `yaml:"servers" doc:"name servers as address:port; default: the system's resolv.conf, read each time"`
}

// Detect holds the parameters of detection; see alert.Detector.
type Detect struct {
	// Confirm is the least span of the evidence before an incident opens.
	Confirm Duration `yaml:"confirm" doc:"least span of the evidence before an incident opens"`
	// Resolve is the time without a bad round after which an incident is resolved.
	Resolve Duration `yaml:"resolve" doc:"time without a bad round after which an incident is resolved"`
	// Reopen is the time after resolution within which a relapse reopens the same incident.
	Reopen Duration `yaml:"reopen" doc:"time after resolution within which a relapse reopens the same incident"`
}

// Control is a host that has nothing to do with any target: when it does not answer either, the trouble is ours.
type Control struct {
	Name    string  `yaml:"name"`
	Address Address `yaml:"address"`
}
