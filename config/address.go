package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

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
	if p.Fragment != "" {
		return fmt.Errorf("%q has a fragment (#), which is never sent", s)
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
