package config

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"time"
)

// defaults is every value that a file need not give, in one place.
type defaults struct {
	Config
	endpoint    Endpoint
	exec        Exec
	webhook     Webhook
	email       Email
	watchdog    Watchdog
	transitions []Transition
	// drill is Mondays at 10 o'clock: somebody is there to see it, and has the week before him to mend what it finds.
	drill string
}

// publicURLs are where the services behind the webhook formats are reached. Who is served from Europe gives a URL.
var publicURLs = map[WebhookFormat]string{
	WebhookPagerDuty: "https://events.pagerduty.com/v2/enqueue",
	WebhookOpsgenie:  "https://api.opsgenie.com/v2/alerts",
}

// isPublic tells that a webhook's URL is known to everybody, and no secret.
func isPublic(s Secret) bool {
	return !s.IsZero() && (s.Reveal() == publicURLs[WebhookPagerDuty] || s.Reveal() == publicURLs[WebhookOpsgenie])
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
			Retention: Retention{
				Incidents: Duration(2 * 365 * 24 * time.Hour),
				History:   Duration(90 * 24 * time.Hour),
				Size:      2 << 30,
			},
		},
		endpoint:    Endpoint{MinTLS: tls.VersionTLS12, Request: Request{Method: http.MethodGet}},
		exec:        Exec{Timeout: Duration(30 * time.Second)},
		webhook:     Webhook{Format: WebhookJSON, Timeout: Duration(10 * time.Second)},
		email:       Email{TLS: MailStartTLS},
		watchdog:    Watchdog{Interval: Duration(time.Minute)},
		transitions: []Transition{Opened, Resolved},
		drill:       "0 10 * * 1",
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
		c.Receivers[i].settle(def)
	}
	if !c.Watchdog.URL.IsZero() {
		fill(&c.Watchdog.Interval, def.watchdog.Interval)
	}
	c.settleSchedules(def.drill)
}

func (r *Receiver) settle(def defaults) {
	if len(r.On) == 0 {
		r.On = slices.Clone(def.transitions)
		if r.Edits() {
			r.On = slices.Insert(r.On, 1, Updated)
		}
	}
	if r.Exec != nil {
		fill(&r.Exec.Timeout, def.exec.Timeout)
	}
	if w := r.Webhook; w != nil {
		fill(&w.Format, def.webhook.Format)
		fill(&w.Timeout, def.webhook.Timeout)
		if w.URL.IsZero() {
			w.URL = NewSecret(publicURLs[w.Format])
		}
	}
	if r.Email != nil {
		fill(&r.Email.TLS, def.email.TLS)
	}
	groups, drills := r.Groups(), r.Drills()
	r.Group, r.Drill = &groups, &drills
}

// settleSchedules gives the drill its default, and what is meant for people their own clock.
func (c *Config) settleSchedules(drill string) {
	if _, given := c.at["drill"]; !given && len(c.Receivers) > 0 {
		if err := c.Drill.UnmarshalText([]byte(drill)); err != nil {
			panic("config: the default of drill: " + err.Error())
		}
	}
	c.Drill.in(c.TimeZone.Std())
	for i := range c.Maintenance {
		c.Maintenance[i].Schedule.in(c.TimeZone.Std())
	}
}

// moveBackend brings backend into backends, and with it the paths of the texts that were written there.
func (c *Config) moveBackend(t *Target, path string) {
	if t.Backend == nil {
		return
	}
	t.Backends, t.Backend = []Backend{*t.Backend}, nil
	from, to := child(path, "backend"), item(child(path, "backends"), 0)
	for k, text := range c.written {
		if rest, below := strings.CutPrefix(k, from); below && rest != "" && (rest[0] == '.' || rest[0] == '[') {
			delete(c.written, k)
			c.written[to+rest] = text
		}
	}
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
