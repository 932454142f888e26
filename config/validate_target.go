package config

import "golang.org/x/net/http/httpguts"

// target checks one target as a whole; its endpoints are checked one by one.
func (l *loader) target(path string, t *Target) {
	front := child(path, "front")
	if l.require(front, "what users address, at least a url") {
		l.endpoint(front, &t.Front)
	}
	lanes := uniqueNames{}
	for i := range t.Via {
		l.hop(item(child(path, "via"), i), &t.Via[i], lanes)
	}
	l.onlyOne(path, "backend", "backends")
	if t.Backend != nil && len(t.Backends) > 0 {
		lanes = uniqueNames{} // no use in telling that their names collide
	}
	l.backends(t, path, func(at string, b *Backend) { l.backend(at, b, max(1, len(t.Backends)), lanes) })
	l.expect(child(path, "expect"), &t.Expect, t.Front.URL)
}

func (l *loader) hop(path string, h *Hop, lanes uniqueNames) {
	if l.failed(path) {
		return
	}
	l.name(child(path, "name"), h.Name, lanes)
	l.require(child(path, "role"), expected[Role]())
	l.address(child(path, "address"), h.Address)
	l.control(child(path, "control"), h.Control, h.Address)
}

// control checks a witness: it must be another port than the one that it is a witness for.
func (l *loader) control(path string, control *Address, of Address) {
	if control == nil || l.failed(path) {
		return
	}
	l.host(path, control.Host)
	if *control == of {
		l.failAt(path, "%s is the address itself, expected another port of that host", control)
	}
}

func (l *loader) backend(path string, b *Backend, of int, lanes uniqueNames) {
	if l.failed(path) {
		return
	}
	l.endpoint(path, &b.Endpoint)
	switch {
	case l.given(child(path, "name")):
		l.name(child(path, "name"), b.Name, lanes)
	case b.URL.URL != nil:
		l.uniqueName(path, defaultName(b, of), lanes)
	}
	if b.URL.URL != nil {
		l.control(child(path, "control"), b.Control, Address{Host: b.URL.Hostname(), Port: b.URL.PortNumber()})
	}
	if b.Expect != nil {
		l.expect(child(path, "expect"), b.Expect, b.URL)
	}
}

// expect checks expectations against the scheme of the lane that they are about.
func (l *loader) expect(path string, e *Expect, u URL) {
	if u.URL != nil && !u.HTTP() {
		l.refuse(path, "the scheme "+u.Scheme+" has no HTTP answer, expected a dialogue",
			"status", "body", "body_regexp", "json", "headers")
	}
	if u.URL != nil && !u.TLS() {
		l.refuse(path, "the scheme "+u.Scheme+" has no certificate", "cert_days")
	}
	if e.CertDays < 0 {
		l.failAt(child(path, "cert_days"), "%d is negative, expected a number of days", e.CertDays)
	}
	for i, code := range e.Status {
		at := item(child(path, "status"), i)
		if (code < 100 || code > 599) && !l.failed(at) {
			l.failAt(at, "%d is not an HTTP status, expected 100 to 599", code)
		}
	}
	for i := range e.JSON {
		if at := item(child(path, "json"), i); !l.failed(at) {
			l.require(child(at, "path"), "a JSONPath such as $.status")
		}
	}
	for name := range e.Headers {
		if !httpguts.ValidHeaderFieldName(name) {
			l.failAt(child(child(path, "headers"), name), "%s is not a header's name", quote(name))
		}
	}
}

// refuse reports those of the keys that are given though they can have no effect.
func (l *loader) refuse(path, why string, keys ...string) {
	for _, k := range keys {
		if at := child(path, k); l.given(at) {
			l.failAt(at, "%s", why)
		}
	}
}
