package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// signingSecret is 32 bytes, as Standard Webhooks write them.
const signingSecret = "whsec_ZnJvbS1maWxlLWZyb20tZmlsZS1mcm9tLWZpbGUtLS0="

// playground is a directory with all that the examples and the test files name.
func playground(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := selfSigned(t)
	for name, text := range map[string]string{
		"ca.pem": cert, "client.pem": cert, "client.key": key,
		"slack.token": "xoxb-from-file\n", "slack.webhook": "https://hooks.slack.com/services/from-file",
		"orders.password": "pass-from-file\r\n", "app-2.token": "bearer-from-file\n", "pagerduty.key": "pagerduty-from-file",
		"tickets.secret": signingSecret + "\n", "mail.password": "mail-from-file", "watchdog.url": "https://hc-ping.com/from-file\n",
	} {
		write(t, filepath.Join(dir, name), text, 0o600)
	}
	for _, hook := range []string{"capture.sh", "mirror"} {
		write(t, filepath.Join(dir, hook), "#!/bin/sh\n", 0o700)
	}
	return dir
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// selfSigned is a certificate and its key as PEM.
func selfSigned(t testing.TB) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

// variables are an environment of which nothing is real.
func variables(dir string) func(string) (string, bool) {
	all := map[string]string{
		"CREDENTIALS_DIRECTORY": dir, "HOOKS": dir,
		"SLACK_WEBHOOK":  "https://hooks.slack.com/services/from-variable",
		"PROXY_PASSWORD": "proxy-from-variable", "API_TOKEN": "token-from-variable", "ADMIN_PASSWORD": "admin-from-variable",
		"TICKETS_URL": "https://tickets.example.com/from-variable", "OPSGENIE_KEY": "opsgenie-from-variable",
		"SIGNING_SECRET": signingSecret, "ALERTS_PASSWORD": "alerts-from-variable", "REDIS_PASSWORD": "redis-from-variable", "DAYS": "7", "EMPTY": "", "NAME": "a name: {with, yaml}\n- b # c",
	}
	return func(name string) (string, bool) { v, ok := all[name]; return v, ok }
}

func TestGoodFilesLoad(t *testing.T) {
	dir := playground(t)
	for _, f := range goodFiles(t) {
		t.Run(filepath.Base(f), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			// Relative names of the test files start one folder below the certificates.
			c, err := Parse(filepath.Join(dir, "sub", "whichlayer.yaml"), data, WithEnv(variables(dir)))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.Warnings() {
				t.Log(w)
			}
		})
	}
}
