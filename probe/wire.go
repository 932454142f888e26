package probe

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
)

// wire is a connection that remembers its last raw I/O error, which outranks whatever a parser above makes of it, and
// where in a TLS record the peer's bytes ended.
type wire struct {
	net.Conn
	err     atomic.Pointer[error]
	records records
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.records.feed(p[:n])
	w.note(err)
	return n, err
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.note(err)
	return n, err
}

func (w *wire) note(err error) {
	if err != nil {
		w.err.Store(&err)
	}
}

// last is the last raw error, nil if there was none.
func (w *wire) last() error {
	if p := w.err.Load(); p != nil {
		return *p
	}
	return nil
}

// recordHeader is the length of a TLS record's header: type, version, length (RFC 8446, 5.1).
const recordHeader = 5

// records follows the framing of the TLS records that come in. A sender hands a record to its kernel in one piece, so
// one that stays incomplete was lost behind the sending process. Without TLS its numbers mean nothing.
type records struct {
	mu     sync.Mutex
	head   [recordHeader]byte
	have   int // bytes of the header
	got    int // bytes of the record, header included
	length int // of the record, header included; 0 until it is known
}

// reset forgets what came before the handshake, which was not TLS.
func (r *records) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.have, r.got, r.length = 0, 0, 0
}

func (r *records) feed(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(p) > 0 {
		if r.have < recordHeader {
			n := copy(r.head[r.have:], p)
			r.have, r.got, p = r.have+n, r.got+n, p[n:]
			if r.have == recordHeader {
				r.length = recordHeader + int(binary.BigEndian.Uint16(r.head[3:]))
			}
			continue
		}
		n := min(len(p), r.length-r.got)
		r.got, p = r.got+n, p[n:]
		if r.got == r.length {
			r.have, r.got, r.length = 0, 0, 0
		}
	}
}

// partial tells how much of a record has come, if one is under way.
func (r *records) partial() (got, length int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got, r.length
}
