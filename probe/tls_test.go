package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const tlsFront = `front: {url: "https://demo.test:%d/", resolve: [127.0.0.1], ca_file: "%s"%s}%s`

func TestTLSFacts(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	server := p.server("demo.test")
	server.MaxVersion = tls.VersionTLS12
	l := lookAt(t, tlsFront, serveHTTP(t, server, answerOK).Port(), p.caFile, "", ", expect: {cert_days: 7}")
	wantGood(t, l)
	leaf := server.Certificates[0].Leaf
	want := &TLSFacts{
		Version: "TLS 1.2", Cipher: l.TLS.Cipher, NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(),
		Subject: "CN=demo.test", Issuer: "CN=Test root", Names: []string{"demo.test"}, MinDays: 7, ChainLength: 1,
	}
	if diff := cmp.Diff(want, l.TLS); diff != "" || !strings.HasPrefix(l.TLS.Cipher, "TLS_") {
		t.Error(l.TLS.Cipher, diff)
	}
	for _, s := range l.Stages {
		if s.TCPInfo == nil {
			t.Errorf("%s without TCP_INFO", s.Stage)
		}
	}
}

// TestTLSCertificates: each way in which a certificate can be wrong has its type, and is shown all the same.
func TestTLSCertificates(t *testing.T) {
	t.Parallel()
	p, other := newPKI(t), newPKI(t)
	serverOf := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	early := p.issue("demo.test", 30, x509.ExtKeyUsageServerAuth)
	for name, c := range map[string]struct {
		server *tls.Config
		keys   string
		typ    Type
	}{
		"expired":         {serverOf(p.issue("demo.test", -1, x509.ExtKeyUsageServerAuth)), "", TLSCertDate},
		"another name":    {p.server("www.test"), "", TLSCertName},
		"unknown issuer":  {other.server("demo.test"), "", TLSCertAuthority},
		"for clients":     {serverOf(p.issue("demo.test", 30, x509.ExtKeyUsageClientAuth)), "", TLSCertInvalid},
		"for server_name": {p.server("www.test"), ", server_name: www.test", ""},
		"not the other":   {serverOf(early), ", server_name: www.test", TLSCertName},
	} {
		l := lookAt(t, tlsFront, serveHTTP(t, c.server, answerOK).Port(), p.caFile, c.keys, "")
		if c.typ == "" {
			wantGood(t, l)
			continue
		}
		wantFailed(t, l, StageTLS, c.typ)
		if l.TLS == nil || l.TLS.ChainLength != 1 || !l.TLS.NotAfter.Equal(c.server.Certificates[0].Leaf.NotAfter) || l.TLS.Version != "" {
			t.Errorf("%s: %+v", name, l.TLS)
		}
	}
}

// TestTLSFirstToEnd: of a chain the certificate that ends first is told.
func TestTLSFirstToEnd(t *testing.T) {
	leaf := &x509.Certificate{NotAfter: time.Now().AddDate(0, 0, 90)}
	issuing := &x509.Certificate{NotAfter: time.Now().AddDate(0, 0, 3)}
	f := tlsFacts(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, issuing}}, nil)
	if !f.NotAfter.Equal(issuing.NotAfter) || f.ChainLength != 2 {
		t.Errorf("%+v", f)
	}
}

// TestTLSServerName: the server sees the front's name, on backends too, and no name when there is only an address.
func TestTLSServerName(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	names := make(chan string, 4)
	server := p.server("demo.test")
	server.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		names <- h.ServerName + " " + strings.Join(h.SupportedProtos, ",")
		return nil, nil
	}
	at := serveHTTP(t, server, answerOK)
	target := newTestTarget(t, `front: {url: "https://demo.test:%d/", resolve: [127.0.0.1], ca_file: "%s"}, backend: {url: "https://%s/", ca_file: "%s"}`,
		at.Port(), p.caFile, at, p.caFile)
	r := target.Round(t.Context(), time.Now(), ByCheck)
	for i := range r.Lanes {
		wantGood(t, &r.Lanes[i])
		if got := <-names; got != "demo.test http/1.1" {
			t.Errorf("the server was asked for %q", got)
		}
	}
	l := lookAt(t, `front: {url: "https://%s/", ca_file: "%s"}`, at, p.caFile)
	wantFailed(t, l, StageTLS, TLSCertName)
	if got := <-names; got != " http/1.1" {
		t.Errorf("the server was asked for %q", got)
	}
}

