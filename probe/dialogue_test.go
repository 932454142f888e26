package probe

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// waiting is the timeouts of a lane that is expected to wait in vain.
type waiting string

const (
	patient       waiting = "tls: 10s, request: 10s"
	tlsInVain     waiting = "tls: 200ms, request: 10s"
	requestInVain waiting = "tls: 10s, request: 200ms"
)

// dialogueLook makes one round of a front that speaks no HTTP.
func dialogueLook(t *testing.T, p waiting, scheme string, at netip.AddrPort, caFile, keys string) *Lane {
	t.Helper()
	if caFile != "" {
		keys += `, ca_file: "` + caFile + `"`
	}
	return lookAt(t, `front: {url: "%s://demo.test:%d", resolve: [127.0.0.1]%s}, timeouts: {%s}`, scheme, at.Port(), keys, p)
}

// startTLS are servers that begin in clear text: what they say and expect until both sides begin the handshake.
var startTLS = map[string][]string{
	"smtp": {">220-mail.example\r\n220 ready\r\n", "<EHLO whichlayer\r\n", ">250-mail.example\r\n250-STARTTLS\r\n250 SIZE 1000\r\n",
		"<STARTTLS\r\n", ">220 go ahead\r\n"},
	"imap":     {">* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", "<a1 STARTTLS\r\n", ">* some news\r\na1 OK begin\r\n"},
	"pop3":     {">+OK ready\r\n", "<STLS\r\n", ">+OK begin\r\n"},
	"ftp":      {">220 ready\r\n", "<AUTH TLS\r\n", ">234 begin\r\n"},
	"postgres": {"<\x00\x00\x00\x08\x04\xd2\x16\x2f", ">S"},
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	server := p.server("demo.test")
	for protocol, steps := range startTLS {
		t.Run(protocol, func(t *testing.T) {
			keys := `, starttls: ` + protocol + `, dialogue: [{send: "hello\r\n"}, {expect: "welcome"}]`
			whole := append(steps[:len(steps):len(steps)], "tls", "<hello\r\n", ">welcome\r\n")
			l := dialogueLook(t, patient, "tls", play(t, server, whole...), p.caFile, keys)
			wantGood(t, l)
			if len(l.Stages) != 3 || l.TLS == nil || l.HTTP != nil || l.RequestID != "" {
				t.Errorf("%+v", l)
			}

			// Whatever stands behind the consent was said by somebody without TLS.
			injected := append(steps[:len(steps)-1:len(steps)-1], steps[len(steps)-1]+"NOOP\r\n", "tls", "<hello\r\n", ">welcome\r\n")
			l = dialogueLook(t, patient, "tls", play(t, server, injected...), p.caFile, keys)
			if s := failedStage(l); s == nil || s.Stage != StageTLS || s.Type != TLSStartTLS && s.Type != TLSProtocol {
				t.Errorf("injected clear text: %+v", s)
			}

			silent := dialogueLook(t, tlsInVain, "tls", play(t, server), p.caFile, keys)
			wantFailed(t, silent, StageTLS, TLSTimedOut)
			closed := dialogueLook(t, patient, "tls", play(t, server, append(steps[:len(steps)-1:len(steps)-1], "close")...), p.caFile, keys)
			wantFailed(t, closed, StageTLS, TLSClosed)

			// A failure inside TLS says nothing of a record that was cut: what came in clear text was none.
			mute := dialogueLook(t, requestInVain, "tls", play(t, server, append(steps[:len(steps):len(steps)], "tls", "<hello\r\n")...), p.caFile, keys)
			if s := wantFailed(t, mute, StageRequest, AppTimedOut); s.RecordGot != 0 || s.RecordLength != 0 {
				t.Errorf("half a record: %+v", s)
			}
		})
	}
}

