package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// webhookTimeout is used when the configuration has none.
const webhookTimeout = 10 * time.Second

// NewWebhook makes the notifier of a webhook's format.
func NewWebhook(r config.Receiver, s Setting) (alert.Notifier, error) {
	h, err := newPoster(r, s)
	if err != nil {
		return nil, err
	}
	switch r.Webhook.Format {
	case config.WebhookPagerDuty:
		return newPagerDuty(r.Webhook, h)
	case config.WebhookOpsgenie:
		return newOpsgenie(r.Webhook, h)
	}
	return newWebhook(r.Webhook, h)
}

// poster is what the formats have in common: JSON by POST.
type poster struct {
	http     *HTTP
	url      *url.URL
	header   http.Header
	secrets  []string
	receiver string
	setting  Setting
	wording  wording
}

func newPoster(r config.Receiver, s Setting) (poster, error) {
	w, err := newWording(r, s.Log)
	if err != nil {
		return poster{}, err
	}
	timeout := r.Webhook.Timeout.Std()
	if timeout <= 0 {
		timeout = webhookTimeout
	}
	h := poster{http: NewHTTP(r.Webhook.Roots, timeout, s.Version), receiver: r.Name, setting: s, wording: w,
		header: http.Header{"Content-Type": {"application/json"}}}
	if text := strings.TrimSpace(r.Webhook.URL.Reveal()); text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return poster{}, errors.New("url is not an HTTP URL") // and may be secret
		}
		h.url = u
	}
	for k, v := range r.Webhook.Headers {
		h.header.Set(k, v)
	}
	return h, nil
}

// at takes a format's usual URL, unless another one was given: one of another region has a host and no path.
func (h *poster) at(usual string) {
	u, _ := url.Parse(usual) // a constant
	switch {
	case h.url == nil:
		h.url = u
	case strings.Trim(h.url.Path, "/") == "":
		h.url = h.url.JoinPath(u.Path)
	}
}

func (h *poster) message(n alert.Notification) Message { return newMessage(n, h.receiver, h.setting) }

// post sends JSON and returns the answer.
func (h *poster) post(ctx context.Context, to *url.URL, body []byte, header http.Header) ([]byte, error) {
	all := h.header.Clone()
	for k, v := range header {
		all[http.CanonicalHeaderKey(k)] = v
	}
	answer, err := h.http.Do(ctx, Request{Method: http.MethodPost, URL: to.String(), Header: all, Body: body, Secrets: h.secrets})
	if err != nil {
		return nil, fmt.Errorf("post to %s: %w", to.Hostname(), err)
	}
	return answer, nil
}

// postJSON sends a value and reads the answer into another. One that is no JSON of that kind is not from whom it should be.
func (h *poster) postJSON(ctx context.Context, to *url.URL, body, answer any) error {
	raw, err := jsonText(body)
	if err != nil {
		return permanent("encode the message: %w", err)
	}
	said, err := h.post(ctx, to, []byte(raw), nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(said, answer); err != nil {
		request := Request{URL: to.String(), Header: h.header, Secrets: h.secrets}
		return fmt.Errorf("post to %s: the answer is not JSON: %q", to.Hostname(), request.hidden().clean(string(said)))
	}
	return nil
}

// Webhook posts the event as JSON, signed as Standard Webhooks say (standardwebhooks.com) when there is a secret.
//
// The same message has the same webhook-id each time it is sent, so that a receiver can drop what comes twice.
type Webhook struct {
	poster
	key []byte
	now func() time.Time
}

var _ alert.Notifier = (*Webhook)(nil)

func newWebhook(cfg *config.Webhook, h poster) (*Webhook, error) {
	if h.url == nil {
		return nil, errors.New("webhook has no url")
	}
	w := &Webhook{poster: h, now: time.Now}
	key, err := cfg.SigningKey()
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if key != nil {
		w.key, w.secrets = key, append(w.secrets, cfg.Secret.Reveal(), strings.TrimPrefix(cfg.Secret.Reveal(), "whsec_"))
	}
	return w, nil
}

// Notify implements alert.Notifier.
func (w *Webhook) Notify(ctx context.Context, n alert.Notification) error {
	body, err := w.body(n)
	if err != nil {
		return err
	}
	id, at := deliveryID(n), w.now()
	header := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {strconv.FormatInt(at.Unix(), 10)}}
	if w.key != nil {
		header.Set("Webhook-Signature", signature(w.key, id, at, body))
	}
	_, err = w.post(ctx, w.url, body, header)
	return err
}

// body is the payload, or what the receiver's own template makes.
func (w *Webhook) body(n alert.Notification) ([]byte, error) {
	m := w.message(n)
	if w.wording.body == nil {
		body, err := jsonText(newPayload(n, m))
		if err != nil {
			return nil, permanent("encode the message: %w", err)
		}
		return []byte(body), nil
	}
	text, err := render(w.wording.body, m)
	if err != nil {
		return nil, permanent("render the body: %w", err)
	}
	if !json.Valid([]byte(text)) {
		return nil, permanent("the body that was rendered is not JSON: %s", badJSON(text))
	}
	return []byte(text), nil
}
