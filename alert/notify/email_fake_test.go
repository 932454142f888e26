package notify

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// fakeMail is a submission server as RFC 5321, 3207 and 4954 want one, as strict as it has to be for a test: nobody may
// send without TLS and without logging in, unless it says otherwise.
type fakeMail struct {
	mode    config.MailTLS
	tls     *tls.Config
	roots   *x509.CertPool
	address string
	// auth is what is offered once there is TLS; empty: nobody logs in.
	auth string
	// reply gives another answer to a command; empty leaves the usual one.
	reply func(line string) string

	mu      sync.Mutex
	mails   []fakeLetter
	logins  int
	failing int
	reached chan struct{}
}

// fakeLetter is a mail that was taken.
type fakeLetter struct {
	from string
	to   []string
	data []byte
}

const (
	mailUser     = "prober"
	mailPassword = "correct horse"
)

func newFakeMail(t *testing.T, mode config.MailTLS) *fakeMail {
	t.Helper()
	cert := httptest.NewUnstartedServer(nil) // for its certificate, which is for 127.0.0.1 too
	cert.StartTLS()
	defer cert.Close()
	f := &fakeMail{mode: mode, tls: &tls.Config{Certificates: cert.TLS.Certificates, MinVersion: tls.VersionTLS12}, roots: x509.NewCertPool(), auth: "LOGIN PLAIN"}
	f.roots.AddCert(cert.Certificate())
	if mode == config.MailNoTLS {
		f.auth = ""
	}
	f.address = listen(t, f.serve)
	return f
}

func (f *fakeMail) receiver() config.Receiver {
	e := &config.Email{TLS: f.mode, From: "whichlayer <prober@example.com>", To: []string{"Ops <ops@example.com>", "boss@example.org"}, Roots: f.roots}
	if err := e.Server.UnmarshalText([]byte(f.address)); err != nil {
		panic(err)
	}
	if f.auth != "" {
		e.Username, e.Password = mailUser, config.NewSecret(mailPassword)
	}
	return config.Receiver{Name: "mail", Email: e}
}

func (f *fakeMail) make(t *testing.T, r config.Receiver) *Email {
	t.Helper()
	n, err := New(r, Setting{Zone: berlin(), Log: discard(), ExternalURL: "https://w.example.com", Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	n.(*Email).timeout = 2 * time.Second
	return n.(*Email)
}

func (f *fakeMail) notifier(t *testing.T) alert.Notifier { return f.make(t, f.receiver()) }

func (f *fakeMail) secrets() []string {
	if f.auth == "" {
		return nil
	}
	return []string{mailPassword, base64.StdEncoding.EncodeToString([]byte(mailPassword)),
		base64.StdEncoding.EncodeToString([]byte("\x00" + mailUser + "\x00" + mailPassword))}
}

func (f *fakeMail) hang(*testing.T) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reached = make(chan struct{})
	return f.reached
}

func (f *fakeMail) refuse(*testing.T) {
	f.answers(func(line string) string {
		if strings.HasPrefix(line, "MAIL ") {
			return "550 5.7.1 you may not, " + mailPassword
		}
		return ""
	})
}

func (f *fakeMail) fail(_ *testing.T, times int) { f.mu.Lock(); f.failing = times; f.mu.Unlock() }

func (f *fakeMail) answers(reply func(string) string) { f.mu.Lock(); f.reply = reply; f.mu.Unlock() }

func (f *fakeMail) taken(*testing.T) int { return len(f.all()) }

func (f *fakeMail) all() []fakeLetter { f.mu.Lock(); defer f.mu.Unlock(); return f.mails }

func (f *fakeMail) said(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, m := range f.all() {
		l := m.open(t)
		fmt.Fprintln(&b, l.header.Get("Subject"))
		fmt.Fprintln(&b, l.parts["text/plain"], l.parts["text/html"])
	}
	return b.String()
}

// opened is a mail as a mail program reads it.
type opened struct {
	header mail.Header
	parts  map[string]string
}

func (m fakeLetter) open(t *testing.T) opened {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(m.data))
	if err != nil {
		t.Fatal(err)
	}
	o := opened{msg.Header, map[string]string{}}
	if o.header["Subject"][0], err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q, %v", kind, err)
	}
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return o
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil || p.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Fatalf("%s: %v", kind, err)
		}
		o.parts[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

// session is one connection.
type session struct {
	f      *fakeMail
	conn   net.Conn
	r      *bufio.Reader
	secure bool
	logged bool
	letter fakeLetter
}

func (f *fakeMail) serve(conn net.Conn) {
	s := &session{f: f, conn: conn, r: bufio.NewReader(conn)}
	defer func() { _ = s.conn.Close() }()
	if f.mode == config.MailTLSFirst {
		s.upgrade()
	}
	if !s.say(f.special("CONNECT", "220 mail.example.com ESMTP")) {
		return
	}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if !s.say(f.special(line, "")) && !s.command(line) {
			return
		}
	}
}

