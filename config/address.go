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

// parsePort wants decimal digits as they are: 0443 is 443 to some readers and 291, which is octal, to others.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return 0, fmt.Errorf("port %q is not a number, expected 1 to 65535", s)
	case err != nil || n < 1 || n > 65535:
		return 0, fmt.Errorf("port %q is out of range, expected 1 to 65535", s)
	case strconv.FormatInt(n, 10) != s:
		return 0, fmt.Errorf("port %q is not a plain number, expected %d", s, n)
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
		return urlError(s, err)
	}
	if p.User != nil {
		return fmt.Errorf("%q holds credentials, use basic_auth with password_file", p.Redacted())
	}
	if err := checkScheme(p); err != nil {
		return fmt.Errorf("%q%w", s, err)
	}
	if err := checkHost(p); err != nil {
		return fmt.Errorf("%q%w", s, err)
	}
	if p.Fragment != "" {
		return fmt.Errorf("%q has a fragment (#), which is never sent", s)
	}
	u.URL = p
	return nil
}

// urlError says what is wrong with what is not even a URL, without the credentials that may be in it.
func urlError(s string, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	_, authority, _ := strings.Cut(s, "//")
	authority, _, _ = strings.Cut(authority, "/")
	switch {
	case strings.Contains(s, "@"):
		return errors.New("this is not a URL (it is not shown, as it seems to hold credentials)")
	case strings.Count(authority, ":") > 1 && !strings.Contains(authority, "["):
		return fmt.Errorf("%q: an IPv6 address needs brackets, as in https://[2001:db8::1]/", s)
	}
	return fmt.Errorf("%q is not a URL: %w", s, err)
}

func checkScheme(p *url.URL) error {
	switch p.Scheme {
	case "https", "http":
		return nil
	case "tls", "tcp":
		if p.Port() == "" {
			return fmt.Errorf(" has no port, which the scheme %s needs", p.Scheme)
		}
		if p.Path != "" || p.RawQuery != "" {
			return fmt.Errorf(" has a path, which the scheme %s does not know", p.Scheme)
		}
		return nil
	case "":
		return errors.New(" has no scheme, expected https, http, tls or tcp")
	}
	return fmt.Errorf(": scheme %q is not supported, expected https, http, tls or tcp", p.Scheme)
}

func checkHost(p *url.URL) error {
	host := p.Hostname()
	switch {
	case host == "":
		return errors.New(" has no host")
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New(" has a host with characters other than ASCII letters and digits; write a name in its xn-- form")
	case strings.Contains(host, ":") && !strings.HasPrefix(p.Host, "["):
		return errors.New(": an IPv6 address needs brackets, as in https://[2001:db8::1]/")
	case strings.HasSuffix(p.Host, ":"):
		return errors.New(": the port is empty")
	case p.Port() == "":
		return nil
	}
	if _, err := parsePort(p.Port()); err != nil {
		return fmt.Errorf(": %w", err)
	}
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