// TestStartTLSRefused: a server that says no has answered; that it waits for more afterwards does not make it silent.
func TestStartTLSRefused(t *testing.T) {
	t.Parallel()
	for protocol, steps := range map[string][]string{
		"smtp":     {">220 ready\r\n", "<EHLO whichlayer\r\n", ">250 mail.example\r\n", "<STARTTLS\r\n", ">454 TLS not available\r\n"},
		"imap":     {">* OK ready\r\n", "<a1 STARTTLS\r\n", ">a1 BAD unknown\r\n"},
		"pop3":     {">-ERR overloaded\r\n"},
		"ftp":      {">220 ready\r\n", "<AUTH TLS\r\n", ">502 not implemented\r\n"},
		"postgres": {"<\x00\x00\x00\x08\x04\xd2\x16\x2f", ">N"},
	} {
		for _, end := range []string{"", "close"} {
			if end != "" {
				steps = append(steps[:len(steps):len(steps)], end)
			}
			wait := patient
			if end == "" {
				wait = tlsInVain
			}
			l := dialogueLook(t, wait, "tls", play(t, nil, steps...), "", ", starttls: "+protocol)
			s := wantFailed(t, l, StageTLS, TLSStartTLS)
			if last := strings.Trim(steps[len(steps)-1], ">\r\n"); end == "" && !strings.Contains(s.Error, last) {
				t.Errorf("%s: %s, expected to hear of %q", protocol, s.Error, last)
			}
			if v := Attribute(&Result{Lanes: []Lane{*l}}, nil); v.Cause != CauseTLSRefused {
				t.Errorf("%s: verdict %+v", protocol, v)
			}
		}
	}
}

// TestStartTLSByDialogue: a protocol that we do not know begins TLS after a line of its own.
func TestStartTLSByDialogue(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	at := play(t, p.server("demo.test"), ">hi\n", "<secure?\n", ">yes\n", "tls", "<ping\n", ">pong\n")
	l := dialogueLook(t, patient, "tls", at, p.caFile, `, dialogue: [{expect: "hi\n", send: "secure?\n"}, {expect: "yes\n", starttls: true}, {send: "ping\n"}, {expect: "pong"}]`)
	wantGood(t, l)
	at = play(t, nil, ">hi\n", "<secure?\n", ">no\n", "close")
	l = dialogueLook(t, patient, "tls", at, p.caFile, `, dialogue: [{expect: "hi\n", send: "secure?\n"}, {expect: "yes\n", starttls: true}]`)
	wantFailed(t, l, StageTLS, TLSStartTLS)
}