// special is another answer than the usual one.
func (f *fakeMail) special(line, usual string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.HasPrefix(line, "MAIL ") {
		if f.reached != nil {
			close(f.reached)
			f.reached = nil
			return "hang"
		}
		if f.failing > 0 {
			f.failing--
			return "451 4.3.0 not just now"
		}
	}
	if f.reply != nil {
		if special := f.reply(line); special != "" {
			return special
		}
	}
	return usual
}

// say answers; nothing to say is no answer.
func (s *session) say(text string) bool {
	if text == "hang" {
		_, _ = io.Copy(io.Discard, s.r)
		return false
	}
	if text == "" {
		return false
	}
	_, err := io.WriteString(s.conn, text+"\r\n")
	return err == nil
}

func (s *session) upgrade() {
	s.conn, s.secure = tls.Server(s.conn, s.f.tls), true
	s.r = bufio.NewReader(s.conn)
}

func (s *session) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	needsTLS := s.f.mode != config.MailNoTLS && !s.secure
	switch {
	case verb == "EHLO":
		return s.say(s.greeting())
	case verb == "STARTTLS" && needsTLS:
		ok := s.say("220 go on")
		s.upgrade()
		return ok
	case verb == "AUTH" && !needsTLS:
		return s.login(rest)
	case verb == "QUIT":
		s.say("221 bye")
		return false
	case verb == "NOOP" || verb == "RSET":
		return s.say("250 ok")
	case needsTLS:
		return s.say("530 5.7.0 STARTTLS first")
	case s.f.auth != "" && !s.logged:
		return s.say("530 5.7.0 log in first")
	case verb == "MAIL":
		s.letter = fakeLetter{from: strings.TrimPrefix(rest, "FROM:")}
		return s.say("250 ok")
	case verb == "RCPT":
		s.letter.to = append(s.letter.to, strings.TrimPrefix(rest, "TO:"))
		return s.say("250 ok")
	case verb == "DATA" && len(s.letter.to) > 0:
		return s.take()
	}
	return s.say("503 5.5.1 out of order")
}

func (s *session) greeting() string {
	lines := []string{"250-mail.example.com", "250-8BITMIME", "250-SMTPUTF8"}
	if s.f.mode == config.MailStartTLS && !s.secure {
		lines = append(lines, "250-STARTTLS")
	} else if s.f.auth != "" {
		lines = append(lines, "250-AUTH "+s.f.auth)
	}
	return strings.Join(append(lines, "250 ENHANCEDSTATUSCODES"), "\r\n")
}

func (s *session) login(rest string) bool {
	mechanism, initial, _ := strings.Cut(rest, " ")
	good := false
	ask := func(prompt string) string {
		s.say("334 " + base64.StdEncoding.EncodeToString([]byte(prompt)))
		line, _ := s.r.ReadString('\n')
		text, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		return string(text)
	}
	switch mechanism {
	case "PLAIN":
		text, _ := base64.StdEncoding.DecodeString(initial)
		good = string(text) == "\x00"+mailUser+"\x00"+mailPassword
	case "LOGIN":
		good = ask("Username:") == mailUser
		good = ask("Password:") == mailPassword && good
	}
	if !good {
		return s.say("535 5.7.8 not these credentials")
	}
	s.logged = true
	s.f.mu.Lock()
	s.f.logins++
	s.f.mu.Unlock()
	return s.say("235 welcome")
}

// take reads a mail until the line with a dot.
func (s *session) take() bool {
	if !s.say("354 go on") {
		return false
	}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		s.letter.data = append(s.letter.data, strings.TrimPrefix(line, ".")...)
	}
	if special := s.f.special("END", ""); special != "" {
		return s.say(special)
	}
	s.f.mu.Lock()
	s.f.mails = append(s.f.mails, s.letter)
	s.f.mu.Unlock()
	return s.say("250 2.0.0 taken")
}