func TestTLSMinVersion(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	old := p.server("demo.test")
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	at12 := p.server("demo.test")
	at12.MaxVersion = tls.VersionTLS12
	for _, c := range []struct {
		server *tls.Config
		keys   string
		want   string
	}{
		{old, "", "alert"},
		{old, `, min_tls: "1.0"`, "TLS 1.1"},
		{at12, "", "TLS 1.2"},
		{at12, `, min_tls: "1.3"`, "alert"},
		{p.server("demo.test"), `, min_tls: "1.3"`, "TLS 1.3"},
	} {
		l := lookAt(t, tlsFront, serveHTTP(t, c.server, answerOK).Port(), p.caFile, c.keys, "")
		if c.want == "alert" {
			if s := wantFailed(t, l, StageTLS, TLSAlert); !strings.Contains(s.Error, "protocol version") {
				t.Errorf("%s", s.Error)
			}
			continue
		}
		wantGood(t, l)
		if l.TLS == nil || l.TLS.Version != c.want {
			t.Errorf("%+v, expected %s", l.TLS, c.want)
		}
	}
}

// TestTLSClientCertificate: a TLS 1.3 server refuses a client only after the client's side of the handshake is over.
func TestTLSClientCertificate(t *testing.T) {
	t.Parallel()
	p, other := newPKI(t), newPKI(t)
	for _, c := range []struct {
		version uint16
		refused StageName
	}{{tls.VersionTLS12, StageTLS}, {tls.VersionTLS13, StageRequest}} {
		server := p.server("demo.test")
		server.MaxVersion, server.ClientAuth, server.ClientCAs = c.version, tls.RequireAndVerifyClientCert, p.pool()
		at := serveHTTP(t, server, answerOK)
		with := func(p *pki) string {
			cert, key := p.client("prober")
			return `, cert_file: "` + cert + `", key_file: "` + key + `"`
		}
		wantGood(t, lookAt(t, tlsFront, at.Port(), p.caFile, with(p), ""))
		none := lookAt(t, tlsFront, at.Port(), p.caFile, "", "")
		if s := wantFailed(t, none, c.refused, TLSAlert); !strings.HasPrefix(s.Error, "the peer sent the alert ") {
			t.Errorf("%s", s.Error)
		}
		wantFailed(t, lookAt(t, tlsFront, at.Port(), p.caFile, with(other), ""), c.refused, TLSAlert)

		// The same with a dialogue in place of a request.
		l := lookAt(t, `front: {url: "tls://demo.test:%d", resolve: [127.0.0.1], ca_file: "%s", dialogue: [{send: "PING", expect: "PONG"}]}`,
			at.Port(), p.caFile)
		wantFailed(t, l, c.refused, TLSAlert)
	}
}

// brokenPipe is a connection to a peer that has said its last word and left.
type brokenPipe struct {
	net.Conn
	last error
}

func (b brokenPipe) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Err: syscall.EPIPE}
}
func (b brokenPipe) Read([]byte) (int, error) { return 0, b.last }

// TestTLSAlertBehindBrokenPipe: why the peer left outranks that our request could not be written any more.
func TestTLSAlertBehindBrokenPipe(t *testing.T) {
	for _, c := range []struct {
		last error
		want Type
	}{
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, TLSAlert},
		{io.EOF, HTTPReset},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, HTTPReset},
	} {
		raw := &wire{Conn: brokenPipe{last: c.last}}
		err := askHTTP(raw, raw, []byte("GET"), newResponseReader(raw))
		var f *failure
		if !errors.As(err, &f) || f.typ != c.want {
			t.Errorf("behind %v: %v", c.last, err)
		}
	}
}

