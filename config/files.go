package config

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
)

// Limits of the files that a configuration names, in bytes.
const (
	maxSecret = 64 << 10
	maxPEM    = 4 << 20 // a whole distribution's CA bundle is a quarter of that
)

// digest tells one content of a file from another.
type digest [sha256.Size]byte

func sum(data []byte) digest { return sha256.Sum256(data) }

// files reads what the configuration names: secrets, CAs and client certificates.
func (l *loader) files() {
	l.endpoints(func(path string, e *Endpoint) {
		request := child(path, "request")
		l.secret(request, "bearer_token", &e.Request.BearerToken, &e.Request.BearerTokenFile)
		l.password(child(request, "basic_auth"), e.Request.BasicAuth)
		if e.ForwardProxy != nil {
			l.password(child(child(path, "forward_proxy"), "basic_auth"), e.ForwardProxy.BasicAuth)
		}
		l.certificates(path, e)
	})
	for i := range l.cfg.Receivers {
		l.receiverFiles(item("receivers", i), &l.cfg.Receivers[i])
	}
	l.state(&l.cfg.State)
	w := &l.cfg.Watchdog
	l.secret("watchdog", "url", &w.URL, &w.URLFile)
	l.secretURL("watchdog", "url", w.URL, "https://hc-ping.com/...")
}

// endpoints calls do for the front and the backends of every target, as they stand in the file.
func (l *loader) endpoints(do func(path string, e *Endpoint)) {
	for i := range l.cfg.Targets {
		t, path := &l.cfg.Targets[i], item("targets", i)
		do(child(path, "front"), &t.Front)
		l.backends(t, path, func(path string, b *Backend) { do(path, &b.Endpoint) })
	}
}

func (l *loader) backends(t *Target, path string, do func(path string, b *Backend)) {
	if t.Backend != nil {
		do(child(path, "backend"), t.Backend)
	}
	for i := range t.Backends {
		do(item(child(path, "backends"), i), &t.Backends[i])
	}
}

func (l *loader) password(path string, a *BasicAuth) {
	if a != nil {
		l.secret(path, "password", &a.Password, &a.PasswordFile)
	}
}

// secret reads the file twin of a secret: one line, whose end is not part of it.
func (l *loader) secret(path, key string, s *Secret, file *string) {
	here := child(path, key)
	twin := here + "_file"
	switch {
	case *file == "":
		if l.given(twin) && !l.failed(twin) {
			l.failAt(twin, "no file is named")
		}
		l.oneLine(here, *s)
		return
	case l.given(here):
		l.failAt(twin, "%s is given too, expected one of them", key)
		return
	}
	data, public, ok := l.read(twin, file, maxSecret)
	if !ok {
		return
	}
	if public {
		l.cfg.warnings = append(l.cfg.warnings, fmt.Sprintf("%s: everybody on this machine may read the secret in %s", twin, *file))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		l.failAt(twin, "the file %s is empty", quote(*file))
	}
	*s = NewSecret(text)
	l.oneLine(twin, *s)
}

// oneLine refuses a secret that could not be sent in a header.
func (l *loader) oneLine(path string, s Secret) {
	for _, r := range s.Reveal() {
		if r < ' ' || r == 0x7f {
			l.failAt(path, "the secret has a control character or more than one line")
			return
		}
	}
}

// certificates reads and parses the CA file and the client certificate of an endpoint.
func (l *loader) certificates(path string, e *Endpoint) {
	contents := sha256.New()
	part := func(key string, file *string) ([]byte, bool) {
		data, ok := l.pem(path, key, file)
		if *file != "" {
			s := sum(data)
			contents.Write(s[:])
		}
		return data, ok
	}
	if ca, ok := part("ca_file", &e.CAFile); ok {
		e.Roots = l.roots(child(path, "ca_file"), e.CAFile, ca)
	}
	cert, okCert := part("cert_file", &e.CertFile)
	key, okKey := part("key_file", &e.KeyFile)
	if okCert && okKey {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			l.failAt(child(path, "cert_file"), "%s and %s: %s", e.CertFile, e.KeyFile, strings.TrimPrefix(err.Error(), "tls: "))
			return
		}
		e.Certificate = &pair
	}
	e.digest = hex.EncodeToString(contents.Sum(nil))
}

// pem reads a file of certificates or keys, if one is named.
func (l *loader) pem(path, key string, file *string) ([]byte, bool) {
	at := child(path, key)
	if *file == "" {
		if l.given(at) && !l.failed(at) {
			l.failAt(at, "no file is named")
		}
		return nil, false
	}
	data, _, ok := l.read(at, file, maxPEM)
	return data, ok
}

// roots parses a CA file. One certificate that cannot be parsed spoils it: x509's own loader would leave it out
// silently, and the chain would fail some day for no visible reason.
func (l *loader) roots(path, file string, data []byte) *x509.CertPool {
	pool, n := x509.NewCertPool(), 0
	for rest := bytes.TrimSpace(data); ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			l.failAt(path, "%s: certificate %d: %s", file, n+1, strings.TrimPrefix(err.Error(), "x509: "))
			return nil
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 {
		l.failAt(path, "%s holds no certificate, expected PEM", file)
		return nil
	}
	return pool
}

// read reads a file that is named at path. The name becomes absolute or relative to the working directory.
func (l *loader) read(path string, file *string, limit int64) (data []byte, public, ok bool) {
	if !filepath.IsAbs(*file) {
		*file = filepath.Join(l.base, *file)
	}
	data, public, err := l.readFile(*file, limit)
	if err != nil {
		l.failAt(path, "%s %s", quote(*file), reason(err))
		return nil, false, false
	}
	if _, before := l.cfg.seen[*file]; !before {
		l.cfg.Files = append(l.cfg.Files, *file)
	}
	l.cfg.seen[*file] = sum(data)
	return data, public, true
}
