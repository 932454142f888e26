package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/whichlayer/whichlayer/config"
)

// The peers of the tests in this package: everything listens on loopback and ends with its test.

// load reads targets written as YAML. Stages have time enough; what is expected to stay silent sets its own timeout.
func load(t testing.TB, text string, args ...any) (*config.Config, *Env) {
	t.Helper()
	head := "listen: off\nheldopen: off\ntimeouts: {resolve: 10s, connect: 10s, tls: 10s, request: 10s, response: 10s}\n"
	cfg, err := config.Parse("test.yaml", []byte(head+strings.ReplaceAll(fmt.Sprintf(text, args...), "\t", " ")), config.WithEnv(func(name string) (string, bool) {
		return "secret-of-" + name, true
	}))
	if err != nil {
		t.Fatal(err)
	}
	return cfg, &Env{DNS: cfg.DNS, Version: "test", Log: slog.New(slog.DiscardHandler), resolvConf: os.DevNull}
}

// newTestTarget makes a target of the keys in text, which follow its name.
func newTestTarget(t testing.TB, text string, args ...any) *Target {
	t.Helper()
	cfg, env := load(t, "targets: [{name: demo, "+text+"}]", args...)
	target, err := NewTarget(cfg.Targets[0], env)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// lookAt makes one round of a target and returns its front lane.
func lookAt(t testing.TB, text string, args ...any) *Lane {
	t.Helper()
	r := newTestTarget(t, text, args...).Round(t.Context(), time.Now(), ByCheck)
	return &r.Lanes[0]
}

// wantGood fails the test unless every stage of the lane went well.
func wantGood(t testing.TB, l *Lane) {
	t.Helper()
	if !l.fine() {
		t.Errorf("%s/%s: %+v", l.Lane, l.Hop, failedStage(l))
	}
}

// wantFailed fails the test unless the lane failed so, and returns the failed stage.
func wantFailed(t testing.TB, l *Lane, stage StageName, typ Type) *Stage {
	t.Helper()
	s := failedStage(l)
	if s == nil {
		t.Fatalf("%s/%s did not fail, expected %s at %s", l.Lane, l.Hop, typ, stage)
	}
	if s.Stage != stage || s.Type != typ || s.Code != typ.Code() || s.Error == "" {
		t.Errorf("%s/%s: %s %s %s (%s), expected %s at %s", l.Lane, l.Hop, s.Stage, s.Type, s.Code, s.Error, typ, stage)
	}
	return s
}

// laneNamed is the lane of a kind and hop; the test fails without it.
func laneNamed(t testing.TB, r *Result, kind LaneKind, hop string) *Lane {
	t.Helper()
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Lane == kind && l.Hop == hop {
			return l
		}
	}
	t.Fatalf("no lane %s/%s in %+v", kind, hop, r.Lanes)
	return nil
}

// listenAt listens on an address of loopback such as 127.0.0.2:0.
func listenAt(t testing.TB, address string) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

func addrOf(ln net.Listener) netip.AddrPort { return ln.Addr().(*net.TCPAddr).AddrPort() }

// closedPort is an address where nobody listens.
func closedPort(t testing.TB) netip.AddrPort {
	t.Helper()
	ln := listenAt(t, "127.0.0.1:0")
	ln.Close()
	return addrOf(ln)
}

// serve gives each connection to handle, which closes it by returning and must return once it is closed.
func serve(t testing.TB, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln := listenAt(t, "127.0.0.1:0")
	serveOn(t, ln, handle)
	return addrOf(ln)
}

func serveOn(t testing.TB, ln net.Listener, handle func(net.Conn)) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	conns := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer func() {
					c.Close()
					mu.Lock()
					defer mu.Unlock()
					delete(conns, c)
				}()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// silence takes what comes and says nothing.
func silence(c net.Conn) { io.Copy(io.Discard, c) }

// say sends a text and waits for the peer to leave.
func say(text string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, text)
		silence(c)
	}
}