// afterHello takes the ClientHello before it does something.
func afterHello(then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		head := make([]byte, recordHeader)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, c, int64(head[3])<<8|int64(head[4])); err == nil {
			then(c)
		}
	}
}

func TestTLSEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		peer func(net.Conn)
		want Type
		text string
	}{
		"silent":         {silence, TLSTimedOut, "no answer in 150ms"},
		"closed":         {afterHello(func(net.Conn) {}), TLSClosed, "the peer closed the connection"},
		"reset":          {afterHello(reset), TLSReset, "the peer reset the connection"},
		"alert":          {say("\x15\x03\x03\x00\x02\x02\x28"), TLSAlert, "the peer sent the alert handshake failure"},
		"alert and RST":  {afterHello(func(c net.Conn) { io.WriteString(c, "\x15\x03\x03\x00\x02\x02\x28"); reset(c) }), TLSAlert, "handshake failure"},
		"HTTP":           {say("HTTP/1.1 400 Bad Request\r\n\r\n"), TLSProtocol, `"HTTP/"`},
		"half a record":  {afterHello(func(c net.Conn) { io.WriteString(c, "\x16\x03\x03\x00\x50abc") }), TLSClosed, ""},
		"handshake junk": {say("\x16\x03\x03\x00\x04\xff\xff\xff\xff"), TLSProtocol, ""},
	} {
		s := failedStage(lookAt(t, `front: {url: "https://%s/"}, timeouts: {tls: 150ms}`, serve(t, c.peer)))
		if s == nil || s.Stage != StageTLS || s.Type != c.want || !strings.Contains(s.Error, c.text) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestTLSSilentPeer: the kernel knows that the peer's kernel has our ClientHello.
func TestTLSSilentPeer(t *testing.T) {
	t.Parallel()
	l := lookAt(t, `front: {url: "https://%s/"}, timeouts: {tls: 150ms}`, addrOf(listenAt(t, "127.0.0.1:0")))
	s := wantFailed(t, l, StageTLS, TLSTimedOut)
	if !s.TCPInfo.AckedAll() || s.TCPInfo.BytesReceived != 0 || s.TCPInfo.BytesAcked < 200 || s.TCPInfo.Unheard() {
		t.Errorf("%+v", s.TCPInfo)
	}
	if len(l.Stages) != 4 || l.Stages[2].Outcome != Skipped || l.Stages[3].Outcome != Skipped {
		t.Errorf("%+v", l.Stages)
	}
}

// TestTLSFilesAsLoaded: what stood in the files when the configuration was read is what counts.
func TestTLSFilesAsLoaded(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	at := serveHTTP(t, p.server("demo.test"), answerOK)
	cfg, env := load(t, "targets: [{name: demo, "+tlsFront+"}]", at.Port(), p.caFile, "", "")
	newPKI(t).write("ca.pem", "CERTIFICATE", nil)
	p.write("ca.pem", "CERTIFICATE", []byte("junk"))
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := target.Round(ctx, time.Now(), ByCheck)
	wantGood(t, &r.Lanes[0])
}

// TestTLSLeastDays: two weeks unless something else is configured, but not for certificates that live for days only.
func TestTLSLeastDays(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		configured int
		life       time.Duration
		want       int
	}{{0, 90 * day, 14}, {30, 90 * day, 30}, {0, 398 * day, 14}, {0, 42 * day, 14}, {0, 6 * day, 2}, {3, 6 * day, 3}, {0, 2 * day, 0}, {0, -day, 0}} {
		now := time.Now()
		if got := leastDays(c.configured, &TLSFacts{NotBefore: now, NotAfter: now.Add(c.life)}); got != c.want {
			t.Errorf("configured %d, valid for %v: %d, want %d", c.configured, c.life, got, c.want)
		}
	}
}
