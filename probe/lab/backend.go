package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Body is what a healthy backend answers; [Chain.Config] expects its first word.
const Body = "ok: the shop is open\n"

// backend is an HTTP/1.1 server with keep-alive.
type backend struct {
	*process

	mu   sync.Mutex
	mode backendMode
}

// backendMode is what the backend does with a request.
type backendMode struct {
	status int
	body   string
	delay  time.Duration
	// answer replaces the ordinary one; it returns when the connection is to be closed.
	answer func(ctx context.Context, c *conn)
}

var healthyBackend = backendMode{status: http.StatusOK, body: Body}

func (b *backend) set(m backendMode) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mode = m
}

func (b *backend) current() backendMode {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mode
}

func (b *backend) handle(ctx context.Context, c *conn) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		mode := b.current()
		if mode.answer != nil {
			mode.answer(ctx, c)
			return
		}
		if !pause(ctx, mode.delay) || ordinary(c, req, mode) != nil || req.Close {
			return
		}
	}
}

func ordinary(c io.Writer, req *http.Request, mode backendMode) error {
	resp := &http.Response{
		StatusCode: mode.status, ProtoMajor: 1, ProtoMinor: 1, Request: req, Close: req.Close,
		Header: http.Header{
			"Server":       {"lab"},
			"Date":         {time.Now().UTC().Format(http.TimeFormat)},
			"Content-Type": {"text/plain; charset=utf-8"},
			"X-Request-Id": req.Header.Values("X-Request-Id"),
		},
		ContentLength: int64(len(mode.body)),
		Body:          io.NopCloser(strings.NewReader(mode.body)),
	}
	w := bufio.NewWriter(c)
	if err := resp.Write(w); err != nil {
		return err
	}
	return w.Flush()
}

// head announces a body of n bytes.
func head(n int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: lab\r\nDate: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n",
		time.Now().UTC().Format(http.TimeFormat), n)
}

// longBody is the announced length of the bodies that do not end well.
const longBody = 8 << 10

func answerTrickle(ctx context.Context, c *conn) {
	if _, err := io.WriteString(c, head(longBody)); err != nil {
		return
	}
	for i := range longBody {
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
		if _, err := io.WriteString(c, strconv.Itoa(i%10)); err != nil {
			return
		}
	}
}

func answerHalf(c *conn) error {
	_, err := io.WriteString(c, head(longBody)+"ok"+strings.Repeat(".", longBody/2))
	return err
}

// answerStall keeps the connection open until the client goes away.
func answerStall(_ context.Context, c *conn) {
	if answerHalf(c) == nil {
		_, _ = io.Copy(io.Discard, c)
	}
}

// answerTruncated leaves the error aside: the connection is closed either way.
func answerTruncated(_ context.Context, c *conn) { _ = answerHalf(c) }

func answerClose(context.Context, *conn) {}

func answerReset(_ context.Context, c *conn) { c.reset() }
