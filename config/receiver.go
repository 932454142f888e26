package config

// Receiver is a configured destination of incident messages. Exactly one kind is set.
type Receiver struct {
	// Name of the receiver in logs and metrics, unique.
	Name string `yaml:"name"`
	// Slack sends to a channel.
	Slack *Slack `yaml:"slack"`
	// Exec runs a program.
	Exec *Exec `yaml:"exec"`
	// On lists the transitions that are told; default opened and resolved.
	On []Transition `yaml:"on"`
	// Targets limits the receiver to these targets; empty is all.
	Targets []string `yaml:"targets"`
}

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

// Exec is a program that gets each message as JSON on stdin. No shell is involved.
type Exec struct {
	// Command is an absolute path and its fixed arguments.
	Command []string `yaml:"command"`
	// Timeout after which its process group is killed; default 30s.
	Timeout Duration `yaml:"timeout"`
	// Env are further variables; of the prober's own environment only PATH is passed on.
	Env map[string]string `yaml:"env"`
}
