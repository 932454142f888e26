package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// PagerDuty's limits in characters; an event has 512 KB at most.
const (
	pagerDutyURL        = "https://events.pagerduty.com/v2/enqueue"
	limitPagerSummary   = 1024
	limitPagerKey       = 255
	limitPagerShortText = 255
)

// PagerDuty tells incidents by the Events API v2, under the incident's ID as deduplication key. A suspicion, an opening
// and every update trigger, the end and a dismissal resolve. What was over before it could be told triggers without
// urgency and resolves at once, since an end alone would be dropped.
type PagerDuty struct {
	poster
	routingKey string
}

var _ alert.Notifier = (*PagerDuty)(nil)

func newPagerDuty(cfg *config.Webhook, h poster) (*PagerDuty, error) {
	key := strings.TrimSpace(cfg.Key.Reveal())
	if key == "" {
		return nil, errors.New("pagerduty needs a key, its routing key")
	}
	h.secrets = append(h.secrets, key)
	h.at(pagerDutyURL)
	return &PagerDuty{h, key}, nil
}

// pagerEvent is a body of the Events API v2.
type pagerEvent struct {
	RoutingKey string       `json:"routing_key"`
	Action     string       `json:"event_action"`
	DedupKey   string       `json:"dedup_key"`
	Client     string       `json:"client,omitempty"`
	ClientURL  string       `json:"client_url,omitempty"`
	Links      []pagerLink  `json:"links,omitempty"`
	Payload    pagerPayload `json:"payload"`
}

type pagerLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type pagerPayload struct {
	Summary   string         `json:"summary"`
	Severity  string         `json:"severity"`
	Source    string         `json:"source"`
	Timestamp string         `json:"timestamp"`
	Component string         `json:"component,omitempty"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details"`
}

// Notify implements alert.Notifier.
func (p *PagerDuty) Notify(ctx context.Context, n alert.Notification) error {
	over := n.Transition == config.Resolved || n.Transition == config.Dismissed
	if !over || n.Whole {
		if err := p.send(ctx, p.event(n, "trigger")); err != nil {
			return err
		}
	}
	if over {
		return p.send(ctx, p.event(n, "resolve"))
	}
	return nil
}

func (p *PagerDuty) send(ctx context.Context, e pagerEvent) error {
	var answer struct{ Status, Message string }
	if err := p.postJSON(ctx, p.url, e, &answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		hide := (&Request{URL: p.url.String(), Secrets: p.secrets}).hidden()
		return fmt.Errorf("pagerduty does not say success but %q: %q", hide.clean(answer.Status), hide.clean(answer.Message))
	}
	return nil
}

// event has all that is known in a resolve, too: the alert's log shows it.
func (p *PagerDuty) event(n alert.Notification, action string) pagerEvent {
	m := p.message(n)
	e := pagerEvent{RoutingKey: p.routingKey, Action: action, DedupKey: clip(m.Incident, limitPagerKey),
		Client: "whichlayer", ClientURL: p.setting.ExternalURL}
	for _, l := range m.Links {
		e.Links = append(e.Links, pagerLink{l.URL, l.Text})
	}
	e.Payload = pagerPayload{
		Summary: clip(p.wording.title(m, m.Headline), limitPagerSummary), Severity: pagerSeverity(n),
		Source: clip(m.Target, limitPagerShortText), Timestamp: m.StartsBefore,
		Component: m.Layer, Group: clip(m.Target, limitPagerShortText), Class: clip(m.Cause, limitPagerShortText), Details: p.details(m),
	}
	return e
}

// pagerSeverity is one of critical, error, warning and info.
func pagerSeverity(n alert.Notification) string {
	switch {
	case n.Drill, n.Whole, !n.Event.Incident.Active():
		return "info"
	case n.Transition == config.Suspect, n.Event.Verdict.State == probe.Degraded:
		return "warning"
	case n.Event.Verdict.State == probe.Down:
		return "critical"
	}
	return "error"
}

// details is what one on call reads below the summary: every part of the message under its title.
func (p *PagerDuty) details(m Message) map[string]any {
	details := map[string]any{}
	if text, ok := p.wording.words(m); ok {
		details["text"] = text
		return details
	}
	for _, x := range parts(m) {
		switch {
		case x.Pairs != nil:
			for _, pair := range x.Pairs {
				details[pair[0]] = pair[1]
			}
		case x.Title == "":
			details["What happened"] = x.plain()
		case x.Text != "":
			details[x.Title] = x.plain()
		case x.List != nil:
			details[x.Title] = x.List
		case x.Links == nil:
			details[x.Title] = strings.Split(x.plain(), "\n")
		}
	}
	return details
}
