package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"net/textproto"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// mailTimeout is for all of a delivery. RFC 5321 allows minutes for each step; an alert has no minutes.
const mailTimeout = 30 * time.Second

// Email sends mail to a submission server. All mails of an incident are one thread.
//
// Each recipient is told whom the server takes: one address that is refused does not cost the others their mail, and a
// mail that some are to get later, because the server said so, is not sent to the others again.
type Email struct {
	cfg     config.Email
	from    string   // the bare address
	to      []string // the bare addresses
	timeout time.Duration
	hide    hidden
	letter  letter
	log     *slog.Logger
	// part is the last mail that only some have.
	part partly
}

// partly is a mail and who has it.
type partly struct {
	id   string
	have map[string]bool
}

var (
	_ alert.Notifier = (*Email)(nil)
	_ alert.Checker  = (*Email)(nil)
)

// NewEmail prepares a notifier; it connects to nobody.
func NewEmail(r config.Receiver, s Setting) (*Email, error) {
	w, err := newWording(r, s.Log)
	if err != nil {
		return nil, err
	}
	e := &Email{cfg: *r.Email, timeout: mailTimeout, log: s.Log, letter: letter{cfg: *r.Email, receiver: r.Name, setting: s, wording: w}}
	if e.from, err = bareAddress(e.cfg.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	for _, to := range e.cfg.To {
		bare, err := bareAddress(to)
		if err != nil {
			return nil, fmt.Errorf("to: %w", err)
		}
		e.to = append(e.to, bare)
	}
	if len(e.to) == 0 {
		return nil, errors.New("email needs a recipient")
	}
	if password := e.cfg.Password.Reveal(); password != "" {
		e.hide = hidden{base64.StdEncoding.EncodeToString([]byte("\x00" + e.cfg.Username + "\x00" + password)),
			base64.StdEncoding.EncodeToString([]byte(password)), password}
	}
	return e, nil
}

func bareAddress(s string) (string, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil {
		return "", fmt.Errorf("%q is not a mail address: %w", s, err)
	}
	return a.Address, nil
}

// options choose how to speak to the server.
func (e *Email) options(l *mailLine) []mail.Option {
	options := []mail.Option{
		mail.WithPort(int(e.cfg.Server.Port)), mail.WithTLSConfig(e.tls()), mail.WithTLSPolicy(mail.NoTLS),
		mail.WithTimeout(e.timeout), mail.WithDialContextFunc(l.dial),
	}
	if e.cfg.TLS == config.MailStartTLS || e.cfg.TLS == "" {
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if ascii(e.from) && ascii(strings.Join(e.to, "")) {
		options = append(options, mail.WithoutSMTPUTF8()) // a mail that asks for it cannot be passed on to everybody
	}
	if e.cfg.Username != "" {
		options = append(options, mail.WithUsername(e.cfg.Username), mail.WithPassword(e.cfg.Password.Reveal()),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5))
	}
	return options
}

func (e *Email) tls() *tls.Config {
	return &tls.Config{ServerName: e.cfg.Server.Host, RootCAs: e.cfg.Roots, MinVersion: tls.VersionTLS12}
}

func ascii(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f }) }

// Check implements alert.Checker: it logs in and sends nothing.
func (e *Email) Check(ctx context.Context) error {
	return e.talk(ctx, func(*smtp.Client) error { return nil })
}

// Notify implements alert.Notifier.
func (e *Email) Notify(ctx context.Context, n alert.Notification) error {
	m, err := e.letter.compose(n)
	if err != nil {
		return permanent("compose the mail: %w", err)
	}
	id := deliveryID(n)
	if e.part.id != id {
		e.part = partly{id: id, have: map[string]bool{}}
	}
	if len(e.part.have) == len(e.to) {
		return nil // what failed came after the mail was taken
	}
	return e.talk(ctx, func(c *smtp.Client) error { return e.send(c, m) })
}

// talk connects, encrypts, logs in, does something and leaves. Whether leaving succeeds matters to nobody.
func (e *Email) talk(ctx context.Context, do func(*smtp.Client) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.timeout, fmt.Errorf("not done within %v: %w", e.timeout, context.DeadlineExceeded))
	defer cancel()
	l := &mailLine{whole: ctx}
	defer l.close()
	if e.cfg.TLS == config.MailTLSFirst {
		l.tls = e.tls()
	}
	client, err := mail.NewClient(e.cfg.Server.Host, e.options(l)...)
	if err != nil {
		return permanent("prepare the mail client: %w", err)
	}
	c, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return e.sort(ctx, err)
	}
	if err := do(c); err != nil {
		return e.sort(ctx, err)
	}
	_ = c.Quit()
	return nil
}

// sort tells the errors that stay, which are SMTP's 5xx, from those that pass.
func (e *Email) sort(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	shown := &quiet{fmt.Sprintf("mail by %s: %s", e.cfg.Server.Host, e.hide.clean(causeOf(ctx, err).Error())), causeOf(ctx, err)}
	if ctx.Err() == nil && refusedMail(err) {
		return &alert.PermanentError{Err: shown}
	}
	return shown
}

// refusedMail tells that a server answered 5xx (RFC 5321, section 4.2.1).
func refusedMail(err error) bool {
	var answer *textproto.Error
	return errors.As(err, &answer) && answer.Code >= 500
}

// send is one mail transaction for those who do not have the mail yet.
func (e *Email) send(c *smtp.Client, m *mail.Msg) error {
	if err := c.Mail("<" + e.from + ">"); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	taken, refused, err := e.name(c)
	if err != nil || len(taken) == 0 {
		return errors.Join(err, refused)
	}
	if err := transmit(c, m); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	for _, to := range taken {
		e.part.have[to] = true
	}
	switch {
	case refused != nil && !refusedMail(refused):
		return refused // these get it the next time
	case refused != nil:
		e.log.Error("mail went to some of its recipients only", "error", e.hide.clean(refused.Error()))
	}
	return nil
}

func transmit(c *smtp.Client, m *mail.Msg) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := m.WriteTo(w); err != nil {
		return err
	}
	return w.Close()
}

// name names those who do not have the mail yet to the server. refused holds the answers about those whom it does not
// take; if some may be taken later, only theirs.
func (e *Email) name(c *smtp.Client) (taken []string, refused, err error) {
	var later, never []error
	for _, to := range e.to {
		if e.part.have[to] {
			continue
		}
		err := c.Rcpt("<" + to + ">")
		var answer *textproto.Error
		switch {
		case err == nil:
			taken = append(taken, to)
		case refusedMail(err):
			never = append(never, fmt.Errorf("recipient %s: %w", to, err))
		case errors.As(err, &answer):
			later = append(later, fmt.Errorf("recipient %s: %w", to, err))
		default:
			return nil, nil, fmt.Errorf("recipient %s: %w", to, err)
		}
	}
	if len(later) > 0 {
		return taken, errors.Join(later...), nil
	}
	return taken, errors.Join(never...), nil
}
