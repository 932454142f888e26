package config

import (
	"maps"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// slack is reached with a bot's token, which needs a channel, or with a webhook, which has its own.
func (l *loader) slack(path string, s *Slack) {
	token := l.given(child(path, "token")) || l.given(child(path, "token_file"))
	webhook := l.given(child(path, "webhook_url")) || l.given(child(path, "webhook_url_file"))
	channel := child(path, "channel")
	switch {
	case token && webhook:
		l.failAt(path, "both a token and a webhook are given, expected one of them")
	case webhook:
		l.refuse(path, "the webhook has its own channel, expected channel only with a token", "channel", "api_url")
	case !token:
		l.failAt(path, "neither token_file with channel nor webhook_url_file is given, expected one of them")
	default:
		if l.require(channel, "a channel such as \"#ops\" or C0123456789") && strings.TrimSpace(s.Channel) == "" {
			l.failAt(channel, "is empty, expected a channel such as \"#ops\" or C0123456789")
		}
	}
	if at := child(path, "api_url"); s.APIURL != nil && s.APIURL.URL != nil && !s.APIURL.HTTP() {
		l.failAt(at, "the scheme %s is not HTTP, expected https", s.APIURL.Scheme)
	}
}

// alertmanager is told at every instance, so that each must be there, and once.
func (l *loader) alertmanager(path string, a *Alertmanager) {
	urls := child(path, "urls")
	if l.require(urls, "a list of the URLs of all instances") && len(a.URLs) == 0 {
		l.failAt(urls, "the list is empty, expected the URLs of all instances")
	}
	first := map[string]string{}
	for i, u := range a.URLs {
		at := item(urls, i)
		if l.failed(at) || u.URL == nil {
			continue
		}
		l.webURL(at, u.URL)
		key := strings.TrimSuffix(u.String(), "/")
		if before, twice := first[key]; twice {
			l.failAt(at, "the instance is given before as %s", before)
			continue
		}
		first[key] = at
	}
	for _, name := range sortedKeys(a.Labels) {
		l.label(child(child(path, "labels"), name), name, a.Labels[name])
	}
	l.onlyOne(path, "basic_auth", "bearer_token")
	l.onlyOne(path, "basic_auth", "bearer_token_file")
	l.basicAuth(child(path, "basic_auth"), a.BasicAuth)
}

// webURL checks a URL that paths are appended to.
func (l *loader) webURL(path string, u *url.URL) {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		l.failAt(path, "the scheme %s is not HTTP, expected https or http", u.Scheme)
	case u.RawQuery != "" || u.ForceQuery:
		l.failAt(path, "the URL has a query (?), expected at most a path")
	default:
		l.host(path, u.Hostname())
	}
}

// ourLabels are those that make an alert of an incident.
var ourLabels = []string{"alertname", "target", "incident"}

// label checks a label by the rules of Prometheus, which keeps names that begin with __ to itself.
func (l *loader) label(path, name, value string) {
	switch {
	case !variableName(name) || strings.HasPrefix(name, "__"):
		l.failAt(path, "%s is not the name of a label, expected letters, digits and _", quote(name))
	case slices.Contains(ourLabels, name):
		l.failAt(path, "the prober writes this label itself, expected another one")
	case value == "" && !l.failed(path):
		l.failAt(path, "the value is empty, which is the same as no label")
	}
}

func (l *loader) webhook(path string, w *Webhook) {
	rules := webhookHeaders
	switch w.Format {
	case WebhookPagerDuty, WebhookOpsgenie:
		if !l.given(child(path, "key")) && !l.given(child(path, "key_file")) {
			l.failAt(path, "neither key nor key_file is given, which the format %s needs", w.Format)
		}
		l.refuse(path, "only messages of the format json are signed, expected key or key_file", "secret", "secret_file")
		l.refuse(path, "the format "+string(w.Format)+" has its own body, expected title and text", "body")
		rules.ours = maps.Clone(rules.ours)
		rules.ours["Authorization"] = "key"
	default:
		if !l.given(child(path, "url")) && !l.given(child(path, "url_file")) && !l.failed(child(path, "format")) {
			l.failAt(path, "neither url nor url_file is given, expected one of them")
		}
		if !l.failed(child(path, "format")) {
			l.refuse(path, "the format json has no key, expected secret_file or headers", "key", "key_file")
		}
	}
	l.headers(child(path, "headers"), w.Headers, rules)
}

func (l *loader) email(path string, e *Email) {
	l.address(child(path, "server"), e.Server)
	if at := child(path, "from"); l.require(at, "a mail address") {
		l.mailAddress(at, e.From)
	}
	l.recipients(child(path, "to"), e.To)
	user, password := child(path, "username"), l.keyOrFile(path, "password")
	switch {
	case l.given(user) && !l.given(password):
		l.failAt(user, "password_file is missing, expected both")
	case l.given(password) && !l.given(user):
		l.failAt(password, "username is missing, expected both")
	case l.given(user) && (e.Username == "" || hasControl(e.Username)) && !l.failed(user):
		l.failAt(user, "%s is not a user name", quote(e.Username))
	}
	if e.TLS != MailNoTLS {
		return
	}
	l.refuse(path, "without TLS there is no certificate to check", "ca_file")
	if l.given(user) && !loopbackHost(e.Server.Host) {
		l.failAt(child(path, "tls"), "the password would cross the network in clear text, expected starttls or tls")
	}
}

func (l *loader) recipients(path string, to []string) {
	if l.require(path, "a list of mail addresses") && len(to) == 0 {
		l.failAt(path, "the list is empty, expected at least one mail address")
	}
	for i, s := range to {
		if at := item(path, i); !l.failed(at) {
			l.mailAddress(at, s)
		}
	}
	distinct(l, path, to)
}

// mailAddress wants one address, with or without a name before it (RFC 5322, 3.4).
func (l *loader) mailAddress(path, s string) {
	if _, err := mail.ParseAddress(s); err != nil || hasControl(s) {
		l.failAt(path, "%s is not a mail address, expected user@example.com or Name <user@example.com>", quote(s))
	}
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (l *loader) exec(path string, e *Exec) {
	command := child(path, "command")
	if l.require(command, "a list of the program and its arguments") {
		l.command(command, e.Command)
	}
	for _, name := range sortedKeys(e.Env) {
		at := child(child(path, "env"), name)
		if !variableName(name) {
			l.failAt(at, "%s is not the name of an environment variable", quote(name))
		}
		if strings.ContainsRune(e.Env[name], 0) {
			l.failAt(at, "the value has a zero byte")
		}
	}
}

// command checks that the program could be started now.
func (l *loader) command(path string, argv []string) {
	if len(argv) == 0 {
		l.failAt(path, "the list is empty, expected the program and its arguments")
		return
	}
	for i, arg := range argv {
		if strings.ContainsRune(arg, 0) {
			l.failAt(item(path, i), "the argument has a zero byte")
			return
		}
	}
	program := item(path, 0)
	if l.failed(program) {
		return
	}
	if !filepath.IsAbs(argv[0]) {
		l.failAt(program, "%s is not an absolute path", quote(argv[0]))
		return
	}
	switch info, err := os.Stat(argv[0]); {
	case err != nil:
		l.failAt(program, "%s cannot be started: %s", quote(argv[0]), bare(err))
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		l.failAt(program, "%s is not an executable file", quote(argv[0]))
	}
}
