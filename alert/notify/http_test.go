package notify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"0", 0, true},
		{"30", 30 * time.Second, true},
		{" 30 ", 30 * time.Second, true},
		{"3600", time.Hour, true},
		{"3601", time.Hour, true},
		{"99999999999999999999999999", time.Hour, true},
		{"Sun, 22 Nov 2026 14:00:45 GMT", 45 * time.Second, true},
		{"Sunday, 22-Nov-26 14:00:45 GMT", 45 * time.Second, true},
		{"Sun Nov 22 14:00:45 2026", 45 * time.Second, true},
		{"Sun, 22 Nov 2026 13:00:00 GMT", 0, true},
		{"Sun, 22 Nov 2099 14:00:00 GMT", time.Hour, true},
		{"", 0, false}, {"-1", 0, false}, {"+1", 0, false}, {"1.5", 0, false}, {"soon", 0, false}, {"0x10", 0, false}, {"1e3", 0, false},
		{"NaN", 0, false}, {"30 seconds", 0, false}, {strings.Repeat("9", 10000) + "x", 0, false}, {"\xff", 0, false},
	} {
		if got, ok := retryAfter(c.text, now); got != c.want || ok != c.ok {
			t.Errorf("%.40q: got %v, %v", c.text, got, ok)
		}
	}
}

// serve answers each request by f.
func serve(t *testing.T, f http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func TestHTTPStatus(t *testing.T) {
	const taken, again, final = "taken", "again", "final"
	for _, c := range []struct {
		code       int
		retryAfter string
		date       string
		want       string
		wait       time.Duration // with want again; -1: no pause is asked for
	}{
		{200, "", "", taken, 0}, {201, "", "", taken, 0}, {202, "5", "", taken, 0}, {204, "", "", taken, 0},
		{300, "", "", final, 0}, {301, "", "", final, 0}, {302, "9", "", final, 0}, {304, "", "", final, 0}, {308, "", "", final, 0},
		{400, "", "", final, 0}, {401, "", "", final, 0}, {403, "60", "", final, 0}, {404, "", "", final, 0}, {410, "", "", final, 0},
		{413, "", "", final, 0}, {418, "", "", final, 0}, {422, "", "", final, 0}, {499, "", "", final, 0},
		{408, "", "", again, -1}, {425, "", "", again, -1}, {429, "", "", again, -1}, {429, "7", "", again, 7 * time.Second},
		{429, "0", "", again, 0}, {429, "rubbish", "", again, -1}, {500, "", "", again, -1}, {501, "", "", again, -1},
		{502, "", "", again, -1}, {503, "86400", "", again, time.Hour}, {504, "", "", again, -1}, {599, "", "", again, -1},
		// The server's clock is an hour late; what counts is the difference.
		{503, "Sun, 22 Nov 2026 13:00:20 GMT", "Sun, 22 Nov 2026 13:00:00 GMT", again, 20 * time.Second},
	} {
		t.Run(fmt.Sprint(c.code, c.retryAfter), func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.retryAfter != "" {
					w.Header().Set("Retry-After", c.retryAfter)
				}
				if c.date != "" {
					w.Header().Set("Date", c.date)
				}
				w.WriteHeader(c.code)
				_, _ = io.WriteString(w, strings.Repeat("some words ", 1000))
			})
			_, err := NewHTTP(nil, 5*time.Second, "").Do(t.Context(), Request{URL: s.URL, Body: []byte("x")})
			var wait *alert.RetryAfterError
			got := map[bool]string{true: final, false: again}[isPermanent(err)]
			if err == nil {
				got = taken
			}
			after := time.Duration(-1)
			if errors.As(err, &wait) {
				after = wait.After
			}
			if got != c.want || got == again && after != c.wait {
				t.Errorf("got %s, wait %v: %v", got, after, err)
			}
			if err != nil && (len(err.Error()) > 500 || !strings.Contains(err.Error(), fmt.Sprint(c.code))) {
				t.Errorf("error of %d bytes: %v", len(err.Error()), err)
			}
		})
	}
}

// TestHTTPBoundedTime meets servers that stop at each step.
func TestHTTPBoundedTime(t *testing.T) {
	for _, c := range []struct {
		name string
		peer func(net.Conn)
		tls  bool
	}{
		{"says nothing", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, false},
		{"no handshake", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, true},
		{"headers byte by byte", func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nX-Slow: "+strings.Repeat("a", 10000)) }, false},
		{"headers without an end", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-More: yes\r\n"); err != nil {
					return
				}
			}
		}, false},
		{"a body byte by byte", func(c net.Conn) {
			drip(c, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"+strings.Repeat("a", 10000))
		}, false},
		{"a refusal byte by byte", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 503 No\r\nContent-Length: 10000\r\n\r\n")
			drip(c, strings.Repeat("a", 10000))
		}, false},
		{"a body without an end", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for {
				if _, err := io.WriteString(c, strings.Repeat("a", 1000)); err != nil {
					return
				}
			}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, c.peer)
			scheme := "http"
			if c.tls {
				scheme = "https"
			}
			start := time.Now()
			_, err := NewHTTP(nil, 300*time.Millisecond, "").Do(t.Context(), Request{URL: scheme + "://" + address, Body: make([]byte, 100)})
			if took := time.Since(start); err == nil || isPermanent(err) || took > 3*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
}