// reset makes the connection end with an RST.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// serveHTTP serves HTTP/1.1, over TLS when cfg is not nil.
func serveHTTP(t testing.TB, cfg *tls.Config, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	ln := listenAt(t, "127.0.0.1:0")
	serveHTTPOn(t, ln, cfg, h)
	return addrOf(ln)
}

func serveHTTPOn(t testing.TB, ln net.Listener, cfg *tls.Config, h http.HandlerFunc) {
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
}

func answerOK(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

// neverAccepting listens, and its accept queue is full: the kernel drops further SYNs.
func neverAccepting(t testing.TB, address string) *net.TCPListener {
	t.Helper()
	ln := listenAt(t, address)
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		c, err := net.DialTimeout("tcp", ln.Addr().String(), 50*time.Millisecond)
		if err != nil {
			return ln
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the accept queue does not fill")
	return nil
}

// pki is an authority with its root in a file.
type pki struct {
	t      testing.TB
	dir    string
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	caFile string
	serial int64
}

func newPKI(t testing.TB) *pki {
	t.Helper()
	p := &pki{t: t, dir: t.TempDir()}
	p.key = newTestKey(t)
	p.root = p.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Test root"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, p.key)
	p.caFile = p.write("ca.pem", "CERTIFICATE", p.root.Raw)
	return p
}

func newTestKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (p *pki) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	p.t.Helper()
	p.serial++
	template.SerialNumber = big.NewInt(p.serial)
	parent := p.root
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return cert
}

func (p *pki) write(name, kind string, der []byte) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// issue makes a certificate for a name, valid for the given number of days from yesterday on.
func (p *pki) issue(name string, days int, usage ...x509.ExtKeyUsage) tls.Certificate {
	p.t.Helper()
	key := newTestKey(p.t)
	leaf := p.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usage,
		NotBefore: time.Now().AddDate(0, -1, -1), NotAfter: time.Now().AddDate(0, 0, days),
	}, key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// server is a TLS configuration that shows a certificate for a name.
func (p *pki) server(name string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.issue(name, 30, x509.ExtKeyUsageServerAuth)}}
}

// client writes a client certificate and its key to files.
func (p *pki) client(name string) (certFile, keyFile string) {
	p.t.Helper()
	c := p.issue(name, 30, x509.ExtKeyUsageClientAuth)
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.write(name+".pem", "CERTIFICATE", c.Certificate[0]), p.write(name+".key", "EC PRIVATE KEY", der)
}

func (p *pki) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.root)
	return pool
}

// play is a server with a script. A step that begins with "<" reads until that text has come, one with ">" says what
// follows, "tls" goes on inside TLS, "reset" ends with an RST; at the end of the script it waits for the peer to leave,
// unless the last step is "close".
func play(t testing.TB, cfg *tls.Config, steps ...string) netip.AddrPort {
	return serve(t, func(c net.Conn) {
		raw := c
		for _, s := range steps {
			switch {
			case s == "tls":
				c = tls.Server(c, cfg)
			case s == "close":
				c.Close()
				return
			case s == "reset":
				reset(raw)
				return
			case strings.HasPrefix(s, ">"):
				io.WriteString(c, s[1:])
			case !readUntil(c, s[1:]):
				return
			}
		}
		silence(c)
	})
}

// readUntil reads byte by byte, so that nothing behind the text is taken.
func readUntil(r io.Reader, text string) bool {
	got, b := "", make([]byte, 1)
	for !strings.HasSuffix(got, text) {
		if _, err := r.Read(b); err != nil {
			return false
		}
		got += string(b)
	}
	return true
}

// eventually waits for something that other goroutines bring about.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still not so: " + what)
		}
	}
}

// openFiles counts this process' descriptors.
func openFiles(t testing.TB) (n uint64) {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	for fd := range int(min(l.Cur, 4096)) {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

// listenUDP takes datagrams and says nothing.
func listenUDP(t testing.TB, address string) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}
