package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// authority is a root with one issuing certificate below it, as real ones are, so that a chain can lack a link.
type authority struct {
	root    *x509.Certificate
	issuing *x509.Certificate
	key     *ecdsa.PrivateKey // of issuing
}

func newAuthority(name string) (*authority, error) {
	rootKey, err := newKey()
	if err != nil {
		return nil, err
	}
	root, err := sign(caTemplate(name+" root"), nil, rootKey, rootKey)
	if err != nil {
		return nil, fmt.Errorf("make the root of %s: %w", name, err)
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	issuing, err := sign(caTemplate(name+" issuing CA"), root, key, rootKey)
	if err != nil {
		return nil, fmt.Errorf("make the issuing CA of %s: %w", name, err)
	}
	return &authority{root: root, issuing: issuing, key: key}, nil
}

// pem is the root as ca_file wants it.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
}

// issue makes a server certificate with its chain.
func (a *authority) issue(name string, from, to time.Time) (*tls.Certificate, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	leaf, err := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    []string{name},
		NotBefore:   from,
		NotAfter:    to,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.issuing, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %s: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.issuing.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

func caTemplate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.AddDate(-2, 0, 0),
		NotAfter:              now.AddDate(2, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// sign issues template for key's owner; with no parent it signs itself.
func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// certificates are the good one and the bad ones, made once.
type certificates struct {
	good, expired, early, wrongName, unknownCA, noChain *tls.Certificate
}

func newCertificates(ours *authority, name string) (*certificates, error) {
	theirs, err := newAuthority("Rogue")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	day := 24 * time.Hour
	var c certificates
	for _, m := range []struct {
		into     **tls.Certificate
		from     *authority
		name     string
		begin    time.Time
		validity time.Duration
	}{
		{&c.good, ours, name, now.Add(-day), 91 * day},
		{&c.expired, ours, name, now.Add(-90 * day), 89*day + 23*time.Hour},
		{&c.early, ours, name, now.Add(day), 90 * day},
		{&c.wrongName, ours, "intranet.other.test", now.Add(-day), 91 * day},
		{&c.unknownCA, theirs, name, now.Add(-day), 91 * day},
	} {
		if *m.into, err = m.from.issue(m.name, m.begin, m.begin.Add(m.validity)); err != nil {
			return nil, err
		}
	}
	bare := *c.good
	bare.Certificate = bare.Certificate[:1]
	c.noChain = &bare
	return &c, nil
}
