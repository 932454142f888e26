package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// Opsgenie's limits in characters.
const (
	opsgenieURL         = "https://api.opsgenie.com/v2/alerts"
	limitGenieMessage   = 130
	limitGenieAlias     = 512
	limitGenieText      = 15000
	limitGenieTag       = 50
	limitGenieDetail    = 500
	limitGenieEntity    = 512
	limitGenieShortText = 100
)

// Opsgenie tells incidents by the Alert API v2, with the incident's ID as alias. A suspicion, an opening and every update
// create, which Opsgenie counts as one alert while it is open; the end and a dismissal close. What was over before it
// could be told is created with the lowest priority and closed at once.
type Opsgenie struct{ poster }

var (
	_ alert.Notifier = (*Opsgenie)(nil)
	_ alert.Checker  = (*Opsgenie)(nil)
)

func newOpsgenie(cfg *config.Webhook, h poster) (*Opsgenie, error) {
	key := strings.TrimSpace(cfg.Key.Reveal())
	if key == "" {
		return nil, errors.New("opsgenie needs a key, its API key")
	}
	h.secrets = append(h.secrets, key)
	h.header.Set("Authorization", "GenieKey "+key)
	h.at(opsgenieURL)
	return &Opsgenie{h}, nil
}

// genieAlert is a body of "create alert".
type genieAlert struct {
	Message     string            `json:"message"`
	Alias       string            `json:"alias"`
	Description string            `json:"description"`
	Tags        []string          `json:"tags"`
	Details     map[string]string `json:"details"`
	Entity      string            `json:"entity"`
	Source      string            `json:"source"`
	Priority    string            `json:"priority"`
}

// genieClose is a body of "close alert".
type genieClose struct {
	Source string `json:"source"`
	Note   string `json:"note"`
}

// Notify implements alert.Notifier.
func (o *Opsgenie) Notify(ctx context.Context, n alert.Notification) error {
	over := n.Transition == config.Resolved || n.Transition == config.Dismissed
	if !over || n.Whole {
		if err := o.send(ctx, o.url, o.alert(n)); err != nil {
			return err
		}
	}
	if !over {
		return nil
	}
	closing := o.url.JoinPath(url.PathEscape(alias(n)), "close")
	closing.RawQuery = "identifierType=alias"
	m := o.message(n)
	return o.send(ctx, closing, genieClose{Source: "whichlayer", Note: clip(m.Headline+"\n\n"+plainText(m), limitGenieText)})
}

// send wants the answer to be Opsgenie's own: a request that was taken has a number.
func (o *Opsgenie) send(ctx context.Context, to *url.URL, body any) error {
	var answer struct {
		RequestID string `json:"requestId"`
	}
	if err := o.postJSON(ctx, to, body, &answer); err != nil {
		return err
	}
	if answer.RequestID == "" {
		return fmt.Errorf("post to %s: the answer has no requestId, it is not from opsgenie", to.Hostname())
	}
	return nil
}

// Check implements alert.Checker: it asks for the account. A key that may only create alerts is refused that, which shows
// that it is known.
func (o *Opsgenie) Check(ctx context.Context) error {
	to := *o.url
	to.Path = strings.TrimSuffix(strings.TrimSuffix(to.Path, "/"), "/alerts") + "/account"
	_, err := o.http.Do(ctx, Request{Method: http.MethodGet, URL: to.String(), Header: o.header, Secrets: o.secrets})
	var status *StatusError
	if errors.As(err, &status) && (status.Code == http.StatusForbidden || status.Code == http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask %s for the account: %w", to.Hostname(), err)
	}
	return nil
}

func alias(n alert.Notification) string { return clip(n.Event.Incident.ID, limitGenieAlias) }

func (o *Opsgenie) alert(n alert.Notification) genieAlert {
	m := o.message(n)
	a := genieAlert{
		Message: clip(o.wording.title(m, m.Headline), limitGenieMessage), Alias: alias(n), Description: clip(plainText(m), limitGenieText),
		Tags: genieTags(m), Details: map[string]string{}, Entity: clip(m.Target, limitGenieEntity), Source: "whichlayer", Priority: geniePriority(n),
	}
	if text, ok := o.wording.words(m); ok {
		a.Description = clip(text, limitGenieText)
	}
	for _, pair := range facts(m) {
		a.Details[pair[0]] = clip(pair[1], limitGenieDetail)
	}
	return a
}

// geniePriority is P1, the highest, to P5.
func geniePriority(n alert.Notification) string {
	switch {
	case n.Drill, n.Whole:
		return "P5"
	case n.Transition == config.Suspect:
		return "P4"
	case n.Event.Verdict.State == probe.Down:
		return "P1"
	}
	return "P3"
}

func genieTags(m Message) []string {
	tags := []string{"whichlayer"}
	if m.Drill {
		tags = append(tags, "drill")
	}
	for _, t := range []string{m.State, m.Layer, m.Cause, m.Confidence} {
		if t = strings.ReplaceAll(t, ",", " "); t != "" {
			tags = append(tags, clip(t, limitGenieTag))
		}
	}
	return tags
}
