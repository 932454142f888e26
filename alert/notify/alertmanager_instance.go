package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/whichlayer/whichlayer/config"
)

// instance is one Alertmanager of a cluster.
type instance struct {
	host   string
	url    string
	http   *HTTP
	header http.Header
	// turn is held by the request that is under way: two at a time could arrive in the other order, and the older state
	// would win.
	turn   chan struct{}
	ailing atomic.Bool
}

func newInstance(u config.URL, client *HTTP, header http.Header) *instance {
	return &instance{host: u.Host, url: u.JoinPath("api/v2/alerts").String(), http: client, header: header, turn: make(chan struct{}, 1)}
}

// post sends what body makes when it is its turn.
func (i *instance) post(ctx context.Context, body func() ([]byte, error), log *slog.Logger) error {
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", i.host, context.Cause(ctx))
	}
	b, err := body()
	if err != nil {
		return permanent("encode the alerts: %w", err)
	}
	_, err = i.http.Do(ctx, Request{URL: i.url, Header: i.header, Body: b})
	i.note(ctx, err, log)
	if err != nil {
		return fmt.Errorf("%s: %w", i.host, err)
	}
	return nil
}

// noAlert is a filter that no alert passes, so that the answer is short.
const noAlert = "?filter=alertname%3D%22WhichlayerCheck%22"

// check reads from where alerts are posted to.
func (i *instance) check(ctx context.Context) error {
	if _, err := i.http.Do(ctx, Request{URL: i.url + noAlert, Header: i.header}); err != nil {
		return fmt.Errorf("%s: %w", i.host, err)
	}
	return nil
}

// note keeps whether the instance is well, and logs when that changes. That the caller went away says nothing of it.
func (i *instance) note(ctx context.Context, err error, log *slog.Logger) {
	if cause := context.Cause(ctx); err != nil && cause != nil && cause != errSlow { //nolint:errorlint // it is never wrapped
		return
	}
	switch was := i.ailing.Swap(err != nil); {
	case err != nil && !was:
		log.Warn("an alertmanager does not take alerts, it is tried again each minute", "instance", i.host, "error", err)
	case err == nil && was:
		log.Info("an alertmanager takes alerts again", "instance", i.host)
	}
}
