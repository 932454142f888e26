package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"
)

var tlsEnds = streamTypes{timedOut: TLSTimedOut, closed: TLSClosed, reset: TLSReset}

// handshake makes the connection a TLS one: a clear-text prologue where the protocol wants it, then the handshake.
func (a *attempt) handshake() (<-chan error, bool) {
	cfg := a.spec.tls
	seen := make(chan *TLSFacts, 1)
	conn := tls.Client(a.conn, cfg)
	pending, ok := a.stage(a.life, StageTLS, a.spec.timeouts.TLS.Std(), func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { a.conn.Close() })
		defer stop()
		if err := a.prologue(); err != nil {
			return err
		}
		a.conn.records.reset()
		// Not HandshakeContext: it would close the connection before the raw error could be kept.
		err := conn.Handshake()
		facts := tlsFacts(conn.ConnectionState(), err)
		seen <- facts
		return tlsFailure(err, a.conn.last())
	})
	select {
	case a.lane.TLS = <-seen:
		if a.lane.TLS != nil {
			a.lane.TLS.MinDays = leastDays(a.spec.expect.CertDays, a.lane.TLS)
		}
	default:
	}
	if ok {
		a.tlsConn, a.stream = conn, conn
	}
	return pending, ok
}

// usualDays is for how many days a certificate is expected to be valid still, when nothing else is configured.
const usualDays = 14

// leastDays is for how many days a certificate is expected to be valid still. What is not configured is at most the last
// third of its life: those that live for a few days are renewed then.
func leastDays(configured int, f *TLSFacts) int {
	if configured > 0 {
		return configured
	}
	third := f.NotAfter.Sub(f.NotBefore) / 3
	return max(0, min(usualDays, int(third/(24*time.Hour))))
}

// tlsFailure types the error of a handshake. The raw error of the connection outranks what crypto/tls made of it,
// but for an alert, which the peer sent before it closed.
func tlsFailure(err, raw error) error {
	if err == nil {
		return nil
	}
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &cert):
		return certFailure(cert)
	case errors.As(err, &alert), strings.HasPrefix(remoteError(err), "tls: "):
		return &failure{typ: TLSAlert, err: errors.New("the peer sent the alert " + strings.TrimPrefix(remoteError(err), "tls: "))}
	case errors.As(err, &record):
		return &failure{typ: TLSProtocol, err: errors.New("the peer's first bytes are not TLS: " + printable(record.RecordHeader[:]))}
	}
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	if raw != nil {
		if f, ok := streamFailure(raw, tlsEnds); ok {
			return f
		}
	}
	if f, ok := streamFailure(err, tlsEnds); ok {
		return f
	}
	return &failure{typ: TLSProtocol, err: err}
}

// remoteError is the text of an alert that the peer sent; crypto/tls reports it as the error of a "remote error"
// operation.
func remoteError(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" && op.Err != nil {
		return op.Err.Error()
	}
	return ""
}

func certFailure(cert *tls.CertificateVerificationError) error {
	f := &failure{typ: TLSCertInvalid, err: cert.Err}
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(cert.Err, &name):
		f.typ = TLSCertName
	case errors.As(cert.Err, &authority):
		f.typ = TLSCertAuthority
	case errors.As(cert.Err, &invalid) && invalid.Reason == x509.Expired:
		f.typ = TLSCertDate
	}
	return f
}

// tlsFacts keeps what the handshake showed, also when verification failed.
func tlsFacts(st tls.ConnectionState, err error) *TLSFacts {
	f := &TLSFacts{}
	chain := st.PeerCertificates
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		chain = cert.UnverifiedCertificates
	}
	if st.HandshakeComplete {
		f.Version, f.Cipher = tls.VersionName(st.Version), tls.CipherSuiteName(st.CipherSuite)
	}
	if len(chain) == 0 {
		if f.Version == "" {
			return nil
		}
		return f
	}
	leaf := chain[0]
	f.Subject, f.Issuer, f.ChainLength = clip(leaf.Subject.String(), 200), clip(leaf.Issuer.String(), 200), len(chain)
	for _, n := range leaf.DNSNames[:min(len(leaf.DNSNames), 16)] {
		f.Names = append(f.Names, clip(n, 100))
	}
	f.NotBefore, f.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
	for _, c := range chain[1:] {
		if c.NotAfter.Before(f.NotAfter) {
			f.NotAfter = c.NotAfter.UTC()
		}
	}
	return f
}

// printable shows foreign bytes as a quoted string, at most 40 of them.
func printable(b []byte) string {
	return "\"" + clip(string(b), 40) + "\""
}
