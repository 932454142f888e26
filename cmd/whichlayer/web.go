package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/whichlayer/whichlayer/alert"
)

// web serves /metrics, /-/healthy, /-/ready and /-/reload, or nothing when it is off.
type web struct {
	listener net.Listener
	server   *http.Server
}

// webParts is what the endpoints ask.
type webParts struct {
	gatherer prometheus.Gatherer
	log      *slog.Logger
	// sick gives the reason why this process is not healthy, or nothing.
	sick func() string
	// ready tells that the first configuration runs.
	ready func() bool
	// reload reads the configuration again.
	reload func(context.Context) error
	// drill sends a made-up incident through every receiver.
	drill func(context.Context) []alert.Drill
}

// listenWeb opens the address at once, so that a taken port is known before anything starts.
func listenWeb(address string, p webParts) (*web, error) {
	if address == "" || address == "off" {
		return &web{}, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve /metrics on %q: %w; choose another with listen: or --listen, or switch it off with 'listen: off'", address, err)
	}
	return &web{listener: l, server: &http.Server{
		Handler:           http.NewCrossOriginProtection().Handler(p.handler()), // no web page of others makes us reload
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      drillTime + 15*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}}, nil
}

// Address is the one really bound.
func (w *web) Address() string {
	if w.listener == nil {
		return "off"
	}
	return w.listener.Addr().String()
}

// Run serves until ctx ends, then gives open requests two seconds.
func (w *web) Run(ctx context.Context) error {
	if w.listener == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(w.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := w.server.Shutdown(grace); err != nil {
		_ = w.server.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

func (p webParts) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.gatherer, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 4,
		Timeout:             30 * time.Second,
		ErrorLog:            slog.NewLogLogger(p.log.Handler(), slog.LevelError),
	}))
	mux.HandleFunc("GET /-/healthy", p.healthy)
	mux.HandleFunc("GET /-/ready", p.isReady)
	mux.HandleFunc("POST /-/reload", p.reloadNow)
	mux.HandleFunc("PUT /-/reload", p.reloadNow)
	mux.HandleFunc("POST /-/drill", p.drillNow)
	mux.HandleFunc("GET /{$}", p.index)
	return mux
}

func (p webParts) healthy(w http.ResponseWriter, _ *http.Request) {
	if why := p.sick(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "whichlayer is healthy")
}

func (p webParts) isReady(w http.ResponseWriter, _ *http.Request) {
	if !p.ready() {
		http.Error(w, "whichlayer is starting or ending", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "whichlayer is ready")
}

func (p webParts) reloadNow(w http.ResponseWriter, r *http.Request) {
	if err := p.reload(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "the new configuration runs")
}

// drillNow answers with a list, an element a receiver.
func (p webParts) drillNow(w http.ResponseWriter, r *http.Request) {
	results := p.drill(r.Context())
	if results == nil {
		results = []alert.Drill{}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(results); err != nil {
		p.log.Debug("answer a drill", "error", err)
	}
}

func (p webParts) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>whichlayer</title>
<h1>whichlayer</h1>
<p>%s</p>
<ul>
<li><a href="metrics">/metrics</a>: for Prometheus
<li><a href="-/healthy">/-/healthy</a>: do all targets make progress?
<li><a href="-/ready">/-/ready</a>: does a configuration run?
<li>POST /-/reload: read the configuration again
<li>POST /-/drill: send a made-up incident through every receiver
</ul>
</html>
`, html.EscapeString(thisBuild().String()))
}
