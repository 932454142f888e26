package config

import "crypto/x509"

// Receiver is a configured destination of incident messages, and which of them it gets. Exactly one kind is set.
type Receiver struct {
	// Name of the receiver in logs and metrics, unique.
	Name string `yaml:"name"`
	// Slack sends to a channel.
	Slack *Slack `yaml:"slack"`
	// Alertmanager posts alerts to each instance of a cluster.
	Alertmanager *Alertmanager `yaml:"alertmanager"`
	// Webhook posts JSON to a URL.
	Webhook *Webhook `yaml:"webhook"`
	// Email sends mail over SMTP.
	Email *Email `yaml:"email"`
	// Exec runs a program.
	Exec *Exec `yaml:"exec"`
	// On lists the transitions that are told; default opened and resolved, and updated where a message or an alert that
	// stands can be changed (slack with a token, alertmanager, pagerduty, opsgenie).
	On []Transition `yaml:"on"`
	// Targets limits the receiver to targets by name or by a pattern such as shop-*; empty is all.
	Targets []string `yaml:"targets"`
	// Layers limits the receiver to incidents that one of these layers is suspected of; empty is all.
	Layers []Layer `yaml:"layers"`
	// Group tells targets that fail for the same reason in one message; default true for people (slack, email, and the
	// webhook formats pagerduty and opsgenie), false for programs.
	Group *bool `yaml:"group"`
	// Repeat is after what time an incident that is still open is told again, at least 1m; default never.
	Repeat Duration `yaml:"repeat"`
	// Drill tells drills to this receiver too; default true.
	Drill *bool `yaml:"drill"`
	// Title replaces the first line of a message (alertmanager: the annotation summary): a Go text/template; see
	// notify.Message for what it can name. Programs (exec, the webhook format json) get data, and have none.
	Title Template `yaml:"title"`
	// Text replaces the message's own words below the title (alertmanager: the annotation description).
	Text Template `yaml:"text"`

	// digest tells one content of the files that it names from another.
	digest string
}

// ForPeople tells that messages end before people, who want few, and not in a program, which wants all.
func (r *Receiver) ForPeople() bool {
	return r.Slack != nil || r.Email != nil || r.Webhook != nil && (r.Webhook.Format == WebhookPagerDuty || r.Webhook.Format == WebhookOpsgenie)
}

// Edits tells that what was told can be changed in place.
func (r *Receiver) Edits() bool {
	if r.Slack != nil {
		return r.Slack.WebhookURL.IsZero() && r.Slack.WebhookURLFile == ""
	}
	return r.Alertmanager != nil || r.Webhook != nil && (r.Webhook.Format == WebhookPagerDuty || r.Webhook.Format == WebhookOpsgenie)
}

// Groups tells that targets that fail together are told in one message.
func (r *Receiver) Groups() bool {
	if r.Group != nil {
		return *r.Group
	}
	return r.ForPeople()
}

// Drills tells that drills go to this receiver.
func (r *Receiver) Drills() bool { return r.Drill == nil || *r.Drill }

// Transition is an incident's step that receivers can ask for.
type Transition string

// Transitions of an incident.
const (
	Suspect   Transition = "suspect"
	Opened    Transition = "opened"
	Updated   Transition = "updated"
	Resolved  Transition = "resolved"
	Dismissed Transition = "dismissed"
)

// Slack is a channel, reached by a bot token or by an incoming webhook.
type Slack struct {
	// Channel is needed with a token: "#ops" or an ID.
	Channel string `yaml:"channel"`
	// Token of the bot as ${VARIABLE}.
	Token Secret `yaml:"token"`
	// TokenFile holds the token.
	TokenFile string `yaml:"token_file"`
	// WebhookURL is an incoming webhook as ${VARIABLE}, in place of channel and token.
	WebhookURL Secret `yaml:"webhook_url"`
	// WebhookURLFile holds the webhook's URL.
	WebhookURLFile string `yaml:"webhook_url_file"`
	// APIURL replaces https://slack.com/api/.
	APIURL *URL `yaml:"api_url"`
}

