package notify

import (
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

func TestEmailConforms(t *testing.T) {
	for _, mode := range []config.MailTLS{config.MailStartTLS, config.MailTLSFirst, config.MailNoTLS} {
		t.Run(string(mode), func(t *testing.T) { conform(t, func(t *testing.T) far { return newFakeMail(t, mode) }) })
	}
}

// TestEmailIsOneThread reads the headers as a mail program does.
func TestEmailIsOneThread(t *testing.T) {
	f := newFakeMail(t, config.MailStartTLS)
	n := f.notifier(t)
	for _, x := range []alert.Notification{sample(config.Suspect), sample(config.Opened), reminder(), sample(config.Resolved), sample(config.Resolved)} {
		if err := n.Notify(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.taken(t); got != 4 {
		t.Errorf("%d mails, although all had the last one already", got)
	}
	n = f.notifier(t) // one that remembers nothing
	if err := n.Notify(t.Context(), sample(config.Resolved)); err != nil {
		t.Fatal(err)
	}
	var ids []string
	thread := ""
	for i, m := range f.all() {
		h := m.open(t).header
		ids = append(ids, h.Get("Message-Id"))
		if i == 0 {
			thread = h.Get("References")
		}
		if thread == "" || h.Get("References") != thread || h.Get("In-Reply-To") != thread || !strings.HasSuffix(h.Get("Message-Id"), "@example.com>") {
			t.Errorf("mail %d: %v", i, h)
		}
		for k, want := range map[string]string{"Auto-Submitted": "auto-generated", "X-Whichlayer-Incident": "20261122T140304Z-orders-3f9a",
			"User-Agent": "whichlayer/v1.2.3", "From": `"whichlayer" <prober@example.com>`, "To": `"Ops" <ops@example.com>, <boss@example.org>`, "X-Mailer": ""} {
			if got := h.Get(k); got != want {
				t.Errorf("mail %d: %s is %q, want %q", i, k, got, want)
			}
		}
		if date, err := h.Date(); err != nil || time.Since(date) > time.Minute {
			t.Errorf("date %v, %v", date, err)
		}
		if diff := cmp.Diff([]string{"<ops@example.com>", "<boss@example.org>"}, m.to); diff != "" || m.from != "<prober@example.com> BODY=8BITMIME" {
			t.Errorf("from %s to %s", m.from, diff)
		}
	}
	if ids[3] != ids[4] || ids[0] == ids[1] || ids[1] == ids[2] || ids[2] == ids[3] {
		t.Errorf("message IDs %q", ids)
	}
	other := sample(config.Opened)
	other.Event.Incident.ID = "20261122T150000Z-orders-0000"
	if err := n.Notify(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if got := f.all()[5].open(t).header.Get("References"); got == thread {
		t.Error("two incidents are one thread")
	}
}

func TestEmailGolden(t *testing.T) {
	for name, n := range map[string]alert.Notification{"opened": sample(config.Opened), "members": together(config.Updated), "resolved": sample(config.Resolved), "drill": drill(config.Opened)} {
		f := newFakeMail(t, config.MailStartTLS)
		e := f.make(t, f.receiver())
		if err := e.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		m := f.all()[0].open(t)
		golden(t, "email_"+name+".txt", []byte("Subject: "+m.header.Get("Subject")+"\n\n"+m.parts["text/plain"]))
		golden(t, "email_"+name+".html", []byte(m.parts["text/html"]))
	}
}

// TestEmailIsSafe lets others write what they want into names and evidence.
func TestEmailIsSafe(t *testing.T) {
	f := newFakeMail(t, config.MailStartTLS)
	n := sample(config.Opened)
	nasty := "x\r\nBcc: everybody@example.net\r\n\r\n<script src=\"https://evil.example/\">alert(1)</script><img src=x onerror=y>\x00\r\n.\r\nMAIL FROM:<a@b>"
	i, v := *n.Event.Incident, *n.Event.Verdict
	i.Target, i.ID, v.Evidence = nasty, nasty, []string{nasty, strings.Repeat("ä", 5000)}
	n.Event.Incident, n.Event.Verdict, n.Event.Target = &i, &v, nasty
	if err := f.notifier(t).Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if len(f.all()) != 1 {
		t.Fatalf("%d mails", len(f.all()))
	}
	m := f.all()[0].open(t)
	if m.header.Get("Bcc") != "" || len(m.parts) != 2 || len(f.all()[0].to) != 2 {
		t.Errorf("header %v", m.header)
	}
	if subject := m.header.Get("Subject"); strings.ContainsAny(subject, "\r\n") || utf8.RuneCountInString(subject) > 200 {
		t.Errorf("subject of %d: %q", utf8.RuneCountInString(subject), subject)
	}
	for _, bad := range []string{"<script", "<img", "src=\"http"} {
		if strings.Contains(m.parts["text/html"], bad) {
			t.Errorf("%s is in the page", bad)
		}
	}
	for _, line := range strings.Split(string(f.all()[0].data), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestEmailTemplates(t *testing.T) {
	f := newFakeMail(t, config.MailNoTLS)
	r := f.receiver()
	r.Title, r.Text = config.NewTemplate("Ärger: {{.Target}}"), config.NewTemplate("Call <{{.Ask}}>")
	if err := f.make(t, r).Notify(t.Context(), sample(config.Opened)); err != nil {
		t.Fatal(err)
	}
	m := f.all()[0].open(t)
	if m.header.Get("Subject") != "Ärger: orders" || !strings.HasPrefix(m.parts["text/plain"], "Call <Ask those") || !strings.Contains(m.parts["text/html"], "Call &lt;Ask those") {
		t.Errorf("%q %q", m.header.Get("Subject"), m.parts)
	}
}

// TestEmailAnswers sorts what a server can say.
func TestEmailAnswers(t *testing.T) {
	for _, c := range []struct {
		command, answer string
		final           bool
	}{
		{"CONNECT", "554 5.3.2 go away", true},
		{"CONNECT", "421 4.3.2 too busy", false},
		{"CONNECT", "rubbish", false},
		{"EHLO", "502 no", true},
		{"STARTTLS", "454 4.7.0 no certificate just now", false},
		{"AUTH", "454 4.7.0 no password file just now", false},
		{"AUTH", "535 5.7.8 wrong", true},
		{"MAIL", "552 5.3.4 too large", true},
		{"MAIL", "450 4.7.1 greylisted", false},
		{"RCPT", "450 4.7.1 greylisted", false},
		{"RCPT", "550 5.1.1 nobody here", true},
		{"DATA", "452 4.3.1 disk full", false},
		{"DATA", "554 5.7.1 no", true},
		{"END", "552 5.3.4 too large", true},
		{"END", "451 4.3.0 disk full", false},
		{"END", "hang", false},
	} {
		t.Run(c.command+" "+c.answer, func(t *testing.T) {
			t.Parallel()
			f := newFakeMail(t, config.MailStartTLS)
			f.answers(func(line string) string {
				if strings.HasPrefix(line, c.command) || c.command == "EHLO" && strings.HasPrefix(line, "HELO") {
					return c.answer
				}
				return ""
			})
			e := f.make(t, f.receiver())
			if e.timeout = 20 * time.Second; c.answer == "hang" {
				e.timeout = time.Second
			}
			start := time.Now()
			err := e.Notify(t.Context(), sample(config.Opened))
			if err == nil || isPermanent(err) != c.final || len(f.all()) != 0 || c.answer == "hang" && time.Since(start) > 5*time.Second {
				t.Errorf("permanent %v after %v: %v", isPermanent(err), time.Since(start), err)
			}
			keepsSecrets(t, f, err)
		})
	}
}

// TestEmailToSome tells those whom the server takes, and nobody twice.
func TestEmailToSome(t *testing.T) {
	for _, c := range []struct {
		answer string
		first  bool // the first attempt is a success
		want   []string
	}{
		{"550 5.1.1 nobody here", true, []string{"[<ops@example.com>]"}},
		{"450 4.2.0 later", false, []string{"[<ops@example.com>]", "[<boss@example.org>]"}},
	} {
		f := newFakeMail(t, config.MailStartTLS)
		f.answers(func(line string) string {
			if strings.HasPrefix(line, "RCPT TO:<boss") {
				return c.answer
			}
			return ""
		})
		n := f.notifier(t)
		if err := n.Notify(t.Context(), sample(config.Opened)); (err == nil) != c.first || isPermanent(err) {
			t.Errorf("%s: %v", c.answer, err)
		}
		if !c.first {
			f.answers(nil)
			if err := n.Notify(t.Context(), sample(config.Opened)); err != nil {
				t.Errorf("%s: %v", c.answer, err)
			}
		}
		var got []string
		for _, m := range f.all() {
			got = append(got, fmt.Sprint(m.to))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.answer, diff)
		}
	}
}

func TestEmailLogsIn(t *testing.T) {
	for _, auth := range []string{"PLAIN", "LOGIN", "XOAUTH2 LOGIN", "PLAIN LOGIN"} {
		for _, mode := range []config.MailTLS{config.MailStartTLS, config.MailTLSFirst} {
			f := newFakeMail(t, mode)
			f.auth = auth
			if err := f.make(t, f.receiver()).Check(t.Context()); err != nil || f.logins != 1 {
				t.Errorf("%s, %s: %d logins, %v", auth, mode, f.logins, err)
			}
		}
	}
	f := newFakeMail(t, config.MailStartTLS)
	r := f.receiver()
	r.Email.Password = config.NewSecret("wrong")
	if err := f.make(t, r).Check(t.Context()); !isPermanent(err) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
	if len(f.all()) != 0 {
		t.Error("a check sent mail")
	}
}

// TestEmailNeedsTLS gives the password to nobody who has no certificate for it, and no mail either.
func TestEmailNeedsTLS(t *testing.T) {
	plain := newFakeMail(t, config.MailNoTLS)
	r := plain.receiver()
	r.Email.TLS = config.MailStartTLS
	if err := plain.make(t, r).Notify(t.Context(), sample(config.Opened)); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("a server without STARTTLS: %v", err)
	}
	for _, mode := range []config.MailTLS{config.MailStartTLS, config.MailTLSFirst} {
		f := newFakeMail(t, mode)
		r := f.receiver()
		r.Email.Roots = x509.NewCertPool()
		if err := f.make(t, r).Notify(t.Context(), sample(config.Opened)); err == nil || isPermanent(err) || f.logins != 0 {
			t.Errorf("%s, an unknown authority: %v", mode, err)
		}
	}
}

// TestEmailHostile meets servers that never end.
func TestEmailHostile(t *testing.T) {
	for name, peer := range map[string]func(net.Conn){
		"silent":         func(c net.Conn) { drip(c, strings.Repeat("\x00", 500)) },
		"byte by byte":   func(c net.Conn) { drip(c, "220 "+strings.Repeat("a", 10000)) },
		"a line forever": func(c net.Conn) { forever(c, "220-", strings.Repeat("a", 4096)) },
		"lines forever":  func(c net.Conn) { forever(c, "", "220-hello\r\n") },
		"hangs up":       func(c net.Conn) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := config.Email{TLS: config.MailNoTLS, From: "a@example.com", To: []string{"b@example.com"}}
			if err := e.Server.UnmarshalText([]byte(listen(t, peer))); err != nil {
				t.Fatal(err)
			}
			n, err := NewEmail(config.Receiver{Email: &e}, Setting{Zone: berlin(), Log: discard()})
			if err != nil {
				t.Fatal(err)
			}
			n.timeout = 500 * time.Millisecond
			start := time.Now()
			err = n.Notify(t.Context(), sample(config.Opened))
			if took := time.Since(start); err == nil || isPermanent(err) || took > 3*time.Second || len(err.Error()) > 1000 {
				t.Errorf("after %v: %.300v", took, err)
			}
		})
	}
}

func forever(c net.Conn, begin, more string) {
	for _, err := c.Write([]byte(begin)); err == nil; _, err = c.Write([]byte(more)) {
	}
}

func TestNewEmail(t *testing.T) {
	for _, e := range []config.Email{{}, {From: "a@example.com"}, {From: "nobody", To: []string{"a@example.com"}}, {From: "a@example.com", To: []string{"x y"}}} {
		if _, err := NewEmail(config.Receiver{Email: &e}, Setting{Log: discard()}); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}
