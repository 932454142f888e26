package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// far is a destination under a test's control. What only some destinations can do is in the optional interfaces below.
type far interface {
	// notifier makes the notifier that reaches it. Its own patience is some seconds at most.
	notifier(t *testing.T) alert.Notifier
	// hang makes it take a message and never answer; the returned channel is closed when it has one.
	hang(t *testing.T) (reached <-chan struct{})
	// refuse makes it answer that no such message will ever do.
	refuse(t *testing.T)
	// taken is how many messages it has.
	taken(t *testing.T) int
}

// busy is a far that can fail for a while.
type busy interface {
	// fail makes it answer, times times, that it does not work just now.
	fail(t *testing.T, times int)
}

// web is a far that is asked by HTTP.
type web interface {
	// answer makes h answer in its place from now on; nil makes it answer by itself again.
	answer(t *testing.T, h http.Handler)
}

// keeper is a far whose notifier knows secrets.
type keeper interface {
	// secrets are texts that no error may show.
	secrets() []string
}

// reader is a far that tells what it was told.
type reader interface {
	// said is everything that it was told, in the form in which people or programs read it.
	said(t *testing.T) string
}

// conform is what every notifier must do, whatever its kind.
func conform(t *testing.T, begin func(t *testing.T) far) {
	t.Run("every transition is taken", func(t *testing.T) {
		f := begin(t)
		n := f.notifier(t)
		for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved, config.Dismissed} {
			if err := n.Notify(t.Context(), sample(tr)); err != nil {
				t.Errorf("%s: %v", tr, err)
			}
		}
		if got := f.taken(t); got < 5 {
			t.Errorf("5 transitions made %d messages", got)
		}
	})
	t.Run("the same message again", func(t *testing.T) {
		f := begin(t)
		n := f.notifier(t)
		for range 2 {
			if err := n.Notify(t.Context(), sample(config.Opened)); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("messages of every sort", func(t *testing.T) { conformSorts(t, begin) })
	t.Run("a failure that passes", func(t *testing.T) { conformBusy(t, begin) })
	t.Run("by HTTP", func(t *testing.T) { conformWeb(t, begin) })
	t.Run("a context that has ended", func(t *testing.T) {
		f := begin(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.notifier(t).Notify(ctx, sample(config.Opened)); err == nil || f.taken(t) != 0 {
			t.Errorf("error %v, %d messages", err, f.taken(t))
		}
	})
	t.Run("a context that ends meanwhile", func(t *testing.T) {
		f := begin(t)
		reached := f.hang(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-reached; cancel() }()
		start := time.Now()
		if err := f.notifier(t).Notify(ctx, sample(config.Opened)); err == nil {
			t.Error("no error although nobody answered")
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("returned after %v", took)
		}
	})
	t.Run("refused for good", func(t *testing.T) {
		f := begin(t)
		f.refuse(t)
		err := f.notifier(t).Notify(t.Context(), sample(config.Opened))
		var permanent *alert.PermanentError
		if !errors.As(err, &permanent) {
			t.Errorf("got %v, want a permanent error", err)
		}
		keepsSecrets(t, f, err)
	})
	t.Run("the largest incident", func(t *testing.T) {
		if err := begin(t).notifier(t).Notify(t.Context(), huge()); err != nil {
			t.Error(err)
		}
	})
}

// conformSorts tells what is no plain transition, and wants it to be marked as what it is.
func conformSorts(t *testing.T, begin func(t *testing.T) far) {
	for _, c := range []struct {
		name string
		n    alert.Notification
		want []string
	}{
		{"a drill begins", drill(config.Opened), []string{"DRILL", "nobody has to do anything"}},
		{"a drill ends", drill(config.Resolved), []string{"DRILL", "nobody has to do anything"}},
		{"a reminder", reminder(), []string{"still down after 4h0m"}},
		{"over before it was told", whole(), []string{"over before this could be told"}},
		{"several targets", together(config.Opened), []string{"orders and 3 others are down", "invoices", "stock", "billing"}},
		{"several targets are well", together(config.Resolved), []string{"orders and 3 others are up again"}},
		{"without a good observation before", boundless(), []string{"orders"}},
		{"the state cannot be written", degraded(), []string{"durability: degraded"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := begin(t)
			if err := f.notifier(t).Notify(t.Context(), c.n); err != nil {
				t.Fatal(err)
			}
			r, ok := f.(reader)
			if !ok {
				return
			}
			said := r.said(t)
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not in\n%s", want, said)
				}
			}
		})
	}
}

// conformBusy lets the destination fail once: that is no permanent error, and the next attempt succeeds.
func conformBusy(t *testing.T, begin func(t *testing.T) far) {
	f := begin(t)
	b, ok := f.(busy)
	if !ok {
		t.Skip("this destination does not fail for a while")
	}
	b.fail(t, 1)
	n := f.notifier(t)
	err := n.Notify(t.Context(), sample(config.Opened))
	if isPermanent(err) || err == nil {
		t.Errorf("got %v, want an error that passes", err)
	}
	keepsSecrets(t, f, err)
	if err := n.Notify(t.Context(), sample(config.Opened)); err != nil {
		t.Errorf("the second attempt: %v", err)
	}
	if got := f.taken(t); got != 1 {
		t.Errorf("one message was taken %d times", got)
	}
}

// hostileTime is what an attempt with a destination may cost that does its worst.
const hostileTime = 10 * time.Second

// conformWeb meets destinations that are slow, wrong, endless or malicious. Each costs bounded time and none is a success.
func conformWeb(t *testing.T, begin func(t *testing.T) far) {
	if _, ok := begin(t).(web); !ok {
		t.Skip("this destination is not asked by HTTP")
	}
	for _, c := range hostile() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := begin(t)
			n := f.notifier(t)
			f.(web).answer(t, c.handler)
			start := time.Now()
			err := n.Notify(t.Context(), sample(config.Opened))
			if took := time.Since(start); took > hostileTime {
				t.Errorf("took %v", took)
			}
			var wait *alert.RetryAfterError
			switch waits := errors.As(err, &wait); {
			case err == nil:
				t.Error("taken for a success")
			case isPermanent(err) != c.permanent:
				t.Errorf("permanent is %v, want %v: %v", isPermanent(err), c.permanent, err)
			case waits != (c.wait > 0) || waits && wait.After != c.wait:
				t.Errorf("got %v, want to wait %v", err, c.wait)
			}
			keepsSecrets(t, f, err)
		})
	}
}

