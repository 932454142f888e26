package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

const (
	slackTimeout = 15 * time.Second
	// slackPause is waited after "too many requests" without a Retry-After.
	slackPause = 30 * time.Second
	// maxThreads bounds the incidents whose message is remembered.
	maxThreads = 1000
)

// Slack posts to a channel.
//
// With a bot token there is one message per incident: it is edited in place, and each change is a reply in its thread,
// since an edit notifies nobody. With an incoming webhook, which can do neither, every transition is a message.
type Slack struct {
	loc     *time.Location
	client  *http.Client
	api     *slack.Client // nil with a webhook
	channel string
	webhook string

	mu      sync.Mutex
	threads map[string]thread // by incident
	order   []string          // their IDs, oldest first
}

// thread is where an incident's message stands.
type thread struct {
	channel, ts string
	// told is the last transition that was replied, so that a repeated notification says nothing twice.
	told string
}

var _ alert.Notifier = (*Slack)(nil)

// NewSlack prepares a notifier; it sends nothing.
func NewSlack(cfg config.Slack, loc *time.Location) (*Slack, error) {
	s := &Slack{loc: loc, client: &http.Client{Timeout: slackTimeout}, channel: cfg.Channel, threads: map[string]thread{}}
	if w := cfg.WebhookURL.Reveal(); w != "" {
		u, err := url.Parse(strings.TrimSpace(w))
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, errors.New("webhook_url is not a URL") // and is secret
		}
		s.webhook = u.String()
		return s, nil
	}
	if cfg.Token.IsZero() || cfg.Channel == "" {
		return nil, errors.New("slack needs a channel and a token, or a webhook_url")
	}
	options := []slack.Option{slack.OptionHTTPClient(s.client)}
	if cfg.APIURL != nil {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(cfg.APIURL.String(), "/")+"/"))
	}
	s.api = slack.New(strings.TrimSpace(cfg.Token.Reveal()), options...)
	return s, nil
}

// Notify implements alert.Notifier.
func (s *Slack) Notify(ctx context.Context, n alert.Notification) error {
	if s.api == nil {
		return slackError("post to the webhook", slack.PostWebhookCustomHTTPContext(ctx, s.webhook, s.client, &slack.WebhookMessage{
			Text: summary(n), Attachments: []slack.Attachment{attachment(n, s.loc)}}))
	}
	id := n.Event.Incident.ID
	t, known := s.thread(id)
	if !known {
		return s.post(ctx, n)
	}
	_, _, _, err := s.api.UpdateMessageContext(ctx, t.channel, t.ts, s.message(n)...)
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) && (refused.Err == "message_not_found" || refused.Err == "cant_update_message" || refused.Err == "edit_window_closed") {
		return s.post(ctx, n)
	}
	if err != nil {
		return slackError("edit the message", err)
	}
	return s.reply(ctx, n, t)
}

// post sends an incident's first message and remembers where it stands.
func (s *Slack) post(ctx context.Context, n alert.Notification) error {
	channel, ts, err := s.api.PostMessageContext(ctx, s.channel, s.message(n)...)
	if err != nil {
		return slackError("post to "+s.channel, err)
	}
	s.keep(n.Event.Incident.ID, thread{channel, ts, step(n)})
	return nil
}

// reply tells a change in the thread; one that pages people is shown in the channel too.
func (s *Slack) reply(ctx context.Context, n alert.Notification, t thread) error {
	if t.told == step(n) {
		return nil
	}
	text := summary(n) + "\n" + escape(n.Sentence(), limitHeadline)
	if why := n.Why(); why != "" {
		text += "\nWhy the verdict changed: " + escape(why, limitHeadline)
	}
	if n.Transition == config.Resolved {
		text = summary(n) + "\n" + times(n, s.loc)
	}
	options := []slack.MsgOption{slack.MsgOptionText(text, false), slack.MsgOptionTS(t.ts)}
	if n.Transition == config.Opened {
		options = append(options, slack.MsgOptionBroadcast())
	}
	if _, _, err := s.api.PostMessageContext(ctx, t.channel, options...); err != nil {
		return slackError("reply in the thread", err)
	}
	t.told = step(n)
	s.keep(n.Event.Incident.ID, t)
	return nil
}

func (s *Slack) message(n alert.Notification) []slack.MsgOption {
	return []slack.MsgOption{slack.MsgOptionText(summary(n), false), slack.MsgOptionAttachments(attachment(n, s.loc)),
		slack.MsgOptionDisableLinkUnfurl()}
}

// step tells one transition of an incident from its others.
func step(n alert.Notification) string {
	return string(n.Transition) + n.Event.Time.Format(time.RFC3339Nano)
}

func (s *Slack) thread(id string) (thread, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.threads[id]
	return t, ok
}

func (s *Slack) keep(id string, t thread) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.threads[id]; !ok {
		if s.order = append(s.order, id); len(s.order) > maxThreads {
			delete(s.threads, s.order[0])
			s.order = s.order[1:]
		}
	}
	s.threads[id] = t
}

// slackError sorts an error into those that pass, those that ask for a pause and those that stay.
func slackError(doing string, err error) error {
	if err == nil {
		return nil
	}
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	var refused slack.SlackErrorResponse
	var leak *url.Error
	switch {
	case errors.As(err, &limited):
		return &alert.RetryAfterError{After: limited.RetryAfter, Err: fmt.Errorf("%s: %w", doing, err)}
	case errors.As(err, &status) && status.Code == http.StatusTooManyRequests:
		return &alert.RetryAfterError{After: slackPause, Err: fmt.Errorf("%s: %w", doing, err)}
	case errors.As(err, &status) && status.Code < 500 && status.Code != http.StatusRequestTimeout:
		return permanent("%s: %w", doing, err)
	case errors.As(err, &refused) && passing(refused.Err):
		return &alert.RetryAfterError{After: slackPause, Err: fmt.Errorf("%s: %w", doing, err)}
	case errors.As(err, &refused):
		return permanent("%s: slack says %w", doing, err)
	case errors.As(err, &leak):
		return fmt.Errorf("%s: %w", doing, leak.Err) // without the URL: a webhook's is a secret
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// passing tells which of Slack's own errors may go away by themselves.
func passing(code string) bool {
	switch code {
	case "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout":
		return true
	}
	return false
}
