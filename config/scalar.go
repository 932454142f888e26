package config

import (
	"fmt"
	"net/netip"
	"regexp"
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
	if err != nil || len(b) == 0 {
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

func (IPVersion) words() []string { return []string{"4", "6"} }

// MarshalText implements encoding.TextMarshaler.
func (v IPVersion) MarshalText() ([]byte, error) {
	if v == 0 {
		return nil, nil
	}
	return []byte{'0' + byte(v)}, nil
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