func TestDialogue(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	const redis = `, dialogue: [{send: "PING\r\n"}, {expect: "^\\+PONG\r\n"}]`
	for name, c := range map[string]struct {
		keys  string
		steps []string
		typ   Type
		text  string
	}{
		"none: connecting is all":       {"", nil, "", ""},
		"redis":                         {redis, []string{"<PING\r\n", ">+PONG\r\n"}, "", ""},
		"redis wants a password":        {redis, []string{"<PING\r\n", ">-NOAUTH Authentication required.\r\n"}, AppExpectation, `the peer said "-NOAUTH Authentication required.`},
		"silent":                        {redis, []string{"<PING\r\n"}, AppTimedOut, "no answer in 200ms"},
		"closes":                        {redis, []string{"<PING\r\n", "close"}, AppClosed, "the peer closed the connection"},
		"closes after something else":   {redis, []string{"<PING\r\n", ">-ERR\r\n", "close"}, AppExpectation, "and closed"},
		"resets":                        {redis, []string{"<PING\r\n", "reset"}, AppReset, "the peer reset the connection"},
		"says too much":                 {redis, []string{"<PING\r\n", ">" + strings.Repeat("x", 100<<10)}, AppExpectation, "more than 65536 bytes"},
		"matches, then silence":         {`, dialogue: [{expect: "one"}, {expect: "two"}]`, []string{">one\n"}, AppTimedOut, "no answer in 200ms"},
		"both in one segment":           {`, dialogue: [{expect: "one"}, {expect: "two"}]`, []string{">one two"}, "", ""},
		"in the wrong order":            {`, dialogue: [{expect: "one"}, {expect: "two"}]`, []string{">two one"}, AppTimedOut, "no answer in 200ms"},
		"what follows is left":          {`, dialogue: [{expect: "one"}]`, []string{">one and more"}, "", ""},
		"foreign bytes are not printed": {`, dialogue: [{expect: "one"}]`, []string{">\x00\x1b[31m\xff", "close"}, AppExpectation, `the peer said "??[31m?"`},
	} {
		for _, scheme := range []string{"tcp", "tls"} {
			caFile, steps := "", c.steps
			if scheme == "tls" {
				if len(steps) > 0 && steps[len(steps)-1] == "close" && c.typ == AppClosed {
					continue // TestDialogueClosedTLS
				}
				caFile, steps = p.caFile, append([]string{"tls"}, steps...)
			}
			wait := patient
			if c.typ != "" && !slices.Contains(steps, "close") && !slices.Contains(steps, "reset") {
				wait = requestInVain
			}
			l := dialogueLook(t, wait, scheme, play(t, p.server("demo.test"), append(steps, handshakeIn(steps)...)...), caFile, c.keys)
			if c.typ == "" {
				wantGood(t, l)
				continue
			}
			if s := wantFailed(t, l, StageRequest, c.typ); !strings.Contains(s.Error, c.text) {
				t.Errorf("%s over %s: %q, expected %q", name, scheme, s.Error, c.text)
			}
		}
	}
}

// handshakeIn lets a server that only speaks TLS get through the handshake: it waits for a byte that never comes.
func handshakeIn(steps []string) []string {
	if len(steps) == 1 && steps[0] == "tls" {
		return []string{"<\x00"}
	}
	return nil
}

// TestDialogueSegments: an answer that comes byte by byte is the same answer.
func TestDialogueSegments(t *testing.T) {
	t.Parallel()
	at := serve(t, func(c net.Conn) {
		c.(*net.TCPConn).SetNoDelay(true)
		for _, b := range "220-hello\r\n220-there\r\n220 ready\r\n" {
			io.WriteString(c, string(b))
			time.Sleep(time.Millisecond)
		}
		silence(c)
	})
	wantGood(t, dialogueLook(t, patient, "tcp", at, "", `, dialogue: [{expect: "220-hello\r\n220-there\r\n220 ready\r\n"}]`))
}

// TestDialogueClosedTLS: the end of TLS is an end, with a close_notify as without.
func TestDialogueClosedTLS(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	at := play(t, p.server("demo.test"), "tls", "<PING\r\n", "close")
	wantFailed(t, dialogueLook(t, patient, "tls", at, p.caFile, `, dialogue: [{send: "PING\r\n"}, {expect: "PONG"}]`), StageRequest, AppClosed)
}

// TestDialogueInherited: a backend of the front's scheme holds the front's dialogue unless it has its own.
func TestDialogueInherited(t *testing.T) {
	t.Parallel()
	good := play(t, nil, "<PING\r\n", ">+PONG\r\n")
	r := newTestTarget(t, `front: {url: "tcp://%s", dialogue: [{send: "PING\r\n"}, {expect: PONG}]}, backends: [
		{name: same, url: "tcp://%s"}, {name: own, url: "tcp://%s", dialogue: [{send: "PING\r\n"}, {expect: PUNG}]}], timeouts: {request: 200ms}`, good, good, good).
		Round(t.Context(), time.Now(), ByCheck)
	wantGood(t, laneNamed(t, &r, LaneFront, ""))
	wantGood(t, laneNamed(t, &r, LaneBackend, "same"))
	wantFailed(t, laneNamed(t, &r, LaneBackend, "own"), StageRequest, AppExpectation)
}
