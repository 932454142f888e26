package notify

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// shortestHidden is the length in bytes from which on a part of a URL or of a header is taken for a secret: hiding every
// "v2" and "api" would leave nothing to read.
const shortestHidden = 8

// hidden are the texts that must not be shown, the longest first.
type hidden []string

// hidden are the secrets of a request: what was given as such, and every part of the URL's path and query and of the
// headers that is long enough to be one. The host stays, without which nobody could tell what failed.
func (r *Request) hidden() hidden {
	h := hidden{r.URL}
	for _, s := range r.Secrets {
		h = h.add(s, 1)
	}
	for name, values := range r.Header {
		if name == "Content-Type" || name == "Accept" {
			continue
		}
		for _, v := range values {
			h = h.add(v, shortestHidden)
			for _, word := range strings.Fields(v) { // "Bearer SECRET"
				h = h.add(word, shortestHidden)
			}
		}
	}
	if u, err := url.Parse(r.URL); err == nil {
		h = h.addURL(u)
	}
	slices.SortFunc(h, func(a, b string) int { return len(b) - len(a) })
	return h
}

func (h hidden) addURL(u *url.URL) hidden {
	if password, ok := u.User.Password(); ok {
		h = h.add(password, 1)
		h = h.add(base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)), 1)
	}
	for _, part := range append(strings.Split(u.Path, "/"), strings.Split(u.EscapedPath(), "/")...) {
		h = h.add(part, shortestHidden)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			h = h.add(v, shortestHidden)
			h = h.add(url.QueryEscape(v), shortestHidden)
		}
	}
	return h
}

func (h hidden) add(s string, shortest int) hidden {
	if s = strings.TrimSpace(s); len(s) < shortest {
		return h
	}
	return append(h, s)
}

// clean is what may be shown of a foreign text: without the secrets, and its beginning only.
func (h hidden) clean(s string) string {
	for _, secret := range h {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "<hidden>")
		}
	}
	return clip(s, maxSaid)
}
