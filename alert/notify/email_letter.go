package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// maxSubject is how long a subject is, in characters.
const maxSubject = 200

// letter makes mails.
type letter struct {
	cfg      config.Email
	receiver string
	setting  Setting
	wording  wording
}

// compose makes a mail with a part of plain text and one of HTML that say the same.
func (l letter) compose(n alert.Notification) (*mail.Msg, error) {
	data := newMessage(n, l.receiver, l.setting)
	page, err := l.html(n, data)
	if err != nil {
		return nil, err
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := l.address(m); err != nil {
		return nil, err
	}
	m.Subject(l.subject(data))
	m.SetDate()
	l.thread(m, n)
	m.SetGenHeader("X-Whichlayer-Incident", headerText(n.Event.Incident.ID))
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	m.SetGenHeader("X-Auto-Response-Suppress", "All")  // Exchange
	m.SetGenHeader(mail.HeaderUserAgent, headerText(strings.TrimSuffix("whichlayer/"+l.setting.Version, "/")))
	m.SetBodyString(mail.TypeTextPlain, l.plain(data))
	m.AddAlternativeString(mail.TypeTextHTML, page)
	return m, nil
}

func (l letter) address(m *mail.Msg) error {
	if err := m.From(l.cfg.From); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if err := m.To(l.cfg.To...); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	return nil
}

// subject is one line; line breaks in it would be headers.
func (l letter) subject(m Message) string { return headerText(l.wording.title(m, m.Title)) }

// headerText is a text as it can stand in a header.
func headerText(s string) string {
	return clip(strings.Join(strings.Fields(clip(s, 4*maxSubject)), " "), maxSubject)
}

// thread makes one thread of all mails of an incident: each is an answer to a mail that never was, whose name follows from
// the incident's. So it does not matter which one comes first, or whether this prober remembers it.
func (l letter) thread(m *mail.Msg, n alert.Notification) {
	domain := "whichlayer.invalid"
	if from, err := bareAddress(l.cfg.From); err == nil {
		domain = from[strings.LastIndex(from, "@")+1:]
	}
	sum := sha256.Sum256([]byte(n.Event.Incident.ID))
	root := "incident_" + hex.EncodeToString(sum[:16]) + "@" + domain
	m.SetMessageIDWithValue(deliveryID(n) + "@" + domain)
	m.SetGenHeader(mail.HeaderInReplyTo, "<"+root+">")
	m.SetGenHeader(mail.HeaderReferences, "<"+root+">")
}

func (l letter) plain(m Message) string {
	if text, ok := l.wording.words(m); ok {
		return text
	}
	return l.wording.title(m, m.Title) + "\n\n" + plainText(m)
}

// Colours of the bar beside a mail.
const (
	mailRed    = "#D55E00"
	mailOrange = "#E69F00"
	mailGreen  = "#009E73"
	mailGrey   = "#777777"
)

// mailColour is of Okabe and Ito's palette, which colour-blind people can tell apart. The state stands there as a word too.
func mailColour(n alert.Notification) string {
	switch {
	case n.Drill, n.Transition == config.Dismissed:
		return mailGrey
	case n.Transition == config.Resolved:
		return mailGreen
	case n.Transition == config.Suspect, n.Event.Verdict.State == probe.Degraded, n.Event.Incident.State == alert.Recovering:
		return mailOrange
	}
	return mailRed
}

// html is the mail as a page.
func (l letter) html(n alert.Notification, m Message) (string, error) {
	p := mailPage{Colour: mailColour(n), Word: m.Word, Title: headerText(l.wording.title(m, m.Headline)), Parts: parts(m), Version: m.Version}
	if text, ok := l.wording.words(m); ok {
		p.Parts = []part{{Text: text}}
	}
	p.Sent = n.Event.Time.UTC().Format(time.RFC3339)
	var b strings.Builder
	if err := mailTemplate().Execute(&b, p); err != nil {
		return "", err
	}
	return b.String(), nil
}
