package notify

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// amChunk is how many alerts go into one request.
const amChunk = 200

// Run implements alert.Runner: it repeats all alerts to every instance, each minute and when one is due to end.
func (a *Alertmanager) Run(ctx context.Context) error {
	began := time.Now()
	for ctx.Err() == nil {
		last := time.Now()
		a.repeat(ctx, began)
		a.pause(ctx, last)
	}
	return nil
}

// repeat tells all instances at once, so that a dead one delays no other.
func (a *Alertmanager) repeat(ctx context.Context, began time.Time) {
	ids := a.alerts.due(ctx, time.Now(), a.shown)
	var wg sync.WaitGroup
	for _, i := range a.instances {
		wg.Go(func() { a.repeatTo(ctx, i, ids, began) })
	}
	wg.Wait()
}

// pause returns when it is time to repeat: a minute after the last time, or earlier when an alert has been due to end
// since, or an instance has missed one.
func (a *Alertmanager) pause(ctx context.Context, last time.Time) {
	next := last.Add(amRepeat)
	for {
		next = a.alerts.soonest(last, a.shown, next)
		if soon := time.Now().Add(amSoon); a.missed.Swap(false) && soon.Before(next) {
			next = soon
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			return
		case <-a.changed:
			timer.Stop()
		}
	}
}

// repeatTo tells one instance all; the first failure ends that until the next time.
func (a *Alertmanager) repeatTo(ctx context.Context, i *instance, ids []string, began time.Time) {
	if a.writer.setting.Watchdog {
		alive := func() ([]byte, error) { return json.Marshal([]post{a.writer.watchdog(began, time.Now())}) }
		if i.post(ctx, alive, a.log) != nil {
			return // it is in the log
		}
	}
	for some := range slices.Chunk(ids, amChunk) {
		if i.post(ctx, a.body(some...), a.log) != nil {
			return
		}
		a.alerts.taken(ctx, time.Now(), some...)
	}
}

// Names of alerts.
const (
	alertIncident = "WhichlayerIncident"
	alertDrill    = "WhichlayerDrill"
	alertWatchdog = "WhichlayerWatchdog"
)

// watchdog is the alert that always fires: when it stops to, this prober or the way from it is broken.
func (w *amWriter) watchdog(began, now time.Time) post {
	labels := maps.Clone(w.labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["alertname"], labels["severity"] = alertWatchdog, "none"
	return post{Labels: labels, StartsAt: began.UTC(), EndsAt: now.Add(amEnds).UTC(), GeneratorURL: w.setting.ExternalURL,
		Annotations: map[string]string{
			"summary":     "whichlayer is alive",
			"description": "This alert always fires. When it ends, the prober has died or cannot reach this Alertmanager.",
		}}
}