// drip writes a byte each 20 ms.
func drip(w io.Writer, text string) {
	for _, b := range []byte(text) {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// listen lets peer talk to everyone who connects, reading what comes besides; it ends with the test.
func listen(t *testing.T, peer func(net.Conn)) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go peer(conn)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String()
}

func TestHTTPFollowsNoRedirect(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "https://elsewhere.example.com/login?back="+r.URL.Path, http.StatusFound)
	})
	_, err := NewHTTP(nil, time.Second, "").Do(t.Context(), Request{URL: s.URL + "/services/T0topsecret", Body: []byte("{}")})
	if !isPermanent(err) || asked.Load() != 1 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
	if !strings.Contains(err.Error(), "it redirects to https://elsewhere.example.com/login?back=") || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("got %v", err)
	}
}

// TestHTTPHides lets a server and the way to it say all that they know.
func TestHTTPHides(t *testing.T) {
	secrets := []string{"url-secret", "query secret", "query+secret", "bearer-secret", "password1", "given", "dXNlcjpwYXNzd29yZDE="}
	echo := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintln(w, r.URL.String(), r.URL.Path, r.URL.Query(), r.Header, "password1")
	})
	gone := serve(t, func(http.ResponseWriter, *http.Request) {})
	gone.Close()
	for _, server := range []string{echo.URL, gone.URL, "https://" + strings.TrimPrefix(echo.URL, "http://"), "nonsense://host", "http://no.such.host.invalid", "http://[::1", "http://a b/"} {
		target := strings.Replace(server, "://", "://user:password1@", 1) + "/hooks/url-secret/x?token=query+secret"
		_, err := NewHTTP(nil, 2*time.Second, "").Do(t.Context(), Request{URL: target, Body: []byte("{}"),
			Header: http.Header{"Authorization": {"Bearer bearer-secret"}}, Secrets: []string{"given"}})
		if err == nil {
			t.Fatalf("%s: no error", server)
		}
		for _, secret := range secrets {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error shows %q: %v", server, secret, err)
			}
		}
	}
}

// TestHTTPCauses lets callers tell errors apart.
func TestHTTPCauses(t *testing.T) {
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() })
	_, err := NewHTTP(nil, 100*time.Millisecond, "").Do(t.Context(), Request{URL: slow.URL})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no whole answer within 100ms") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the process ends"))
	if _, err = NewHTTP(nil, time.Second, "").Do(ctx, Request{URL: slow.URL}); err == nil || !strings.Contains(err.Error(), "the process ends") {
		t.Errorf("got %v", err)
	}
	refusing := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no\nsuch\ttoken", http.StatusUnauthorized)
	})
	_, err = NewHTTP(nil, time.Second, "").Do(t.Context(), Request{URL: refusing.URL})
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 401 || status.Said != "no such token" {
		t.Errorf("got %v", err)
	}
}

func TestHTTPTrusts(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.UserAgent(), r.Method) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	answer, err := NewHTTP(roots, time.Second, "v9").Do(t.Context(), Request{URL: s.URL})
	if err != nil || string(answer) != "whichlayer/v9GET" {
		t.Errorf("%q, %v", answer, err)
	}
	if _, err = NewHTTP(nil, time.Second, "").Do(t.Context(), Request{URL: s.URL}); err == nil || isPermanent(err) {
		t.Errorf("an unknown authority: %v", err)
	}
}

// TestHTTPKeepsConnections sends a second message on the first one's connection.
func TestHTTPKeepsConnections(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	h := NewHTTP(nil, time.Second, "")
	var reused []bool
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = append(reused, i.Reused) }})
	for range 3 {
		if got, err := h.Do(ctx, Request{URL: s.URL, Body: []byte("hello")}); err != nil || string(got) != "hello" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if fmt.Sprint(reused) != "[false true true]" {
		t.Errorf("reused %v", reused)
	}
}

func FuzzHidden(f *testing.F) {
	f.Add("https://user:pass@host/a/secretpart?x=secretvalue", "Bearer secrettoken", "body with secretpart and Bearer secrettoken")
	f.Fuzz(func(t *testing.T, url, header, text string) {
		r := Request{URL: url, Header: http.Header{"X": {header}}, Secrets: []string{header}}
		got := r.hidden().clean(text)
		if secret := strings.TrimSpace(header); len(secret) > 12 && !strings.Contains("<hidden>", secret) && strings.Contains(text, secret) && strings.Contains(got, secret) {
			t.Errorf("%q is in %q", secret, got)
		}
		if n := len([]rune(got)); n > maxSaid {
			t.Errorf("%d characters", n)
		}
	})
}
