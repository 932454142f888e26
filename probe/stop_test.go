package probe

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestRoundEndsAtOnce: a round that is called off while a body stalls does not wait for it, and for a name server's answer
// no longer than for one datagram.
func TestRoundEndsAtOnce(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 10)
	at := serve(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
		reached <- struct{}{}
		silence(c)
	})
	mute := serveDNSRaw(t, func(dns.ResponseWriter, *dns.Msg) { reached <- struct{}{} })
	cfg, env := load(t, "dns: {servers: [\"%s\"]}\ntargets: [{name: demo, front: {url: \"http://a.test/\"}, timeouts: {resolve: 8s}}]", mute)
	named, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]*Target{
		"body": newTestTarget(t, `front: {url: "http://%s/"}, timeouts: {response: 60s}`, at),
		"name": named,
	} {
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			<-reached
			time.Sleep(200 * time.Millisecond) // nothing tells that the head was read and the body is waited for
			stop()
		}()
		start := time.Now()
		target.Round(ctx, time.Now(), ByCheck)
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("%s: returned after %v", name, took)
		}
		stop()
	}
}

func TestClipHostile(t *testing.T) {
	t.Parallel()
	if got, want := clip("a\u009b31mb\u202ec\x1b[0m\u2028d é日", 100), "a?31mb?c?[0m?d é日"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
