package config

import (
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// headerRules are what a user may not write into headers.
type headerRules struct {
	// ours are headers that the prober writes itself, with what to use in their place if there is something.
	ours map[string]string
	// secrets is where secrets belong.
	secrets string
}

// requestHeaders are the rules for a lane's request.
var requestHeaders = headerRules{
	ours: map[string]string{
		"Host":              "request.host",
		"Content-Length":    "request.body",
		"Transfer-Encoding": "request.body",
		"Connection":        "heldopen",
	},
	secrets: "basic_auth, bearer_token_file or ${VARIABLE}",
}

// webhookHeaders are the rules for a webhook's request. The last three are those of Standard Webhooks.
var webhookHeaders = headerRules{
	ours: map[string]string{
		"Host":              "url",
		"Content-Length":    "",
		"Content-Type":      "",
		"Transfer-Encoding": "",
		"Connection":        "",
		"Webhook-Id":        "",
		"Webhook-Timestamp": "",
		"Webhook-Signature": "secret",
	},
	secrets: "${VARIABLE}",
}

// secretHeaders usually carry credentials.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key"}

func (l *loader) headers(path string, all map[string]string, rules headerRules) {
	canonical := map[string]string{}
	for _, name := range sortedKeys(all) {
		at := child(path, name)
		l.header(at, name, all[name], rules)
		key := http.CanonicalHeaderKey(name)
		if before, twice := canonical[key]; twice {
			l.failAt(at, "the header is given before as %s", before)
		}
		canonical[key] = name
	}
}

func (l *loader) header(path, name, value string, rules headerRules) {
	key := http.CanonicalHeaderKey(name)
	instead, ours := rules.ours[key]
	_, variable := l.written[path]
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		l.failAt(path, "%s is not a header's name", quote(name))
	case !httpguts.ValidHeaderFieldValue(value):
		l.failAt(path, "the value has characters that a header cannot carry")
	case ours && instead != "":
		l.failAt(path, "the prober writes this header itself, expected %s", instead)
	case ours:
		l.failAt(path, "the prober writes this header itself")
	case slices.Contains(secretHeaders, key) && !variable:
		l.failAt(path, "a secret must not stand in this file, expected %s", rules.secrets)
	}
}
