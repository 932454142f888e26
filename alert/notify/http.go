package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

// Bounds on what a server can cost.
const (
	// maxAnswer is how much of an answer's body is read, in bytes; also the limit for its headers.
	maxAnswer = 64 << 10
	// maxSaid is how much of a refusal is shown, in characters.
	maxSaid = 300
	// longestWait bounds what a server can ask for in Retry-After.
	longestWait = time.Hour
	// phaseTimeout bounds the dialling and the TLS handshake, if the whole exchange has not less.
	phaseTimeout = 5 * time.Second
	// idleTime is how long a connection is kept for a next message; shorter than what servers and firewalls allow.
	idleTime = 20 * time.Second
)

// HTTP is the one way in which this program tells others by HTTP, and the one rule by which it reads their answers:
//
//   - 2xx with an answer that ends, within the time and within 64 KiB, is a success.
//   - 408, 425, 429 and 5xx are tried again, after what Retry-After says, one hour at most.
//   - Every other status is final. So is a redirect, which is never followed: it would send a secret where nobody
//     meant it to go, and often turns a POST into a GET that tells nothing.
//   - What went wrong on the way is tried again.
//
// Its errors show neither the URL nor a header, even where a server repeats them. A forward proxy is used when
// HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment say so, as in other programs: what stands between a monitoring
// host and a chat service is often just that. Probes never use it.
type HTTP struct {
	client  *http.Client
	timeout time.Duration
	agent   string
}

// NewHTTP makes a client; nil roots are the system's. The timeout is for a whole exchange.
func NewHTTP(roots *x509.CertPool, timeout time.Duration, version string) *HTTP {
	phase := min(phaseTimeout, timeout)
	return &HTTP{timeout: timeout, agent: strings.TrimSuffix("whichlayer/"+version, "/"), client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: phase}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    phase,
			MaxResponseHeaderBytes: maxAnswer,
			DisableCompression:     true,
			MaxIdleConns:           2,
			MaxConnsPerHost:        4,
			IdleConnTimeout:        idleTime,
		},
	}}
}

// Request is what is asked of a server.
type Request struct {
	// Method is POST if it is empty and there is a body, else GET.
	Method string
	URL    string
	Header http.Header
	Body   []byte
	// Secrets are texts that no error shows, besides the URL and the values of Header.
	Secrets []string
}

// StatusError is an answer whose status is no success.
type StatusError struct {
	Code int
	// Said is the beginning of the answer, or where it redirects to.
	Said string
}

func (e *StatusError) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("it answers %d %s", e.Code, http.StatusText(e.Code)))
	if e.Said != "" {
		text += ": " + e.Said
	}
	return text
}

// Do makes one exchange and returns the answer's body. Its errors follow the rule above; see [StatusError].
func (h *HTTP) Do(ctx context.Context, r Request) ([]byte, error) {
	hide := r.hidden()
	answer, err := h.do(ctx, r, hide)
	if err == nil || errors.As(err, new(*StatusError)) {
		return answer, err
	}
	return nil, &quiet{hide.clean(bareHTTP(err).Error()), bareHTTP(err)}
}

func (h *HTTP) do(ctx context.Context, r Request, hide hidden) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.timeout, fmt.Errorf("no whole answer within %v: %w", h.timeout, context.DeadlineExceeded))
	defer cancel()
	req, err := r.build(ctx)
	if err != nil {
		return nil, &alert.PermanentError{Err: &quiet{"the request cannot be made: " + hide.clean(bareHTTP(err).Error()), nil}}
	}
	req.Header.Set("User-Agent", h.agent)
	res, err := h.client.Do(req)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, judge(res, body, hide, time.Now())
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("its answer %d breaks off: %w", res.StatusCode, causeOf(ctx, err))
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("its answer %d is longer than %d KiB: is this the right URL?", res.StatusCode, maxAnswer>>10)
	}
	return body, nil
}

func (r *Request) build(ctx context.Context) (*http.Request, error) {
	method := r.Method
	if method == "" && r.Body == nil {
		method = http.MethodGet
	} else if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range r.Header {
		req.Header[http.CanonicalHeaderKey(k)] = v
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	return req, nil
}

// judge makes an error of an answer that is no success.
func judge(res *http.Response, body []byte, hide hidden, now time.Time) error {
	e := &StatusError{Code: res.StatusCode, Said: hide.clean(strings.Join(strings.Fields(string(body)), " "))}
	if to := res.Header.Get("Location"); to != "" && res.StatusCode < 400 {
		e.Said = "it redirects to " + hide.clean(to) + ", which is not followed"
	}
	if !passes(res.StatusCode) {
		return &alert.PermanentError{Err: e}
	}
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		now = date // the server's clock is the one that its Retry-After goes by
	}
	if after, ok := retryAfter(res.Header.Get("Retry-After"), now); ok {
		return &alert.RetryAfterError{After: after, Err: e}
	}
	return e
}

// passes tells which statuses may be others the next time.
func passes(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// retryAfter reads RFC 9110, section 10.2.3: seconds or a date. What is neither says nothing.
func retryAfter(text string, now time.Time) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if date, err := http.ParseTime(text); err == nil {
		return min(max(date.Sub(now), 0), longestWait), true
	}
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseUint(text, 10, 64)
	if err != nil { // more than fits
		return longestWait, true
	}
	return time.Duration(min(seconds, uint64(longestWait/time.Second))) * time.Second, true
}

// causeOf prefers why the context ended to what that did to a connection.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// bareHTTP is the error without the URL, which net/http puts before it.
func bareHTTP(err error) error {
	var leak *url.Error
	if errors.As(err, &leak) {
		return leak.Err
	}
	return err
}

// quiet is an error with a text of its own, which shows less than what it wraps.
type quiet struct {
	text string
	err  error
}

func (e *quiet) Error() string { return e.text }
func (e *quiet) Unwrap() error { return e.err }
