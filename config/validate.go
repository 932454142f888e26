package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// validate reports what is well formed but cannot be meant: missing values, contradictions, names twice. It looks at
// the values as they stand in the file, before settle, so that each mistake has a place.
func (l *loader) validate() {
	if l.failed("") {
		return
	}
	c := &l.cfg
	l.listen(c.Listen)
	l.servers(c.DNS.Servers)
	l.controls(c.Controls)
	if len(c.Targets) == 0 && !l.failed("targets") {
		l.failAt("targets", "there is no target, expected at least one")
	}
	names := uniqueNames{}
	for i := range c.Targets {
		path := item("targets", i)
		if l.failed(path) {
			continue
		}
		l.name(child(path, "name"), c.Targets[i].Name, names)
		if c.Targets[i].Name == selfTarget {
			l.failAt(child(path, "name"), "the name is taken by incidents of the prober's own, expected another one")
		}
		l.target(path, &c.Targets[i])
	}
	l.receivers(names)
	l.upkeep(names)
}

// selfTarget is what incidents of the prober's own are charged to, so that no target may be called so; see
// alert.SelfTarget.
const selfTarget = "whichlayer itself"

// require reports a value that is not given.
func (l *loader) require(path, what string) bool {
	if l.given(path) {
		return !l.failed(path)
	}
	l.failAt(path, "is missing, expected %s", what)
	return false
}

// onlyOne reports keys of one mapping that exclude each other.
func (l *loader) onlyOne(path, a, b string) {
	if l.given(child(path, a)) && l.given(child(path, b)) {
		l.failAt(child(path, b), "%s is given too, expected one of them", a)
	}
}

// uniqueNames maps the names of one scope to the path of the first that has it.
type uniqueNames map[string]string

// maxName is how long a name may be, in bytes: names become labels of metrics and lines of messages.
const maxName = 128

// name checks a name that must be given and be unique in its scope.
func (l *loader) name(path, name string, scope uniqueNames) {
	if l.require(path, "a name") {
		l.uniqueName(path, name, scope)
	}
}

func (l *loader) uniqueName(path, name string, scope uniqueNames) {
	if !goodName(name) {
		l.failAt(path, "%s is not a name, expected 1 to %d printable characters", quote(name), maxName)
		return
	}
	if first, twice := scope[name]; twice {
		l.failAt(path, "the name %s is taken by %s", quote(name), first)
		return
	}
	scope[name] = path
}

func goodName(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && s[0] != ' ' && s[len(s)-1] != ' '
}

// listen accepts port 0, which is any free port, and an empty host, which is every address of the machine.
func (l *loader) listen(s string) {
	if s == "off" || l.failed("listen") {
		return
	}
	const want = "expected address:port such as 127.0.0.1:9853 or [::1]:9853, or off"
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		l.failAt("listen", "%s is not address:port, %s", quote(s), want)
		return
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		l.failAt("listen", "port %s is out of range, expected 0 to 65535", quote(port))
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName(host) {
		l.failAt("listen", "%s is not an address, %s", quote(host), want)
	}
}

// servers must be literal addresses: with a name one would need DNS to find DNS.
func (l *loader) servers(all []Address) {
	for i, s := range all {
		path := item("dns.servers", i)
		if _, literal := s.AddrPort(); !literal && !l.failed(path) {
			l.failAt(path, "%s is a name, expected the name server's IP address and port", quote(s.Host))
		}
	}
}

func (l *loader) controls(all []Control) {
	names := uniqueNames{}
	for i := range all {
		path := item("controls", i)
		if l.failed(path) {
			continue
		}
		l.name(child(path, "name"), all[i].Name, names)
		l.address(child(path, "address"), all[i].Address)
	}
}

// address checks a host:port that must be given.
func (l *loader) address(path string, a Address) {
	if l.require(path, "host:port") {
		l.host(path, a.Host)
	}
}

// host checks that something can be connected to.
func (l *loader) host(path, host string) {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil && !hostName(host):
		l.failAt(path, "%s is neither an IP address nor a host name", quote(host))
	case err == nil && (ip.IsUnspecified() || ip.IsMulticast()):
		l.failAt(path, "%s is no address that one can connect to", host)
	}
}

// hostName tells whether s can be asked for in DNS (RFC 1035, 2.3.4; underscores are used if not allowed). A last
// part of digits only is a mistyped IPv4 address.
func hostName(s string) bool {
	if len(s) > 0 && s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	label, digits := 0, true
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.':
			if label == 0 || s[i-1] == '-' {
				return false
			}
			label, digits = 0, true
			continue
		case c == '-' && label == 0:
			return false
		case c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z'):
			return false
		}
		digits = digits && c >= '0' && c <= '9'
		if label++; label > 63 {
			return false
		}
	}
	return label > 0 && !digits && len(s) <= 253 && s[len(s)-1] != '-'
}

func family(ip netip.Addr) string {
	if ip.Unmap().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

func (v IPVersion) String() string { return fmt.Sprintf("IPv%d", uint8(v)) }