// Alertmanager is a cluster of Prometheus Alertmanagers (API v2). Every instance is told, every minute.
type Alertmanager struct {
	// URLs of all instances, as http://10.0.0.5:9093, with a path prefix if there is one.
	URLs []URL `yaml:"urls"`
	// Labels are added to each alert, beside alertname, target and incident; severity is always none in drills.
	Labels map[string]string `yaml:"labels"`
	// BasicAuth sends a user name and a password.
	BasicAuth *BasicAuth `yaml:"basic_auth"`
	// BearerToken as ${VARIABLE}.
	BearerToken Secret `yaml:"bearer_token"`
	// BearerTokenFile holds the bearer token.
	BearerTokenFile string `yaml:"bearer_token_file"`
	// CAFile holds the trusted roots as PEM; default the system's.
	CAFile string `yaml:"ca_file"`
	// Roots are the certificates of CAFile; nil is the system's.
	Roots *x509.CertPool `yaml:"-" json:"-"`
}

// Webhook is a URL that takes JSON by POST.
type Webhook struct {
	// URL as ${VARIABLE} or, when it holds no secret, as it is; default for pagerduty and opsgenie their public one.
	URL Secret `yaml:"url" config:"clear"`
	// URLFile holds the URL.
	URLFile string `yaml:"url_file"`
	// Format of the body: json (the event stream's, signed as Standard Webhooks say), pagerduty (Events API v2) or opsgenie
	// (Alert API v2); default json.
	Format WebhookFormat `yaml:"format"`
	// Secret signs the messages of the format json (HMAC-SHA256, standardwebhooks.com): base64, with or without whsec_.
	Secret Secret `yaml:"secret"`
	// SecretFile holds the secret.
	SecretFile string `yaml:"secret_file"`
	// Key is PagerDuty's routing key or Opsgenie's API key.
	Key Secret `yaml:"key"`
	// KeyFile holds the key.
	KeyFile string `yaml:"key_file"`
	// Headers are added to the request.
	Headers map[string]string `yaml:"headers"`
	// Body replaces the JSON of the format json: a Go text/template that makes JSON; see notify.Message.
	Body Template `yaml:"body"`
	// Timeout of one request; default 10s.
	Timeout Duration `yaml:"timeout"`
	// CAFile holds the trusted roots as PEM; default the system's.
	CAFile string `yaml:"ca_file"`
	// Roots are the certificates of CAFile; nil is the system's.
	Roots *x509.CertPool `yaml:"-" json:"-"`
}

// WebhookFormat is what a webhook's body looks like.
type WebhookFormat string

// Formats of a webhook's body.
const (
	WebhookJSON      WebhookFormat = "json"
	WebhookPagerDuty WebhookFormat = "pagerduty"
	WebhookOpsgenie  WebhookFormat = "opsgenie"
)

// Email is a mail server and the people behind it.
type Email struct {
	// Server is the mail server's submission port.
	Server Address `yaml:"server"`
	// TLS is starttls, tls (from the first byte) or none; default starttls.
	TLS MailTLS `yaml:"tls"`
	// From is the sender's address (RFC 5322), a name before it if wanted.
	From string `yaml:"from"`
	// To are the recipients' addresses.
	To []string `yaml:"to"`
	// Username for authentication; none without it. It is not sent in clear text but to this machine itself.
	Username string `yaml:"username"`
	// Password as ${VARIABLE}.
	Password Secret `yaml:"password"`
	// PasswordFile holds the password.
	PasswordFile string `yaml:"password_file"`
	// CAFile holds the trusted roots as PEM; default the system's.
	CAFile string `yaml:"ca_file"`
	// Roots are the certificates of CAFile; nil is the system's.
	Roots *x509.CertPool `yaml:"-" json:"-"`
}

// MailTLS says how the connection to a mail server is protected.
type MailTLS string

// Ways to protect mail.
const (
	MailStartTLS MailTLS = "starttls" // RFC 3207
	MailTLSFirst MailTLS = "tls"      // RFC 8314
	MailNoTLS    MailTLS = "none"
)

// Exec is a program that gets each message as JSON on stdin. No shell is involved.
type Exec struct {
	// Command is an absolute path and its fixed arguments.
	Command []string `yaml:"command"`
	// Timeout after which its process group is killed; default 30s.
	Timeout Duration `yaml:"timeout"`
	// Env are further variables; of the prober's own environment only PATH is passed on.
	Env map[string]string `yaml:"env"`
}
