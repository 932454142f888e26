package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

const (
	// amTimeout bounds one request.
	amTimeout = 10 * time.Second
	// amRepeat is how often each instance is told what fires.
	amRepeat = time.Minute
	// amEnds is after what time an alert that is not repeated ends by itself, so that a prober that died leaves none behind:
	// four repeats, as Prometheus does it, since one may be late and one may fail.
	amEnds = 4 * amRepeat
	// amAfter is how long the end of an alert is repeated, for an instance that was away.
	amAfter = 15 * time.Minute
	// amShown is how long an alert fires at least from when an instance first had it. An Alertmanager tells nobody of one
	// that ends within its group_wait (30 s), so an outage that was over before the alert could be delivered would be lost;
	// and a second one, which waits for the first one's word (15 s), would tell it all again.
	amShown = time.Minute
	// amGrace is how long a message that one instance took waits for the others; the next repeat tells them.
	amGrace = 2 * time.Second
	// amSoon is how long after a failed message the next repeat comes.
	amSoon = 5 * time.Second
)

// Alertmanager holds an alert for each incident at every instance of a cluster.
//
// It is level-triggered: what fires is repeated to each instance by itself, since an instance that did not hear of an end
// would fire again. The set of alerts is in the memory and survives a restart. An alert's labels never change: the alert
// is the incident, and what is found out about it is in the annotations.
//
// A receiver needs its Run, without which alerts end after some minutes.
type Alertmanager struct {
	instances []*instance
	alerts    *amSet
	writer    amWriter
	shown     time.Duration
	// changed wakes Run, which then looks at the alerts and at whether an instance missed one.
	changed chan struct{}
	missed  atomic.Bool
	log     *slog.Logger
}

var (
	_ alert.Notifier = (*Alertmanager)(nil)
	_ alert.Runner   = (*Alertmanager)(nil)
	_ alert.Checker  = (*Alertmanager)(nil)
)

// NewAlertmanager prepares a notifier; it sends nothing.
func NewAlertmanager(r config.Receiver, s Setting) (*Alertmanager, error) {
	return newAlertmanager(r, s, amTimeout)
}

func newAlertmanager(r config.Receiver, s Setting, timeout time.Duration) (*Alertmanager, error) {
	cfg := *r.Alertmanager
	if len(cfg.URLs) == 0 {
		return nil, errors.New("alertmanager needs urls")
	}
	if len(r.On) > 0 && !slices.Contains(r.On, config.Resolved) {
		return nil, errors.New("on: alertmanager needs resolved: an alert whose end is not told fires for ever")
	}
	words, err := newWording(r, s.Log)
	if err != nil {
		return nil, err
	}
	a := &Alertmanager{alerts: newAMSet(s.Memory), shown: amShown, changed: make(chan struct{}, 1), log: s.Log,
		writer: amWriter{receiver: r.Name, setting: s, labels: cfg.Labels, words: words}}
	client := NewHTTP(cfg.Roots, timeout, s.Version)
	for _, u := range cfg.URLs {
		a.instances = append(a.instances, newInstance(u, client, amHeader(cfg)))
	}
	return a, nil
}

func amHeader(cfg config.Alertmanager) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	switch {
	case cfg.BasicAuth != nil:
		pair := cfg.BasicAuth.Username + ":" + cfg.BasicAuth.Password.Reveal()
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case !cfg.BearerToken.IsZero():
		h.Set("Authorization", "Bearer "+cfg.BearerToken.Reveal())
	}
	return h
}

// Check implements alert.Checker: it asks each instance how it is, with the credentials.
func (a *Alertmanager) Check(ctx context.Context) error {
	var errs []error
	for _, i := range a.instances {
		err := i.check(ctx)
		if err == nil {
			return nil // Notify succeeds by one instance, too
		}
		errs = append(errs, err)
	}
	return noneTook("no instance answers", errs)
}

// Notify implements alert.Notifier. It succeeds when one instance has the alert; Run tells the others. Those that failed
// the last time are asked only when no other has it, so that a dead one costs each message nothing.
func (a *Alertmanager) Notify(ctx context.Context, n alert.Notification) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id := n.Event.Incident.ID
	a.alerts.change(ctx, id, func(old held) held { return a.writer.held(n, old, time.Now()) })
	var errs []error
	for _, some := range a.byHealth() {
		failed, ok := a.tell(ctx, some, id)
		if ok {
			return nil
		}
		errs = append(errs, failed...)
	}
	return noneTook("no instance took the alert", errs)
}

// byHealth are the instances that were well the last time, then the others.
func (a *Alertmanager) byHealth() [][]*instance {
	var well, ailing []*instance
	for _, i := range a.instances {
		if i.ailing.Load() {
			ailing = append(ailing, i)
		} else {
			well = append(well, i)
		}
	}
	return [][]*instance{well, ailing}
}

// errSlow is why a request was given up that others did not need to wait for.
var errSlow = errors.New("it is slower than another instance")

// tell posts one alert to some instances at once; ok when one took it.
func (a *Alertmanager) tell(ctx context.Context, some []*instance, id string) (failed []error, ok bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make(chan error, len(some))
	for _, i := range some {
		go func() { results <- i.post(ctx, a.body(id), a.log) }()
	}
	for range some {
		if err := <-results; err != nil {
			failed = append(failed, err)
			continue
		}
		ok = true
		defer time.AfterFunc(amGrace, func() { cancel(errSlow) }).Stop()
	}
	if ok {
		a.alerts.taken(ctx, time.Now(), id)
		a.missed.CompareAndSwap(false, len(failed) > 0)
		a.wake()
	}
	return failed, ok
}

func (a *Alertmanager) wake() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// body makes the request's body when it is an instance's turn: what is posted last is then the newest, too.
func (a *Alertmanager) body(ids ...string) func() ([]byte, error) {
	return func() ([]byte, error) {
		return json.Marshal(a.alerts.posts(time.Now(), a.shown, ids...))
	}
}

// noneTook makes one error of all: final only when each is, and with a pause only when each that may pass asks for one.
// It wraps none of them, whose kind would be taken for its own.
func noneTook(what string, errs []error) error {
	final, pause := true, time.Duration(-1)
	texts := make([]string, len(errs))
	for k, err := range errs {
		texts[k] = err.Error()
		var permanent *alert.PermanentError
		if errors.As(err, &permanent) {
			continue
		}
		final = false
		var wait *alert.RetryAfterError
		after := time.Duration(0)
		if errors.As(err, &wait) {
			after = wait.After
		}
		if pause < 0 || after < pause {
			pause = after
		}
	}
	err := errors.New(what + ": " + strings.Join(texts, "; "))
	switch {
	case final:
		return &alert.PermanentError{Err: err}
	case pause > 0:
		return &alert.RetryAfterError{After: pause, Err: err}
	}
	return err
}
