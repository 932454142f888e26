package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// headLimit bounds a response's status line and headers, as net/http's client would allow, and less.
	headLimit = 64 << 10
	// bodyLimit bounds what is read of a body; a longer one is judged by its beginning.
	bodyLimit = 1 << 20
	// maxInterim bounds the 1xx responses before the real one.
	maxInterim = 8
)

var httpEnds = streamTypes{timedOut: HTTPTimedOut, closed: HTTPClosed, reset: HTTPReset}

// request writes the request and waits for the first byte of the answer; on tls and tcp lanes it holds the dialogue.
func (a *attempt) request() (<-chan error, bool) {
	timeout := a.spec.timeouts.Request.Std()
	if !a.spec.http() {
		return a.stage(a.life, StageRequest, timeout, func(ctx context.Context) error {
			defer context.AfterFunc(ctx, func() { a.conn.Close() })()
			return a.dialogue()
		})
	}
	a.trace = newTraceID()
	a.lane.RequestID = a.trace.requestID()
	head := a.spec.requestBytes(a.trace, "close")
	reader := newResponseReader(a.stream)
	pending, ok := a.stage(a.life, StageRequest, timeout, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { a.conn.Close() })()
		return askHTTP(a.stream, a.conn, head, reader)
	})
	a.reader = reader
	return pending, ok
}

// askHTTP writes a request and waits until the first byte of the answer can be read. A peer that has closed may have
// said why before: what it sent is read even when our request could not be written.
func askHTTP(to io.Writer, raw *wire, head []byte, reader *responseReader) error {
	_, unsent := to.Write(head)
	rawUnsent := raw.last()
	if unsent != nil && !errors.Is(unsent, syscall.EPIPE) && !errors.Is(unsent, syscall.ECONNRESET) {
		return exchangeFailure(unsent, rawUnsent)
	}
	_, err := reader.buf.Peek(1)
	switch {
	case err == nil:
		return nil
	case unsent != nil && alertFailure(err) == nil:
		return exchangeFailure(unsent, rawUnsent)
	}
	return exchangeFailure(err, raw.last())
}

// alertFailure is the failure when the peer sent an alert, else nil. A TLS 1.3 server that refuses our certificate
// says so only after our side of the handshake is done.
func alertFailure(err error) *failure {
	msg := remoteError(err)
	if msg == "" {
		return nil
	}
	return &failure{typ: TLSAlert, err: errors.New("the peer sent the alert " + strings.TrimPrefix(msg, "tls: "))}
}

// exchangeFailure types the error of an exchange.
func exchangeFailure(err, raw error) error {
	if f := alertFailure(err); f != nil {
		return f
	}
	if raw != nil {
		if f, ok := streamFailure(raw, httpEnds); ok {
			return f
		}
	}
	if f, ok := streamFailure(err, httpEnds); ok {
		return f
	}
	return &failure{typ: HTTPInvalid, err: err}
}

// response reads status, headers and body, and holds them against what is expected.
func (a *attempt) response() (<-chan error, bool) {
	type answer struct {
		facts *HTTPFacts
		err   error
	}
	got := make(chan answer, 1)
	timeout := a.spec.timeouts.Response.Std()
	pending, ok := a.stage(a.life, StageResponse, timeout, func(ctx context.Context) error {
		a.conn.SetReadDeadline(time.Now().Add(timeout))
		defer context.AfterFunc(ctx, func() { a.conn.Close() })()
		facts, body, resp, err := a.reader.read(a.spec.ep.Request.Method, a.conn)
		if err == nil {
			err = checkResponse(&a.spec.expect, resp, body)
		}
		got <- answer{facts, err}
		return err
	})
	if pending != nil {
		// The read deadline ends the reader at the same instant, and the round may end long before it; nothing is left
		// open here.
		a.close()
		<-pending
	}
	select {
	case ans := <-got:
		a.lane.HTTP = ans.facts
	default:
	}
	return nil, ok
}

// responseReader reads one response with bounds on head and body.
type responseReader struct {
	limit *io.LimitedReader
	buf   *bufio.Reader
}

func newResponseReader(r io.Reader) *responseReader {
	l := &io.LimitedReader{R: r, N: headLimit}
	return &responseReader{limit: l, buf: bufio.NewReaderSize(l, 4096)}
}

// read takes the response, without following or decoding anything.
func (r *responseReader) read(method string, raw *wire) (*HTTPFacts, []byte, *http.Response, error) {
	resp, err := r.head(method)
	if err != nil {
		return nil, nil, nil, r.failure(err, raw, HTTPClosed)
	}
	defer resp.Body.Close()
	facts := httpFacts(resp)
	r.limit.N = bodyLimit + headLimit
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit+1))
	if len(body) > bodyLimit {
		facts.Limited, body = true, body[:bodyLimit]
	}
	facts.BodyBytes = int64(len(body))
	if err != nil && !facts.Limited {
		return facts, body, resp, r.failure(err, raw, HTTPBodyTruncated)
	}
	return facts, body, resp, nil
}

// head reads the status line and headers, passing over interim responses (RFC 9110, 15.2).
func (r *responseReader) head(method string) (*http.Response, error) {
	for range maxInterim {
		resp, err := http.ReadResponse(r.buf, &http.Request{Method: method})
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim responses", maxInterim)
}

// failure types a reading error: the raw error first, then our own limit, then what the parser found.
func (r *responseReader) failure(err error, raw *wire, closed Type) error {
	if r.limit.N <= 0 {
		return fail(HTTPInvalid, "head longer than %d bytes", headLimit)
	}
	ends := streamTypes{timedOut: HTTPBodyStalled, closed: closed, reset: HTTPReset}
	if f, ok := streamFailure(raw.last(), ends); ok {
		return f
	}
	if f, ok := streamFailure(err, ends); ok {
		return f
	}
	return &failure{typ: HTTPInvalid, err: errors.New(clip(err.Error(), 200))}
}

func httpFacts(resp *http.Response) *HTTPFacts {
	f := &HTTPFacts{
		Status: resp.StatusCode, Proto: clip(resp.Proto, 16), ContentLength: resp.ContentLength,
		Server: clip(resp.Header.Get("Server"), 100), Location: clip(withoutQuery(resp.Header.Get("Location")), 200),
	}
	if d, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		f.Date = d.UTC()
	}
	return f
}

// withoutQuery drops what follows a ? or #: redirects carry tokens there.
func withoutQuery(location string) string {
	if i := strings.IndexAny(location, "?#"); i >= 0 {
		return location[:i]
	}
	return location
}

// requestBytes is the request of the lane as it goes over the wire.
func (s *laneSpec) requestBytes(id traceID, connection string) []byte {
	q := &s.ep.Request
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, s.ep.URL.RequestURI(), s.host)
	h := http.Header{}
	h.Set("User-Agent", "whichlayer/"+s.version)
	h.Set("Accept", "*/*")
	h.Set("Accept-Encoding", "identity")
	h.Set("Connection", connection)
	h.Set("X-Request-Id", id.requestID())
	h.Set("Traceparent", id.parent())
	switch {
	case q.BasicAuth != nil:
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(q.BasicAuth.Username+":"+q.BasicAuth.Password.Reveal())))
	case !q.BearerToken.IsZero():
		h.Set("Authorization", "Bearer "+q.BearerToken.Reveal())
	}
	for k, v := range q.Headers {
		h.Set(k, v)
	}
	if q.Body != "" || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		h.Set("Content-Length", strconv.Itoa(len(q.Body)))
	}
	_ = h.Write(&b) // a bytes.Buffer takes everything
	b.WriteString("\r\n" + q.Body)
	return b.Bytes()
}