// hostileServer is a way to answer badly.
type hostileServer struct {
	name      string
	handler   http.Handler
	permanent bool
	wait      time.Duration // 0: it does not ask for a pause
}

func hostile() []hostileServer {
	status := func(code int, header ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			// Whatever was sent comes back: secrets too.
			_ = r.Header.Write(w)
			_, _ = fmt.Fprintln(w, r.URL.String())
			_, _ = io.Copy(w, io.LimitReader(r.Body, 200))
		})
	}
	return []hostileServer{
		{"too many requests", status(http.StatusTooManyRequests, "Retry-After", "17"), false, 17 * time.Second},
		{"not for now", status(http.StatusServiceUnavailable), false, 0},
		{"no such page", status(http.StatusNotFound), true, 0},
		{"not allowed", status(http.StatusForbidden), true, 0},
		{"redirect to itself", status(http.StatusTemporaryRedirect, "Location", "/again"), true, 0},
		{"endless answer", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pour(w, r, 0) }), false, 0},
		{"an answer byte by byte", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pour(w, r, 100*time.Millisecond) }), false, 0},
		{"200 and a reset", http.HandlerFunc(resetMidway), false, 0},
		{"no HTTP", raw("SSH-2.0-OpenSSH_9.2\r\n"), false, 0},
		{"huge headers", raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 3000)), false, 0},
		{"endless hints", raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 2000)), false, 0},
		{"hangs up", raw(""), false, 0},
	}
}

// pour writes for as long as the peer reads, with a pause after each part.
func pour(w http.ResponseWriter, r *http.Request, pause time.Duration) {
	part := []byte(strings.Repeat(" ", 1<<14))
	if pause > 0 {
		part = part[:1]
	}
	for r.Context().Err() == nil {
		if _, err := w.Write(part); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		if pause > 0 {
			select {
			case <-r.Context().Done():
			case <-time.After(pause):
			}
		}
	}
}

// resetMidway announces more than it sends.
func resetMidway(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `{"ok":tr`)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// raw answers with bytes that net/http would not send, and hangs up.
func raw(answer string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	})
}

func isPermanent(err error) bool {
	var permanent *alert.PermanentError
	return errors.As(err, &permanent)
}

// keepsSecrets looks for the destination's secrets in an error, as it prints and as it is built.
func keepsSecrets(t *testing.T, f far, err error) {
	t.Helper()
	k, ok := f.(keeper)
	if !ok || err == nil {
		return
	}
	for _, secret := range k.secrets() {
		if text := fmt.Sprintf("%v", err); strings.Contains(text, secret) {
			t.Errorf("the error shows %q: %s", secret, text)
		}
	}
}

// huge has far more of everything than fits, in characters of all kinds.
func huge() alert.Notification {
	n := sample(config.Opened)
	i, v := *n.Event.Incident, *n.Event.Verdict
	nasty := "日本語 & <!channel> ``` *_~` \x00\x1b[31m \xff 🧊 "
	for k := range 500 {
		v.Evidence = append(v.Evidence, strings.Repeat(nasty, 10))
		v.WouldDecide = append(v.WouldDecide, strings.Repeat(nasty, 8))
		v.Cleared = append(v.Cleared, probe.Cleared{Layer: probe.LayerDNS, Reason: nasty})
		v.Suspects = append(v.Suspects, probe.Suspect{Layer: probe.LayerHost, Cause: probe.Cause(nasty)})
		i.Fingerprints = append(i.Fingerprints, alert.Fingerprint{Local: fmt.Sprintf("10.0.9.4:%d", 1000+k), Remote: fmt.Sprintf("10.0.%d.10:443", k%256), RequestID: nasty})
		n.Event.Lanes = append(n.Event.Lanes, probe.Lane{Lane: probe.LaneVia, Hop: strings.Repeat(nasty, 5), Address: nasty, Stages: []probe.Stage{
			{Stage: probe.StageTLS, Outcome: probe.Failed, Type: probe.TLSTimedOut, Error: nasty, Duration: probe.Seconds(time.Second)}}})
	}
	v.Confidence = probe.Ambiguous
	i.Target = strings.Repeat(nasty, 20)
	n.Event.Target, n.Event.Incident, n.Event.Verdict = i.Target, &i, &v
	return n
}
