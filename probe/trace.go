package probe

import (
	"crypto/rand"
	"encoding/hex"
)

// traceID identifies one attempt in logs and traces: W3C Trace Context, level 1.
type traceID struct {
	trace [16]byte
	span  [8]byte
}

func newTraceID() (t traceID) {
	rand.Read(t.trace[:]) // never fails
	rand.Read(t.span[:])
	return t
}

// requestID is sent as X-Request-Id.
func (t traceID) requestID() string { return hex.EncodeToString(t.trace[:]) }

// parent is sent as traceparent; the sampled flag is not set, so that probes fill no trace store.
func (t traceID) parent() string {
	return "00-" + hex.EncodeToString(t.trace[:]) + "-" + hex.EncodeToString(t.span[:]) + "-00"
}
