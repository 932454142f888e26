package config

import (
	"crypto/tls"
	"net/http"
	"slices"
	"time"
)

// defaults is every value that a file need not give, in one place.
type defaults struct {
	Config
	endpoint    Endpoint
	exec        Exec
	transitions []Transition
}

func allDefaults() defaults {
	return defaults{
		Config: Config{
			Schedule: Schedule{Spec: "@every 10s", Every: 10 * time.Second},
			Timeouts: Timeouts{
				Resolve: Duration(2 * time.Second),
				// The last router's host-unreachable comes after three ARP requests, 3.07 s.
				Connect:  Duration(4 * time.Second),
				TLS:      Duration(3 * time.Second),
				Request:  Duration(5 * time.Second),
				Response: Duration(5 * time.Second),
			},
			HeldOpen: Interval(time.Second),
			Detect: Detect{
				Confirm: Duration(20 * time.Second),
				Resolve: Duration(time.Minute),
				Reopen:  Duration(10 * time.Minute),
			},
			Listen: "127.0.0.1:9853",
		},
		endpoint:    Endpoint{MinTLS: tls.VersionTLS12, Request: Request{Method: http.MethodGet}},
		exec:        Exec{Timeout: Duration(30 * time.Second)},
		transitions: []Transition{Opened, Resolved},
	}
}

// Defaults is a configuration without targets, as it is before the file is read.
func Defaults() Config { return allDefaults().Config }

// settle fills in what was not given and brings short forms into their long one, so that nobody after Load has to
// know what a missing value means.
func (c *Config) settle() {
	def := allDefaults()
	if c.Listen == "off" {
		c.Listen = ""
	}
	for i := range c.Targets {
		t := &c.Targets[i]
		c.moveBackend(t, item("targets", i))
		c.inherit(t)
		settleEndpoint(&t.Front, def.endpoint)
		for j := range t.Backends {
			settleEndpoint(&t.Backends[j].Endpoint, def.endpoint)
		}
		nameBackends(t.Backends)
	}
	for i := range c.Receivers {
		r := &c.Receivers[i]
		if len(r.On) == 0 {
			r.On = slices.Clone(def.transitions)
		}
		if r.Exec != nil {
			fill(&r.Exec.Timeout, def.exec.Timeout)
		}
	}
}

// moveBackend brings backend into backends, and with it the paths of the texts that were written there.
func (c *Config) moveBackend(t *Target, path string) {
	if t.Backend == nil {
		return
	}
	t.Backends, t.Backend = []Backend{*t.Backend}, nil
	from, to := child(path, "backend"), item(child(path, "backends"), 0)
	moved := map[string]string{}
	for k, text := range c.written {
		if len(k) > len(from) && k[:len(from)] == from && (k[len(from)] == '.' || k[len(from)] == '[') {
			k = to + k[len(from):]
		}
		moved[k] = text
	}
	c.written = moved
}

// inherit gives a target the global values where it has none of its own.
func (c *Config) inherit(t *Target) {
	if t.Schedule.IsZero() {
		t.Schedule = c.Schedule
	}
	if t.HeldOpen == nil {
		interval := c.HeldOpen
		t.HeldOpen = &interval
	}
	fill(&t.Timeouts.Resolve, c.Timeouts.Resolve)
	fill(&t.Timeouts.Connect, c.Timeouts.Connect)
	fill(&t.Timeouts.TLS, c.Timeouts.TLS)
	fill(&t.Timeouts.Request, c.Timeouts.Request)
	fill(&t.Timeouts.Response, c.Timeouts.Response)
	fill(&t.Detect.Confirm, c.Detect.Confirm)
	fill(&t.Detect.Resolve, c.Detect.Resolve)
	fill(&t.Detect.Reopen, c.Detect.Reopen)
}

func settleEndpoint(e *Endpoint, def Endpoint) {
	if e.URL.TLS() {
		fill(&e.MinTLS, def.MinTLS)
	}
	if e.URL.HTTP() {
		fill(&e.Request.Method, def.Request.Method)
	}
}

// nameBackends gives names to those that have none.
func nameBackends(all []Backend) {
	for i := range all {
		fill(&all[i].Name, defaultName(&all[i], len(all)))
	}
}

// defaultName is backend where there is only one, else its host and port.
func defaultName(b *Backend, of int) string {
	if of == 1 {
		return "backend"
	}
	return Address{Host: b.URL.Hostname(), Port: b.URL.PortNumber()}.String()
}

func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
