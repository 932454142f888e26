package config

import (
	"slices"
	"time"
)

// Bounds of what keeps the prober itself in order.
const (
	leastRetention  = time.Hour
	leastSize       = 64 << 20           // in bytes; some thousand incidents with the rounds around them
	mostMaintenance = 7 * 24 * time.Hour // longer, and nobody remembers why nothing is told
	leastSign       = 10 * time.Second
)

func (l *loader) upkeep(targets uniqueNames) {
	c := &l.cfg
	l.atLeast("retention.incidents", c.Retention.Incidents, leastRetention)
	l.atLeast("retention.history", c.Retention.History, leastRetention)
	if c.Retention.Size < leastSize {
		l.failAt("retention.size", "%s is too small, expected at least %s", c.Retention.Size, Size(leastSize))
	}
	if u := c.ExternalURL; u != nil && u.URL != nil {
		l.webURL("external_url", u.URL)
	}
	l.maintenance(targets)
	l.watchdog(&c.Watchdog)
}

func (l *loader) maintenance(targets uniqueNames) {
	names := uniqueNames{}
	for i := range l.cfg.Maintenance {
		path, m := item("maintenance", i), &l.cfg.Maintenance[i]
		if l.failed(path) {
			continue
		}
		l.name(child(path, "name"), m.Name, names)
		if at := child(path, "schedule"); l.require(at, "when it begins, as cron") && m.Schedule.Every > 0 {
			l.failAt(at, "%s %s", quote(m.Schedule.Spec), wantCron)
		}
		if at := child(path, "duration"); l.require(at, "how long it lasts") && m.Duration.Std() > mostMaintenance {
			l.failAt(at, "%s is too long, expected at most %s", brief(m.Duration.Std()), brief(mostMaintenance))
		}
		l.selected(child(path, "targets"), m.Targets, targets)
	}
}

func (l *loader) watchdog(w *Watchdog) {
	if l.failed("watchdog") {
		return
	}
	if l.given("watchdog.interval") && !l.given("watchdog.url") && !l.given("watchdog.url_file") {
		l.failAt("watchdog.interval", "there is nothing to ask, expected url or url_file too")
	}
	l.atLeast("watchdog.interval", w.Interval, leastSign)
	is := func(r Receiver) bool { return r.Alertmanager != nil }
	if w.Alertmanager && !slices.ContainsFunc(l.cfg.Receivers, is) {
		l.failAt("watchdog.alertmanager", "there is no receiver of the kind alertmanager")
	}
}
