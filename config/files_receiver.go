package config

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// receiverFiles reads the secrets and the roots of a receiver, and checks what only now can be seen.
func (l *loader) receiverFiles(path string, r *Receiver) {
	if s := r.Slack; s != nil {
		at := child(path, "slack")
		l.secret(at, "token", &s.Token, &s.TokenFile)
		l.secret(at, "webhook_url", &s.WebhookURL, &s.WebhookURLFile)
		l.secretURL(at, "webhook_url", s.WebhookURL, "https://hooks.slack.com/services/...")
	}
	if a := r.Alertmanager; a != nil {
		at := child(path, "alertmanager")
		l.secret(at, "bearer_token", &a.BearerToken, &a.BearerTokenFile)
		l.password(child(at, "basic_auth"), a.BasicAuth)
		a.Roots = l.receiverRoots(at, r, &a.CAFile)
	}
	if w := r.Webhook; w != nil {
		l.webhookFiles(child(path, "webhook"), w)
		w.Roots = l.receiverRoots(child(path, "webhook"), r, &w.CAFile)
	}
	if e := r.Email; e != nil {
		at := child(path, "email")
		l.secret(at, "password", &e.Password, &e.PasswordFile)
		e.Roots = l.receiverRoots(at, r, &e.CAFile)
	}
}

func (l *loader) webhookFiles(path string, w *Webhook) {
	l.secret(path, "url", &w.URL, &w.URLFile)
	l.secretURL(path, "url", w.URL, "https://HOST/PATH")
	l.secret(path, "key", &w.Key, &w.KeyFile)
	l.secret(path, "secret", &w.Secret, &w.SecretFile)
	at := l.keyOrFile(path, "secret")
	if _, err := signingKey(w.Secret); err != nil && !l.failed(at) {
		l.failAt(at, "%s", err)
	}
}

// receiverRoots reads a receiver's CA file, if one is named.
func (l *loader) receiverRoots(path string, r *Receiver, file *string) *x509.CertPool {
	data, ok := l.pem(path, "ca_file", file)
	if !ok {
		return nil
	}
	content := sum(data)
	r.digest = hex.EncodeToString(content[:])
	return l.roots(child(path, "ca_file"), *file, data)
}

// keyOrFile is the path of a secret, or of its file when that was given.
func (l *loader) keyOrFile(path, key string) string {
	if twin := child(path, key+"_file"); l.given(twin) {
		return twin
	}
	return child(path, key)
}

// secretURL checks a URL that is a secret once it has been read, and never shows it.
func (l *loader) secretURL(path, key string, s Secret, want string) {
	at := l.keyOrFile(path, key)
	if s.IsZero() || l.failed(at) {
		return
	}
	u, err := url.Parse(s.Reveal())
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		l.failAt(at, "the secret is not a URL, expected %s", want)
	case u.User != nil && l.clear[at] && l.written[at] == "":
		l.failAt(at, "the URL holds credentials, which must not stand in this file, expected url_file or ${VARIABLE}")
	}
}

// Lengths of a key of Standard Webhooks, in bytes.
const (
	leastSigningKey = 24
	mostSigningKey  = 64
)

// SigningKey is what messages are signed with (HMAC-SHA256); nil when they are not.
func (w *Webhook) SigningKey() ([]byte, error) { return signingKey(w.Secret) }

// signingKey reads a secret as Standard Webhooks write it. Its errors do not show it.
func signingKey(s Secret) ([]byte, error) {
	if s.IsZero() {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), "whsec_"))
	switch {
	case err != nil:
		return nil, errors.New("the secret is not base64, expected whsec_ and the base64 of 24 to 64 random bytes")
	case len(key) < leastSigningKey || len(key) > mostSigningKey:
		return nil, fmt.Errorf("the secret has %d bytes, expected %d to %d", len(key), leastSigningKey, mostSigningKey)
	}
	return key, nil
}
