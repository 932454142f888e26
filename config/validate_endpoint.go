package config

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// endpoint checks a URL and all that goes with it.
func (l *loader) endpoint(path string, e *Endpoint) {
	if l.require(child(path, "url"), expected[URL]()) {
		l.host(child(path, "url"), e.URL.Hostname())
		l.scheme(path, e)
	}
	l.addresses(path, e)
	l.onlyOne(path, "forward_proxy", "proxy_protocol")
	l.forwardProxy(child(path, "forward_proxy"), e.ForwardProxy)
	l.together(path, "cert_file", "key_file")
	if at := child(path, "server_name"); l.given(at) && !l.failed(at) {
		l.host(at, e.ServerName)
	}
	l.request(child(path, "request"), &e.Request)
	l.dialogue(path, e)
}

// scheme refuses what the URL's scheme can make no use of.
func (l *loader) scheme(path string, e *Endpoint) {
	none := "the scheme " + e.URL.Scheme + " "
	if e.URL.HTTP() {
		l.refuse(path, none+"has no dialogue, expected the scheme tls or tcp", "dialogue", "starttls")
	} else {
		l.refuse(path, none+"has no HTTP request, expected a dialogue", "request")
	}
	if !e.URL.TLS() {
		l.refuse(path, none+"does not speak TLS", "server_name", "ca_file", "cert_file", "key_file", "min_tls")
	}
	if e.URL.Scheme == "tcp" {
		l.refuse(path, "the scheme tcp does not speak TLS, expected the scheme tls", "starttls")
	}
}

// addresses checks all that says from where to where: it must leave at least one pair of addresses.
func (l *loader) addresses(path string, e *Endpoint) {
	if e.Source.IsValid() {
		at := child(path, "source")
		if e.Source.IsUnspecified() || e.Source.IsMulticast() {
			l.failAt(at, "%s is no address that one can probe from", e.Source)
		}
		if !e.IPVersion.Allows(e.Source) {
			l.failAt(at, "%s is %s, but ip_version allows only %s", e.Source, family(e.Source), e.IPVersion)
		}
	}
	if e.ForwardProxy == nil {
		l.reachable(path, e)
	}
	if e.URL.URL == nil {
		return
	}
	literal, err := netip.ParseAddr(e.URL.Hostname())
	if err != nil {
		return
	}
	if at := child(path, "resolve"); l.given(at) {
		l.failAt(at, "the url has the address %s, so there is no name to resolve", literal)
	}
	within := func(p Prefix) bool { return p.Contains(literal.Unmap()) }
	if at := child(path, "addresses"); len(e.Addresses) > 0 && !l.failed(at) && !slices.ContainsFunc(e.Addresses, within) {
		l.failAt(at, "the url has the address %s, which is none of these", literal)
	}
}

// reachable checks that source and ip_version leave one of the addresses that are known from the file.
func (l *loader) reachable(path string, e *Endpoint) {
	known, at := e.Resolve, child(path, "resolve")
	if e.URL.URL != nil {
		if literal, err := netip.ParseAddr(e.URL.Hostname()); err == nil {
			known, at = []netip.Addr{literal}, child(path, "url")
		}
	}
	if len(known) == 0 || l.failed(at) || slices.ContainsFunc(known, func(a netip.Addr) bool { return !a.IsValid() }) {
		return
	}
	if !slices.ContainsFunc(known, e.IPVersion.Allows) {
		l.failAt(at, "ip_version allows only %s, which leaves no address", e.IPVersion)
	}
	same := func(a netip.Addr) bool { return family(a) == family(e.Source) }
	if e.Source.IsValid() && !slices.ContainsFunc(known, same) {
		l.failAt(at, "the source %s is %s, which leaves no address", e.Source, family(e.Source))
	}
}

func (l *loader) forwardProxy(path string, p *ForwardProxy) {
	if p == nil || l.failed(path) {
		return
	}
	l.address(child(path, "address"), p.Address)
	l.basicAuth(child(path, "basic_auth"), p.BasicAuth)
}

// together reports a key whose partner is not given.
func (l *loader) together(path, a, b string) {
	if l.given(child(path, a)) && !l.given(child(path, b)) {
		l.failAt(child(path, a), "%s is missing, expected both", b)
	}
	if l.given(child(path, b)) && !l.given(child(path, a)) {
		l.failAt(child(path, b), "%s is missing, expected both", a)
	}
}

func (l *loader) request(path string, r *Request) {
	if at := child(path, "method"); l.given(at) && !l.failed(at) {
		l.method(at, r.Method)
	}
	if at := child(path, "host"); l.given(at) && !l.failed(at) && (r.Host == "" || !httpguts.ValidHostHeader(r.Host)) {
		l.failAt(at, "%s is not a Host header", quote(r.Host))
	}
	l.onlyOne(path, "basic_auth", "bearer_token")
	l.onlyOne(path, "basic_auth", "bearer_token_file")
	l.basicAuth(child(path, "basic_auth"), r.BasicAuth)
	l.headers(child(path, "headers"), r.Headers, requestHeaders)
	for name := range r.Headers {
		token := l.given(child(path, "bearer_token")) || r.BearerTokenFile != ""
		if http.CanonicalHeaderKey(name) == "Authorization" && (r.BasicAuth != nil || token) {
			l.failAt(child(child(path, "headers"), name), "basic_auth or bearer_token is given too, expected one of them")
		}
	}
}

func (l *loader) method(path, m string) {
	switch upper := strings.ToUpper(m); {
	case m == "" || !httpguts.ValidHeaderFieldName(m): // both are a token (RFC 9110, 5.6.2)
		l.failAt(path, "%s is not an HTTP method", quote(m))
	case upper == http.MethodConnect:
		l.failAt(path, "CONNECT is no request to an endpoint, expected forward_proxy")
	case m != upper && slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}, upper):
		l.failAt(path, "%s: methods are case-sensitive, expected %s", quote(m), upper)
	}
}

func (l *loader) basicAuth(path string, a *BasicAuth) {
	if a == nil || l.failed(path) {
		return
	}
	if at := child(path, "username"); l.require(at, "a user name") && (a.Username == "" || strings.ContainsRune(a.Username, ':')) {
		l.failAt(at, "%s is not a user name (RFC 7617), expected text without a colon", quote(a.Username))
	}
	if !l.given(child(path, "password")) {
		l.require(child(path, "password_file"), "password_file, or password as ${VARIABLE}")
	}
}

// maxLines is how many lines a dialogue may have.
const maxLines = 100

func (l *loader) dialogue(path string, e *Endpoint) {
	lines := child(path, "dialogue")
	if len(e.Dialogue) > maxLines {
		l.failAt(lines, "the dialogue has %d lines, expected at most %d", len(e.Dialogue), maxLines)
	}
	first := ""
	if at := child(path, "starttls"); l.given(at) {
		first = at
	}
	for i, line := range e.Dialogue {
		at := item(lines, i)
		known := !l.failed(at) && !l.failed(child(at, "expect")) && !l.failed(child(at, "send"))
		if known && line.Expect == nil && line.Send == "" && !line.StartTLS {
			l.failAt(at, "the line does nothing, expected expect, send or starttls: true")
		}
		if !line.StartTLS {
			continue
		}
		at = child(at, "starttls")
		if e.URL.URL != nil && e.URL.Scheme == "tcp" {
			l.failAt(at, "the scheme tcp does not speak TLS, expected the scheme tls")
			continue
		}
		if first != "" {
			l.failAt(at, "TLS starts at %s already, expected one start", first)
			continue
		}
		first = at
	}
}
