package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// eventQueue bounds the lines that wait for a slow disk or reader.
const eventQueue = 10_000

// eventLog writes one JSON object per line. Emit never blocks and never fails: probing must not wait for a disk. A
// line that finds the queue full is dropped, counted and reported in the log.
type eventLog struct {
	*spool[any]
	path   string // empty: no log at all; "-" is stdout
	stdout io.Writer
	log    *slog.Logger
	reopen chan struct{}

	// file and torn belong to Run; torn tells that the file ends within a line.
	file io.WriteCloser
	torn bool
}

// newEventLog prepares a log; Run writes it.
func newEventLog(path string, stdout io.Writer, log *slog.Logger, reg prometheus.Registerer) *eventLog {
	e := &eventLog{path: path, stdout: stdout, log: log, reopen: make(chan struct{}, 1)}
	e.spool = newSpool[any](eventQueue, 10*time.Second,
		func(lost int, why error) { log.Error("events were lost", "path", path, "lost", lost, "err", why) },
		prometheus.CounterOpts{Name: "whichlayer_events_written_total", Help: "Lines written to the event log."},
		prometheus.CounterOpts{
			Name: "whichlayer_events_dropped_total", Help: "Lines that the event log had no room for or could not write.",
		}, reg)
	return e
}

// Emit queues one event.
func (e *eventLog) Emit(event any) {
	if e.path != "" {
		e.put(event)
	}
}

// Reopen closes and opens the file again, after a log rotation moved it.
func (e *eventLog) Reopen() {
	select {
	case e.reopen <- struct{}{}:
	default:
	}
}

// open opens the file for appending; events tell of a network's inside, hence the mode.
func (e *eventLog) open() (io.WriteCloser, error) {
	if e.path == "-" {
		return nopCloser{e.stdout}, nil
	}
	f, err := os.OpenFile(e.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	return f, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Open opens the log, so that an unusable path is known before anything starts.
func (e *eventLog) Open() (err error) {
	if e.path == "" {
		return nil
	}
	e.file, err = e.open()
	return err
}

// Run writes until ctx ends, then what is still queued. Open comes before it.
func (e *eventLog) Run(ctx context.Context) error {
	if e.path == "" {
		return nil
	}
	for {
		select {
		case event := <-e.queue:
			e.write(event)
		case <-e.reopen:
			e.swap()
		case <-ctx.Done():
			return e.finish()
		}
	}
}

// write writes an event and those that wait behind it, with one system call.
func (e *eventLog) write(event any) {
	var batch bytes.Buffer
	if e.torn {
		batch.WriteByte('\n')
	}
	lines := 0
	for _, event := range e.batch(event) {
		if line, err := json.Marshal(event); err != nil {
			e.drop(1, err)
		} else {
			batch.Write(append(line, '\n'))
			lines++
		}
	}
	n, err := e.file.Write(batch.Bytes())
	if e.torn = n > 0 && batch.Bytes()[n-1] != '\n'; err != nil {
		e.drop(lines, err)
		return
	}
	e.written.Add(float64(lines))
}

// swap opens the path again; if that fails the old file goes on.
func (e *eventLog) swap() {
	f, err := e.open()
	if err != nil {
		e.log.Error("the event log goes on in the old file", "err", err)
		return
	}
	if err := e.file.Close(); err != nil {
		e.log.Error("close the old event log", "path", e.path, "err", err)
	}
	e.file, e.torn = f, false
}

func (e *eventLog) finish() error {
	defer e.settle()
	for len(e.queue) > 0 {
		e.write(<-e.queue)
	}
	if err := e.file.Close(); err != nil {
		return fmt.Errorf("close the event log: %w", err)
	}
	return nil
}
