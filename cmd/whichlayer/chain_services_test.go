//go:build linux

package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// The services below live in the test process, with their sockets in the namespaces.

// nameServer is the chain's DNS server.
type nameServer struct {
	names map[string]net.IP
	// gone answers NXDOMAIN to everything, silent answers nothing.
	gone, silent atomic.Bool
}

// serve answers on the host's port 53.
func (s *nameServer) serve(h *host, address string) {
	h.t.Helper()
	var pc net.PacketConn
	err := h.enter(func() (err error) {
		pc, err = net.ListenPacket("udp4", address)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	server := &dns.Server{PacketConn: pc, Handler: s}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.ActivateAndServe() }()
	h.t.Cleanup(func() { pc.Close(); <-done })
}

// ServeDNS implements dns.Handler.
func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	if s.silent.Load() {
		return
	}
	a := new(dns.Msg).SetReply(q)
	ip, known := s.names[q.Question[0].Name]
	switch {
	case s.gone.Load() || !known:
		a.Rcode = dns.RcodeNameError
	case q.Question[0].Qtype == dns.TypeA:
		head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}
		a.Answer = []dns.RR{&dns.A{Hdr: head, A: ip}}
	}
	_ = w.WriteMsg(a)
}

// slowApp stands behind nginx and takes its time.
type slowApp struct{ delay atomic.Int64 }

// ServeHTTP implements http.Handler.
func (s *slowApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	timer := time.NewTimer(time.Duration(s.delay.Load()))
	defer timer.Stop()
	select {
	case <-timer.C:
		_, _ = io.WriteString(w, "chain-ok\n")
	case <-r.Context().Done():
	}
}

// slackCall is one call of Slack's web API.
type slackCall struct {
	Time   time.Time
	Method string
	Form   map[string][]string
}

// fakeSlack answers as Slack's web API does and keeps what it was told.
type fakeSlack struct {
	mu    sync.Mutex
	calls []slackCall
}

// ServeHTTP implements http.Handler.
func (s *fakeSlack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseMultipartForm(1 << 20)
	s.mu.Lock()
	s.calls = append(s.calls, slackCall{Time: time.Now(), Method: r.URL.Path, Form: r.Form})
	ts := fmt.Sprintf("1700000000.%06d", len(s.calls))
	s.mu.Unlock()
	if old := r.Form.Get("ts"); old != "" {
		ts = old
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "channel": "C0CHAIN", "ts": ts, "team": "chain", "user": "whichlayer"})
}

// told are the calls so far.
func (s *fakeSlack) told() []slackCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]slackCall(nil), s.calls...)
}

// serveHTTP serves a handler on a host.
func serveHTTP(h *host, address string, handler http.Handler) {
	h.t.Helper()
	l := h.listen(address)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	h.t.Cleanup(func() { server.Close(); <-done })
}
