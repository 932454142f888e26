package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

const (
	// slackTimeout bounds one request, slackPatience all of those of one message and the pauses between them.
	slackTimeout  = 15 * time.Second
	slackPatience = time.Minute
	// slackPause is waited after "too many requests" without a Retry-After.
	slackPause = 30 * time.Second
	// scrolledAway is after what time an incident's message is taken to be out of sight in its channel.
	scrolledAway = 30 * time.Minute
)

// Slack posts to a channel.
//
// With a bot token there is one message per incident: it is edited in place, and each change is a reply in its thread,
// since an edit notifies nobody. Where the message stands is remembered as soon as it was posted, so that a restart goes
// on with it. With an incoming webhook, which can do neither, every transition is a message.
type Slack struct {
	http    *HTTP
	api     *slack.Client // nil with a webhook
	files   *slack.Client
	hook    string // empty with a token
	secrets []string
	channel string
	place   place
	pace    *Pace
	threads threads
	body    slackBody
}

var (
	_ alert.Notifier = (*Slack)(nil)
	_ alert.Checker  = (*Slack)(nil)
)

// NewSlack prepares a notifier; it sends nothing.
func NewSlack(r config.Receiver, s Setting) (*Slack, error) {
	return newSlack(r, s, slackTimeout)
}

func newSlack(r config.Receiver, set Setting, timeout time.Duration) (*Slack, error) {
	cfg := *r.Slack
	words, err := newWording(r, set.Log)
	if err != nil {
		return nil, err
	}
	s := &Slack{http: NewHTTP(nil, timeout, set.Version), channel: cfg.Channel, pace: set.Pace, threads: threads{set.Memory},
		body: slackBody{r.Name, set, words}}
	if w := strings.TrimSpace(cfg.WebhookURL.Reveal()); w != "" {
		u, err := url.Parse(w)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, errors.New("webhook_url is not a URL") // and is secret
		}
		s.hook, s.secrets, s.place = w, []string{w, u.RequestURI(), path.Base(u.Path)}, place{credential: w}
		return s, nil
	}
	token := strings.TrimSpace(cfg.Token.Reveal())
	if token == "" || cfg.Channel == "" {
		return nil, errors.New("slack needs a channel and a token, or a webhook_url")
	}
	s.place = place{token, cfg.Channel}
	s.api, s.files = slackClient(cfg, token, s.http), slackClient(cfg, token, NewHTTP(nil, uploadTimeout, set.Version))
	return s, nil
}

// Check implements alert.Checker: Slack says whether it knows the token. Of a webhook only a message would tell.
func (s *Slack) Check(ctx context.Context) error {
	if s.api == nil {
		return nil
	}
	_, err := s.api.AuthTestContext(ctx)
	return slackError("check the token", err)
}

// Notify implements alert.Notifier.
func (s *Slack) Notify(ctx context.Context, n alert.Notification) error {
	ctx, cancel := context.WithTimeout(ctx, slackPatience)
	defer cancel()
	if s.api == nil {
		return s.send(ctx, n)
	}
	t, known := s.threads.get(n.Event.Incident.ID)
	if !known {
		return s.post(ctx, n)
	}
	err := s.edit(ctx, n, t)
	if gone(err) {
		return s.post(ctx, n)
	}
	if err != nil {
		return slackError("edit the message", err)
	}
	return s.reply(ctx, n, t)
}

// send posts to the webhook.
func (s *Slack) send(ctx context.Context, n alert.Notification) error {
	message, err := json.Marshal(s.body.message(n))
	if err != nil {
		return permanent("encode the message: %w", err)
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	_, err = s.http.Do(ctx, Request{URL: s.hook, Header: http.Header{"Content-Type": {"application/json"}}, Body: message, Secrets: s.secrets})
	return slackError("post to the webhook", err)
}

// wait spaces what changes the channel, edits too: those have a limit of about the same size.
func (s *Slack) wait(ctx context.Context) error {
	if err := s.pace.wait(ctx, s.place); err != nil {
		return fmt.Errorf("wait for the channel's turn: %w", err)
	}
	return nil
}

// post sends an incident's first message and remembers where it stands.
func (s *Slack) post(ctx context.Context, n alert.Notification) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	channel, ts, err := s.api.PostMessageContext(ctx, s.channel, options(s.body.message(n))...)
	if err != nil {
		return slackError("post to "+s.channel, err)
	}
	s.threads.keep(ctx, n, thread{Channel: channel, TS: ts})
	return nil
}

// edit changes an incident's message to what is known now. The channel's ID comes from the first answer: an edit does
// not take its name.
func (s *Slack) edit(ctx context.Context, n alert.Notification, t thread) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	_, _, _, err := s.api.UpdateMessageContext(ctx, t.Channel, t.TS, options(s.body.message(n))...)
	return err
}

// reply tells a change in the thread; one that pages people is shown in the channel too.
func (s *Slack) reply(ctx context.Context, n alert.Notification, t thread) error {
	if t.Told == step(n) {
		return nil
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	options := []slack.MsgOption{slack.MsgOptionText(s.body.reply(n), false), slack.MsgOptionTS(t.TS), slack.MsgOptionDisableLinkUnfurl()}
	if pages(n) {
		options = append(options, slack.MsgOptionBroadcast())
	}
	if _, _, err := s.api.PostMessageContext(ctx, t.Channel, options...); err != nil {
		return slackError("reply in the thread", err)
	}
	s.threads.keep(ctx, n, t)
	return nil
}

// pages tells that a reply must not stand in the thread alone: something begins, still lasts, or ends so late that its
// message is out of sight.
func pages(n alert.Notification) bool {
	lasted, _ := n.Event.Incident.Duration(n.Event.Time)
	return n.Transition == config.Opened || n.Reminder || n.Transition == config.Resolved && lasted >= scrolledAway
}

func options(m slack.WebhookMessage) []slack.MsgOption {
	return []slack.MsgOption{slack.MsgOptionText(m.Text, false), slack.MsgOptionAttachments(m.Attachments...), slack.MsgOptionDisableLinkUnfurl()}
}
