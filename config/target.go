package config

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
)

// Target is a service as its users reach it, with the path to it.
type Target struct {
	// Name in every message and metric, unique.
	Name string `yaml:"name"`
	// Schedule of this target; default the global one.
	Schedule Schedule `yaml:"schedule"`
	// Timeouts of this target; each default is the global one.
	Timeouts Timeouts `yaml:"timeouts"`
	// HeldOpen is the request interval on this target's long-lived connection, or off; default the global one.
	HeldOpen *Interval `yaml:"heldopen"`
	// Detect holds this target's parameters of detection; each default is the global one.
	Detect Detect `yaml:"detect"`
	// Front is what users address.
	Front Endpoint `yaml:"front"`
	// Via are the hops in the order in which a user's request crosses them.
	Via []Hop `yaml:"via"`
	// Backend is the short form of backends with one.
	Backend *Backend `yaml:"backend"`
	// Backends bypass the proxy.
	Backends []Backend `yaml:"backends"`
	// Expect is what a good answer looks like, through the front and from each backend.
	Expect Expect `yaml:"expect"`
}

// Hop is one box between the users and the backend that can be addressed directly.
type Hop struct {
	// Name of the hop in messages and metrics, unique within the target.
	Name string `yaml:"name"`
	// Role is balancer (spreads connections) or proxy (terminates TLS).
	Role Role `yaml:"role"`
	// Address is where the hop serves the target.
	Address Address `yaml:"address"`
	// Control is another port of the same host, connected to as a witness that the host and the path to it are fine.
	Control *Address `yaml:"control"`
	// ProxyProtocol is written first on connections to this hop.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`
}

// Role says what a hop does with a connection.
type Role string

// Roles of a hop.
const (
	Balancer Role = "balancer" // spreads connections, TCP or HTTP
	Proxy    Role = "proxy"    // terminates TLS
)

// Backend is an endpoint reached past the proxy.
type Backend struct {
	// Name of the backend in messages and metrics, unique within the target; default backend, or host:port where there
	// are several.
	Name     string `yaml:"name"`
	Endpoint `yaml:",inline"`
	// Control is another port of the same host, connected to as a witness that the host and the path to it are fine.
	Control *Address `yaml:"control"`
	// Expect replaces the target's expectations on this lane.
	Expect *Expect `yaml:"expect"`
}

// Endpoint is something that can be asked: a URL and how to ask it.
type Endpoint struct {
	// URL has the scheme https, http, tls or tcp.
	URL URL `yaml:"url"`
	// Resolve pins the addresses: DNS is not asked.
	Resolve []netip.Addr `yaml:"resolve"`
	// Addresses are those that the name should resolve to, single or as ranges.
	Addresses []Prefix `yaml:"addresses"`
	// IPVersion limits the addresses to version 4 or 6; default both.
	IPVersion IPVersion `yaml:"ip_version"`
	// Source is the local address to probe from.
	Source netip.Addr `yaml:"source"`
	// Request is the HTTP request (schemes https and http only).
	Request Request `yaml:"request"`

	// ServerName is sent as SNI and checked in the certificate; default the URL's host (front) or the front's (others).
	ServerName string `yaml:"server_name"`
	// CAFile holds the trusted roots as PEM; default the system's.
	CAFile string `yaml:"ca_file"`
	// CertFile holds the client certificate and its intermediates as PEM.
	CertFile string `yaml:"cert_file"`
	// KeyFile holds the client certificate's key as PEM.
	KeyFile string `yaml:"key_file"`
	// MinTLS is the least TLS version that is accepted, 1.0 to 1.3; default 1.2.
	MinTLS TLSVersion `yaml:"min_tls"`

	// ProxyProtocol is the version of the PROXY protocol header that is written first: v1 or v2; default none.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`
	// ForwardProxy is an http:// proxy that is asked to CONNECT.
	ForwardProxy *ForwardProxy `yaml:"forward_proxy"`

	// StartTLS names a protocol whose clear-text prologue is spoken before the TLS handshake (scheme tls only).
	StartTLS StartTLS `yaml:"starttls"`
	// Dialogue is what is said and expected instead of an HTTP exchange (schemes tls and tcp only).
	Dialogue []Line `yaml:"dialogue"`

	// Roots are the certificates of CAFile as they were when the configuration was loaded; nil is the system's.
	Roots *x509.CertPool `yaml:"-" json:"-"`
	// Certificate is the pair of CertFile and KeyFile; nil is none.
	Certificate *tls.Certificate `yaml:"-" json:"-"`
	// digest tells one content of these files from another.
	digest string
}

// Request is the HTTP request of a lane.
type Request struct {
	// Method of the request; default GET.
	Method string `yaml:"method"`
	// Headers are added to the request.
	Headers map[string]string `yaml:"headers"`
	// Body of the request.
	Body string `yaml:"body"`
	// Host replaces the Host header; default the front's.
	Host string `yaml:"host"`
	// BasicAuth sends a user name and a password.
	BasicAuth *BasicAuth `yaml:"basic_auth"`
	// BearerToken as ${VARIABLE}.
	BearerToken Secret `yaml:"bearer_token"`
	// BearerTokenFile holds the bearer token.
	BearerTokenFile string `yaml:"bearer_token_file"`
}

// BasicAuth is sent as RFC 7617 credentials.
type BasicAuth struct {
	// Username without a colon.
	Username string `yaml:"username"`
	// Password as ${VARIABLE}.
	Password Secret `yaml:"password"`
	// PasswordFile holds the password.
	PasswordFile string `yaml:"password_file"`
}

// ForwardProxy is reached first and asked to CONNECT to the endpoint (RFC 9110, 9.3.6).
type ForwardProxy struct {
	// Address of the forward proxy.
	Address Address `yaml:"address"`
	// BasicAuth is sent as Proxy-Authorization.
	BasicAuth *BasicAuth `yaml:"basic_auth"`
}

// Line is one step of a dialogue: wait for Expect, then send Send.
type Line struct {
	// Expect must match what was received since the last match; nil waits for nothing.
	Expect *Regexp `yaml:"expect"`
	// Send is written as it is; the usual escapes of a double-quoted YAML string give control characters.
	Send string `yaml:"send"`
	// StartTLS makes the TLS handshake happen after this line (scheme tls, at most once).
	StartTLS bool `yaml:"starttls"`
}

// Expect is what a good answer looks like.
type Expect struct {
	// Status lists the good status codes; default every 2xx.
	Status []int `yaml:"status"`
	// Body is a substring of the body.
	Body string `yaml:"body"`
	// BodyRegexp must match somewhere in the body.
	BodyRegexp *Regexp `yaml:"body_regexp"`
	// JSON are conditions on a JSON body.
	JSON []JSONCheck `yaml:"json"`
	// Headers must be present and match.
	Headers map[string]*Regexp `yaml:"headers"`
	// MaxDuration of the whole lane; a longer one is slow, not failed.
	MaxDuration Duration `yaml:"max_duration"`
	// CertDays is how long the certificate must still be valid; less is degraded.
	CertDays int `yaml:"cert_days"`
}

// JSONCheck is a condition on one value of a JSON body.
type JSONCheck struct {
	// Path is a JSONPath expression such as $.status (RFC 9535).
	Path JSONPath `yaml:"path"`
	// Equals is compared with the value's text; empty asks only that there is a value.
	Equals string `yaml:"equals"`
}
