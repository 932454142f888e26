package config

import (
	"path"
	"slices"
	"strings"
	"time"
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
		l.transitions(child(path, "on"), r)
		l.selected(child(path, "targets"), r.Targets, targets)
		l.notEmpty(child(path, "layers"), len(r.Layers))
		distinct(l, child(path, "layers"), r.Layers)
		l.atLeast(child(path, "repeat"), r.Repeat, time.Minute)
		l.texts(path, r)
	}
}

// kinds of receivers, as keys of the file.
var kinds = []string{"slack", "alertmanager", "webhook", "email", "exec"}

// kind checks that exactly one destination is given.
func (l *loader) kind(path string, r *Receiver) {
	first := ""
	for _, key := range kinds {
		switch at := child(path, key); {
		case !l.given(at):
		case first == "":
			first = key
		default:
			l.failAt(at, "%s is given too, expected one of them", first)
		}
	}
	if first == "" {
		l.failAt(path, "no destination is given, expected %s", listOr(kinds))
	}
	whole := func(key string) (string, bool) { at := child(path, key); return at, !l.failed(at) }
	if at, ok := whole("slack"); ok && r.Slack != nil {
		l.slack(at, r.Slack)
	}
	if at, ok := whole("alertmanager"); ok && r.Alertmanager != nil {
		l.alertmanager(at, r.Alertmanager)
	}
	if at, ok := whole("webhook"); ok && r.Webhook != nil {
		l.webhook(at, r.Webhook)
	}
	if at, ok := whole("email"); ok && r.Email != nil {
		l.email(at, r.Email)
	}
	if at, ok := whole("exec"); ok && r.Exec != nil {
		l.exec(at, r.Exec)
	}
}

// transitions checks that a receiver hears of something, and that one that holds what it was told hears of its end.
func (l *loader) transitions(path string, r *Receiver) {
	if !l.given(path) || l.failed(path) {
		return
	}
	if len(r.On) == 0 {
		l.failAt(path, "the list is empty, expected at least one of %s", strings.Join(Transition("").words(), ", "))
		return
	}
	distinct(l, path, r.On)
	if r.Alertmanager == nil || l.failedBelow(path, len(r.On)) {
		return
	}
	on := func(t Transition) bool { return slices.Contains(r.On, t) }
	if !on(Opened) || !on(Resolved) {
		l.failAt(path, "an alert that began must end, expected opened and resolved among them")
	}
	if on(Suspect) != on(Dismissed) {
		l.failAt(path, "an alert that began must end, expected suspect and dismissed together")
	}
}

// failedBelow tells whether a mistake was found in one of n elements.
func (l *loader) failedBelow(path string, n int) bool {
	for i := range n {
		if l.failed(item(path, i)) {
			return true
		}
	}
	return false
}

// distinct reports elements of a list that are there already.
func distinct[T ~string](l *loader, path string, all []T) {
	seen := map[T]bool{}
	for i, v := range all {
		if at := item(path, i); seen[v] && !l.failed(at) {
			l.failAt(at, "%s is given twice", quote(string(v)))
		}
		seen[v] = true
	}
}

// notEmpty refuses a list without elements, which could be taken for none and for all.
func (l *loader) notEmpty(path string, n int) {
	if l.given(path) && n == 0 && !l.failed(path) {
		l.failAt(path, "the list is empty, expected no list for all of them")
	}
}

// selected checks that every name and every pattern stands for a target at least.
func (l *loader) selected(path string, patterns []string, targets uniqueNames) {
	l.notEmpty(path, len(patterns))
	distinct(l, path, patterns)
	for i, p := range patterns {
		at := item(path, i)
		switch {
		case l.failed(at) || targets[p] != "":
		case !isPattern(p):
			l.failAt(at, "there is no target %s%s", quote(p), didYouMean(p, sortedKeys(targets)))
		case !goodPattern(p):
			l.failAt(at, "%s is not a pattern, expected text with *, ? or [a-z] in it, and a \\ before what is none", quote(p))
		case !l.selectsAny(p, targets):
			l.failAt(at, "no target matches the pattern %s", quote(p))
		}
	}
}

// selectsAny remembers what it found, as many receivers may have the same pattern.
func (l *loader) selectsAny(pattern string, targets uniqueNames) bool {
	found, known := l.patterns[pattern]
	if known {
		return found
	}
	for name := range targets {
		if found = selects(pattern, name); found {
			break
		}
	}
	l.patterns[pattern] = found
	return found
}

// isPattern tells that a text can stand for something else than itself.
func isPattern(s string) bool { return strings.ContainsAny(s, `*?[\`) }

func goodPattern(s string) bool {
	_, err := path.Match(s, "")
	return err == nil
}

// selects tells whether a name or pattern stands for a target.
func selects(pattern, target string) bool {
	if pattern == target {
		return true
	}
	match, err := path.Match(pattern, target)
	return err == nil && match
}

// atLeast checks a duration that may be missing.
func (l *loader) atLeast(path string, d Duration, least time.Duration) {
	if d != 0 && d.Std() < least {
		l.failAt(path, "%s is too short, expected at least %s", brief(d.Std()), brief(least))
	}
}

// brief is a duration without the zeros at its end.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// texts refuses words for those that get data.
func (l *loader) texts(path string, r *Receiver) {
	if r.Exec != nil {
		l.refuse(path, "a program gets data and no text", "title", "text")
	}
	if w := r.Webhook; w != nil && (w.Format == "" || w.Format == WebhookJSON) && !l.failed(child(path, "webhook.format")) {
		l.refuse(path, "the format json sends data and no text, expected webhook.body", "title", "text")
	}
}
