package config

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

func (l *loader) receivers(targets uniqueNames) {
	names := uniqueNames{}
	for i := range l.cfg.Receivers {
		path, r := item("receivers", i), &l.cfg.Receivers[i]
		if l.failed(path) {
			continue
		}
		l.name(child(path, "name"), r.Name, names)
		l.kind(path, r)
		l.transitions(child(path, "on"), r.On)
		for j, name := range r.Targets {
			at := item(child(path, "targets"), j)
			if targets[name] == "" && !l.failed(at) {
				l.failAt(at, "there is no target %s%s", quote(name), didYouMean(name, sortedKeys(targets)))
			}
		}
	}
}

// kind checks that exactly one destination is given.
func (l *loader) kind(path string, r *Receiver) {
	slack, exec := child(path, "slack"), child(path, "exec")
	if !l.given(slack) && !l.given(exec) {
		l.failAt(path, "no destination is given, expected slack or exec")
	}
	l.onlyOne(path, "slack", "exec")
	if r.Slack != nil && !l.failed(slack) {
		l.slack(slack, r.Slack)
	}
	if r.Exec != nil && !l.failed(exec) {
		l.exec(exec, r.Exec)
	}
}

func (l *loader) transitions(path string, on []Transition) {
	if l.given(path) && len(on) == 0 && !l.failed(path) {
		l.failAt(path, "the list is empty, expected at least one of %s", strings.Join(Transition("").words(), ", "))
	}
	seen := map[Transition]bool{}
	for i, t := range on {
		if seen[t] && t != "" {
			l.failAt(item(path, i), "%s is given twice", t)
		}
		seen[t] = true
	}
}

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

// webhook checks the secret URL once it has been read, and never shows it.
func (l *loader) webhook(path string, s *Slack) {
	if s.WebhookURL.IsZero() {
		return
	}
	at := child(path, "webhook_url")
	if s.WebhookURLFile != "" {
		at += "_file"
	}
	u, err := url.Parse(s.WebhookURL.Reveal())
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		l.failAt(at, "the secret is not a URL, expected https://hooks.slack.com/services/...")
	}
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
