package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ohler55/ojg/jp"
)

// The scalar types below parse themselves from text, so that a loaded configuration holds no unparsed value and a
// mistake is reported where it stands. Their errors say what was expected; the loader puts file, line, column and
// key before them.

// Duration is a positive time span such as 1.5s or 2m; the zero value means "not given".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration, expected something like 500ms, 10s or 2m", b)
	}
	if v <= 0 {
		return fmt.Errorf("%q is not a positive duration", b)
	}
	*d = Duration(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Std is the standard library's form.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Interval is a Duration that can be switched off; 0 is off.
type Interval time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Interval) UnmarshalText(b []byte) error {
	if string(b) == "off" {
		*i = 0
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(b); err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	if d.Std() < 100*time.Millisecond {
		return fmt.Errorf("%q is shorter than 100ms", b)
	}
	*i = Interval(d)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (i Interval) MarshalText() ([]byte, error) {
	if i == 0 {
		return []byte("off"), nil
	}
	return []byte(time.Duration(i).String()), nil
}

// Std is the standard library's form.
func (i Interval) Std() time.Duration { return time.Duration(i) }

// Address is host:port; the host may be a name or a literal address, IPv6 in brackets.
type Address struct {
	Host string
	Port uint16
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Address) UnmarshalText(b []byte) error {
	s := string(b)
	if strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[") {
		return fmt.Errorf("%q: an IPv6 address needs brackets, as in [2001:db8::1]:443", s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not host:port", s)
	}
	if host == "" {
		return fmt.Errorf("%q has no host, expected host:port", s)
	}
	n, err := parsePort(port)
	if err != nil {
		return fmt.Errorf("%q: %w", s, err)
	}
	*a = Address{Host: host, Port: n}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String is host:port.
func (a Address) String() string {
	if a == (Address{}) {
		return ""
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// AddrPort is the literal address, if the host is one.
func (a Address) AddrPort() (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(a.Host)
	return netip.AddrPortFrom(ip, a.Port), err == nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 || s[0] == '0' || s[0] == '+' {
		return 0, fmt.Errorf("port %q is out of range, expected 1 to 65535", s)
	}
	return uint16(n), nil
}

// URL is an absolute URL with one of the schemes https, http, tls and tcp, a host and a port (given or the scheme's).
type URL struct{ *url.URL }

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *URL) UnmarshalText(b []byte) error {
	s := string(b)
	p, err := url.Parse(s)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fmt.Errorf("%q is not a URL: %w", s, err)
	}
	switch p.Scheme {
	case "https", "http":
	case "tls", "tcp":
		if p.Port() == "" {
			return fmt.Errorf("%q has no port, which the scheme %s needs", s, p.Scheme)
		}
		if p.Path != "" || p.RawQuery != "" {
			return fmt.Errorf("%q has a path, which the scheme %s does not know", s, p.Scheme)
		}
	case "":
		return fmt.Errorf("%q has no scheme, expected https, http, tls or tcp", s)
	default:
		return fmt.Errorf("%q: scheme %q is not supported, expected https, http, tls or tcp", s, p.Scheme)
	}
	host := p.Hostname()
	if host == "" {
		return fmt.Errorf("%q has no host", s)
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(p.Host, "[") {
		return fmt.Errorf("%q: an IPv6 address needs brackets, as in https://[2001:db8::1]/", s)
	}
	if strings.HasSuffix(p.Host, ":") {
		return fmt.Errorf("%q: the port is empty", s)
	}
	if port := p.Port(); port != "" {
		if _, err := parsePort(port); err != nil {
			return fmt.Errorf("%q: %w", s, err)
		}
	}
	if p.User != nil {
		return fmt.Errorf("%q holds credentials, use request.basic_auth with password_file", p.Redacted())
	}
	u.URL = p
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// String is the URL's text.
func (u URL) String() string {
	if u.URL == nil {
		return ""
	}
	return u.URL.String()
}

// PortNumber is the URL's port, or its scheme's.
func (u URL) PortNumber() uint16 {
	if n, err := parsePort(u.Port()); u.Port() != "" && err == nil {
		return n
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// TLS tells whether the URL's scheme speaks TLS.
func (u URL) TLS() bool { return u.Scheme == "https" || u.Scheme == "tls" }

// HTTP tells whether the URL's scheme speaks HTTP.
func (u URL) HTTP() bool { return u.Scheme == "https" || u.Scheme == "http" }

// Prefix is an address range; a single address is a range of one.
type Prefix struct{ netip.Prefix }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Prefix) UnmarshalText(b []byte) error {
	s := string(b)
	if a, err := netip.ParseAddr(s); err == nil {
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	x, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is neither an address nor a CIDR range", s)
	}
	p.Prefix = x.Masked()
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (p Prefix) MarshalText() ([]byte, error) {
	if p.IsSingleIP() {
		return []byte(p.Addr().String()), nil
	}
	return []byte(p.String()), nil
}

// Regexp is a regular expression in Go's (RE2) syntax.
type Regexp struct{ *regexp.Regexp }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Regexp) UnmarshalText(b []byte) error {
	x, err := regexp.Compile(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a regular expression: %w", b, err)
	}
	r.Regexp = x
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (r Regexp) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// JSONPath is a JSONPath expression (RFC 9535 as far as github.com/ohler55/ojg/jp reads it).
type JSONPath struct{ jp.Expr }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *JSONPath) UnmarshalText(b []byte) error {
	x, err := jp.Parse(b)
	if err != nil {
		return fmt.Errorf("%q is not a JSONPath: %w", b, err)
	}
	p.Expr = x
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (p JSONPath) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Zone is a time zone by its IANA name; the zero value is the system's.
type Zone struct{ *time.Location }

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *Zone) UnmarshalText(b []byte) error {
	l, err := time.LoadLocation(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a time zone, expected an IANA name such as Europe/Berlin or UTC", b)
	}
	z.Location = l
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.Std().String()), nil }

// Std is the location, the system's when none was given.
func (z Zone) Std() *time.Location {
	if z.Location == nil {
		return time.Local
	}
	return z.Location
}

// Secret is a value that never prints.
type Secret string

const redacted = "<redacted>"

// String is <redacted>, or empty when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from printing the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps every encoder from printing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

// IPVersion is 4, 6, or 0 for both.
type IPVersion uint8

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *IPVersion) UnmarshalText(b []byte) error {
	switch string(b) {
	case "4":
		*v = 4
	case "6":
		*v = 6
	default:
		return fmt.Errorf("%q is not an IP version, expected 4 or 6", b)
	}
	return nil
}

// Allows tells whether an address has the wanted version.
func (v IPVersion) Allows(a netip.Addr) bool {
	switch v {
	case 4:
		return a.Unmap().Is4()
	case 6:
		return !a.Unmap().Is4()
	}
	return true
}

// oneOf parses a word of a closed list.
func oneOf[T ~string](dst *T, b []byte, what string, words ...T) error {
	names := make([]string, len(words))
	for i, w := range words {
		if string(w) == string(b) {
			*dst = w
			return nil
		}
		names[i] = string(w)
	}
	return fmt.Errorf("%q is not a %s, expected %s", b, what, strings.Join(names, ", "))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(b []byte) error { return oneOf(r, b, "role", Balancer, Proxy) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Transition) UnmarshalText(b []byte) error {
	return oneOf(t, b, "transition", Suspect, Opened, Updated, Resolved, Dismissed)
}

// ProxyProtocol is the version of the PROXY protocol header that is written first, if any.
type ProxyProtocol string

// Versions of the PROXY protocol.
const (
	ProxyV1 ProxyProtocol = "v1"
	ProxyV2 ProxyProtocol = "v2"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *ProxyProtocol) UnmarshalText(b []byte) error {
	return oneOf(p, b, "PROXY protocol version", ProxyV1, ProxyV2)
}

// TLSVersion is the least version that is accepted, as crypto/tls numbers it.
type TLSVersion uint16

var tlsVersions = map[string]TLSVersion{"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *TLSVersion) UnmarshalText(b []byte) error {
	x, ok := tlsVersions[string(b)]
	if !ok {
		return fmt.Errorf("%q is not a TLS version, expected 1.0, 1.1, 1.2 or 1.3", b)
	}
	*v = x
	return nil
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

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *StartTLS) UnmarshalText(b []byte) error {
	return oneOf(s, b, "STARTTLS protocol", StartTLSSMTP, StartTLSIMAP, StartTLSPOP3, StartTLSFTP, StartTLSPostgres)
}
