package probe

import (
	"errors"
	"io"
	"regexp"
	"sync/atomic"

	"github.com/whichlayer/whichlayer/config"
)

// dialogueLimit bounds what is kept of a peer's words while waiting for the expected ones.
const dialogueLimit = 64 << 10

var appEnds = streamTypes{timedOut: AppTimedOut, closed: AppClosed, reset: AppReset}

// dialogue speaks the lines that come after the TLS handshake, or all of them on a clear-text lane.
func (a *attempt) dialogue() error {
	lines := a.spec.ep.Dialogue
	if _, after, ok := splitStartTLS(lines); ok {
		lines = after
	}
	return a.speak(a.stream, lines, AppExpectation, appEnds)
}

// prologue speaks what must be said before the TLS handshake.
func (a *attempt) prologue() error {
	if before, _, ok := splitStartTLS(a.spec.ep.Dialogue); ok {
		return a.speak(a.conn, before, TLSStartTLS, tlsEnds)
	}
	if a.spec.ep.StartTLS == config.StartTLSPostgres {
		return askPostgres(a.conn)
	}
	return a.speak(a.conn, startTLSLines[a.spec.ep.StartTLS], TLSStartTLS, tlsEnds)
}

// splitStartTLS cuts a dialogue after the line that asks for TLS.
func splitStartTLS(lines []config.Line) (before, after []config.Line, ok bool) {
	for i, l := range lines {
		if l.StartTLS {
			return lines[:i+1], lines[i+1:], true
		}
	}
	return nil, nil, false
}

func expectLine(re, send string) config.Line {
	return config.Line{Expect: &config.Regexp{Regexp: regexp.MustCompile(re)}, Send: send}
}

// startTLSLines are the prologues of text protocols.
var startTLSLines = map[config.StartTLS][]config.Line{
	config.StartTLSSMTP: {
		expectLine(`(?m)^220 .*\r?\n`, "EHLO whichlayer\r\n"),
		expectLine(`(?m)^250 .*\r?\n`, "STARTTLS\r\n"),
		expectLine(`(?m)^220 .*\r?\n`, ""),
	},
	config.StartTLSIMAP: {
		expectLine(`(?m)^\* OK.*\r?\n`, "a1 STARTTLS\r\n"),
		expectLine(`(?m)^a1 OK.*\r?\n`, ""),
	},
	config.StartTLSPOP3: {
		expectLine(`(?m)^\+OK.*\r?\n`, "STLS\r\n"),
		expectLine(`(?m)^\+OK.*\r?\n`, ""),
	},
	config.StartTLSFTP: {
		expectLine(`(?m)^220 .*\r?\n`, "AUTH TLS\r\n"),
		expectLine(`(?m)^234 .*\r?\n`, ""),
	},
}

// askPostgres sends an SSLRequest (PostgreSQL protocol 3.0, "SSL Session Encryption") and waits for the S.
func askPostgres(conn *wire) error {
	if _, err := conn.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil {
		return orInvalid(err, TLSStartTLS, tlsEnds)
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(conn, b); err != nil {
		return orInvalid(err, TLSStartTLS, tlsEnds)
	}
	if b[0] != 'S' {
		return fail(TLSStartTLS, "the server answered %s to SSLRequest", printable(b))
	}
	return nil
}

// conversation reads what a peer says and keeps what was not matched yet.
type conversation struct {
	stream io.ReadWriter
	raw    *wire
	wrong  Type // of an answer that does not match
	ends   streamTypes
	unread []byte
	// unmatched shows the stage, whose patience is not ours, that the peer spoke and did not say what was expected.
	unmatched *atomic.Pointer[failure]
}

// speak goes through the lines. Words that the peer says beyond the last expected ones are left unread; before a TLS
// handshake they are an error, because somebody may have put them there (RFC 3207, 6).
func (a *attempt) speak(stream io.ReadWriter, lines []config.Line, wrong Type, ends streamTypes) error {
	c := conversation{stream: stream, raw: a.conn, wrong: wrong, ends: ends, unmatched: &a.unmatched}
	for _, l := range lines {
		if l.Expect != nil {
			if err := c.listen(l.Expect.Regexp); err != nil {
				return err
			}
		}
		if l.Send == "" {
			continue
		}
		if _, err := io.WriteString(stream, l.Send); err != nil {
			return c.failure(err)
		}
	}
	if wrong == TLSStartTLS && len(c.unread) > 0 {
		return fail(wrong, "the peer said %s after its consent to TLS", printable(c.unread))
	}
	return nil
}

// listen reads until what was received matches.
func (c *conversation) listen(re *regexp.Regexp) error {
	chunk := make([]byte, 4096)
	for {
		if m := re.FindIndex(c.unread); m != nil {
			c.unread = c.unread[m[1]:]
			c.unmatched.Store(nil)
			return nil
		}
		if len(c.unread) > dialogueLimit {
			return fail(c.wrong, "the peer said more than %d bytes without what was expected, beginning with %s", dialogueLimit, printable(c.unread))
		}
		n, err := c.stream.Read(chunk)
		c.unread = append(c.unread, chunk[:n]...)
		if n > 0 {
			c.unmatched.Store(fail(c.wrong, "the peer said %s and no more, expected %q", printable(c.unread), re))
			continue
		}
		if len(c.unread) > 0 && errors.Is(err, io.EOF) {
			return fail(c.wrong, "the peer said %s and closed, expected %q", printable(c.unread), re)
		}
		if err != nil {
			return c.failure(err)
		}
	}
}

func (c *conversation) failure(err error) error {
	if f := alertFailure(err); f != nil {
		return f
	}
	if raw := c.raw.last(); raw != nil {
		err = raw
	}
	return orInvalid(err, c.wrong, c.ends)
}

func orInvalid(err error, wrong Type, ends streamTypes) error {
	if f, ok := streamFailure(err, ends); ok {
		return f
	}
	return &failure{typ: wrong, err: err}
}
