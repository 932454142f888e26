package notify

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whichlayer/whichlayer/config"
)

// watchdogTimeout bounds one sign, if the interval is not shorter.
const watchdogTimeout = 10 * time.Second

// Watchdog gives a service elsewhere a sign of life, so that this prober's own death is noticed: what watches others has
// to be watched too.
//
// While the prober is well the URL is asked with GET each interval. While it is not, there is no such sign, and the other
// side notices its absence. A URL as healthchecks.io gives them, whose path ends with a UUID, is told the reason at once
// instead, by a POST to URL/fail (https://healthchecks.io/docs/http_api/). Other services might take any request for a
// sign of life.
type Watchdog struct {
	url      string
	fail     string // empty: silence says it
	interval time.Duration
	healthy  func() string
	http     *HTTP
	log      *slog.Logger
	signs    *prometheus.CounterVec
	success  prometheus.Gauge
	// silent is why the last interval had no sign of life; only its changes are logged.
	silent string
}

// NewWatchdog prepares a watchdog; healthy says what is wrong with this prober, and nothing while it is well.
func NewWatchdog(cfg config.Watchdog, healthy func() string, log *slog.Logger, reg prometheus.Registerer) (*Watchdog, error) {
	w := &Watchdog{url: strings.TrimSpace(cfg.URL.Reveal()), interval: cfg.Interval.Std(), healthy: healthy, log: log}
	u, err := url.Parse(w.url)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("watchdog: url is not a URL") // and is secret
	}
	if w.interval <= 0 {
		w.interval = time.Minute
	}
	w.fail = failURL(u)
	w.http = NewHTTP(nil, min(watchdogTimeout, w.interval), "")
	return w, w.register(reg)
}

// register makes the metrics, or finds those of the watchdog before a reload.
func (w *Watchdog) register(reg prometheus.Registerer) (err error) {
	w.signs, err = registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "whichlayer_watchdog_signs_total",
		Help: "Signs of life by what became of them: sent, failed, withheld because the prober is not well."}, []string{"outcome"}))
	if err != nil {
		return err
	}
	for _, outcome := range []string{"sent", "failed", "withheld"} {
		w.signs.WithLabelValues(outcome)
	}
	w.success, err = registered(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: "whichlayer_watchdog_last_success_timestamp_seconds",
		Help: "When the last sign of life was taken; 0 if none was."}))
	return err
}

func registered[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	err := reg.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if before, ok := twice.ExistingCollector.(C); ok {
			return before, nil
		}
	}
	return c, err
}

// pingPath is the path of a healthchecks-style URL: a UUID at its end.
var pingPath = regexp.MustCompile(`(?i)/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/?$`)

// failURL is where a healthchecks-style service is told of a failure; empty for other URLs.
func failURL(u *url.URL) string {
	if !pingPath.MatchString(u.Path) {
		return ""
	}
	return u.JoinPath("fail").String()
}

// Run gives signs until ctx ends, one at a time: the first one at once.
func (w *Watchdog) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		w.sign(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return nil
}

func (w *Watchdog) sign(ctx context.Context) {
	reason := w.healthy()
	if reason != "" {
		w.signs.WithLabelValues("withheld").Inc()
		w.note("no sign of life is given: this prober is not well", reason)
		if w.fail != "" {
			w.ask(ctx, Request{URL: w.fail, Body: []byte(clip(reason, limitAnnotation))})
		}
		return
	}
	if !w.ask(ctx, Request{URL: w.url}) {
		return
	}
	w.signs.WithLabelValues("sent").Inc()
	w.success.SetToCurrentTime()
	if w.silent != "" {
		w.silent = ""
		w.log.Info("signs of life are given again")
	}
}

// ask makes one request and tells whether it succeeded.
func (w *Watchdog) ask(ctx context.Context, r Request) bool {
	r.Secrets = []string{w.url}
	_, err := w.http.Do(ctx, r)
	if err != nil && ctx.Err() == nil {
		w.signs.WithLabelValues("failed").Inc()
		w.note("a sign of life failed", err.Error())
	}
	return err == nil
}

func (w *Watchdog) note(what, why string) {
	if w.silent != why {
		w.silent = why
		w.log.Warn(what, "reason", why)
	}
}
