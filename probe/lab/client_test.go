package lab_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/lab"
)

// patience of the test's own client with one stage.
const patience = 300 * time.Millisecond

func start(t *testing.T, o lab.Options) *lab.Chain {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func trust(t *testing.T, c *lab.Chain) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(c.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("the CA file holds no certificate")
	}
	return &tls.Config{RootCAs: roots, ServerName: c.Name()}
}

// caller is a plain client that says in a word how far it got.
type caller struct {
	net.Conn
	raw *net.TCPConn
	r   *bufio.Reader
}

// call connects, with TLS if cfg is not nil; the word is empty when that worked.
func call(t *testing.T, addr netip.AddrPort, cfg *tls.Config) (*caller, string) {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr.String(), 3*patience)
	if err != nil {
		return nil, "connect " + word(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := &caller{Conn: nc, raw: nc.(*net.TCPConn)}
	if cfg != nil {
		tc := tls.Client(nc, cfg)
		if err := tc.SetDeadline(time.Now().Add(patience)); err != nil {
			return c, "tls " + word(err)
		}
		if err := tc.Handshake(); err != nil {
			return c, "tls " + word(err)
		}
		c.Conn = tc
	}
	c.r = bufio.NewReader(c.Conn)
	return c, ""
}

// get asks once on the standing connection.
func (c *caller) get() string {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "http " + word(err)
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: demo.test\r\nX-Request-Id: 7\r\n\r\n"); err != nil {
		return "http " + word(err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "http " + word(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "body " + word(err)
	}
	if resp.StatusCode != http.StatusOK {
		return strconv.Itoa(resp.StatusCode)
	}
	if !strings.HasPrefix(string(body), "ok") {
		return "wrong body"
	}
	return "ok"
}

func look(t *testing.T, addr netip.AddrPort, cfg *tls.Config) string {
	t.Helper()
	c, w := call(t, addr, cfg)
	if w != "" {
		return w
	}
	return c.get()
}

// word is a class of error, as far as these tests tell them apart.
func word(err error) string {
	var (
		alert     tls.AlertError
		invalid   x509.CertificateInvalidError
		wrongName x509.HostnameError
		unknown   x509.UnknownAuthorityError
		noRecord  tls.RecordHeaderError
	)
	var network net.Error
	switch {
	case errors.As(err, &alert):
		return "alert"
	case errors.As(err, &invalid):
		return "date"
	case errors.As(err, &wrongName):
		return "name"
	case errors.As(err, &unknown):
		return "authority"
	case errors.As(err, &noRecord):
		return "no record"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "eof"
	case errors.As(err, &network) && network.Timeout():
		return "timeout"
	case strings.Contains(err.Error(), "remote error: tls"):
		return "alert"
	}
	return err.Error()
}

// patient shakes hands and asks, however long it takes, and returns the status line or an error's text.
func patient(nc net.Conn, cfg *tls.Config) string {
	defer nc.Close()
	c := tls.Client(nc, cfg)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n"); err != nil {
		return err.Error()
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return line
}
