package config

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// word is a value of a closed list, which its type knows.
type word interface {
	~string
	words() []string
}

// oneOf parses a word of a closed list.
func oneOf[T word](dst *T, b []byte, what string) error {
	known := T("").words()
	if !slices.Contains(known, string(b)) {
		return fmt.Errorf("%q is not a %s, expected %s", b, what, listOr(known))
	}
	*dst = T(b)
	return nil
}

// listOr is "a, b or c".
func listOr(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// wordsOf is the closed list of a type's values, empty when it has none.
func wordsOf(t reflect.Type) []string {
	if w, ok := reflect.Zero(t).Interface().(interface{ words() []string }); ok {
		return w.words()
	}
	return nil
}

func (Role) words() []string { return []string{string(Balancer), string(Proxy)} }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(b []byte) error { return oneOf(r, b, "role") }

func (Transition) words() []string {
	return []string{string(Suspect), string(Opened), string(Updated), string(Resolved), string(Dismissed)}
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Transition) UnmarshalText(b []byte) error { return oneOf(t, b, "transition") }

// Layer is a part of the path to a service, which incidents are charged with; see probe.Layer, which has the same words.
type Layer string

func (Layer) words() []string {
	return []string{"prober", "dns", "network", "host", "balancer", "proxy", "link", "backend"}
}

// Layers are all words that a receiver can ask for, from the prober outwards.
func Layers() []string { return Layer("").words() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Layer) UnmarshalText(b []byte) error { return oneOf(l, b, "layer") }

// ProxyProtocol is the version of the PROXY protocol header that is written first, if any.
type ProxyProtocol string

// Versions of the PROXY protocol.
const (
	ProxyV1 ProxyProtocol = "v1"
	ProxyV2 ProxyProtocol = "v2"
)

func (ProxyProtocol) words() []string { return []string{string(ProxyV1), string(ProxyV2)} }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *ProxyProtocol) UnmarshalText(b []byte) error { return oneOf(p, b, "PROXY protocol version") }

// TLSVersion is the least version that is accepted, as crypto/tls numbers it.
type TLSVersion uint16

// tlsVersionWords name the versions from tls.VersionTLS10 on.
var tlsVersionWords = []string{"1.0", "1.1", "1.2", "1.3"}

func (TLSVersion) words() []string { return tlsVersionWords }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *TLSVersion) UnmarshalText(b []byte) error {
	i := slices.Index(tlsVersionWords, string(b))
	if i < 0 {
		return fmt.Errorf("%q is not a TLS version, expected 1.0, 1.1, 1.2 or 1.3", b)
	}
	*v = tls.VersionTLS10 + TLSVersion(i)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (v TLSVersion) MarshalText() ([]byte, error) {
	i := int(v) - tls.VersionTLS10
	if i < 0 || i >= len(tlsVersionWords) {
		return nil, nil
	}
	return []byte(tlsVersionWords[i]), nil
}

// StartTLS names a protocol that begins in clear text and asks for TLS.
type StartTLS string

// Protocols with a known prologue.
const (
	StartTLSSMTP     StartTLS = "smtp"     // RFC 3207
	StartTLSIMAP     StartTLS = "imap"     // RFC 9051, 6.2.1
	StartTLSPOP3     StartTLS = "pop3"     // RFC 2595
	StartTLSFTP      StartTLS = "ftp"      // RFC 4217
	StartTLSPostgres StartTLS = "postgres" // SSLRequest, PostgreSQL protocol 3.0
)

func (StartTLS) words() []string {
	return []string{
		string(StartTLSSMTP), string(StartTLSIMAP), string(StartTLSPOP3), string(StartTLSFTP), string(StartTLSPostgres),
	}
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *StartTLS) UnmarshalText(b []byte) error { return oneOf(s, b, "STARTTLS protocol") }

func (WebhookFormat) words() []string {
	return []string{string(WebhookJSON), string(WebhookPagerDuty), string(WebhookOpsgenie)}
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *WebhookFormat) UnmarshalText(b []byte) error { return oneOf(f, b, "webhook format") }

func (MailTLS) words() []string {
	return []string{string(MailStartTLS), string(MailTLSFirst), string(MailNoTLS)}
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MailTLS) UnmarshalText(b []byte) error { return oneOf(m, b, "way to protect mail") }
