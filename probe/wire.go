package probe

import (
	"net"
	"sync/atomic"
)

// wire is a connection that remembers its last raw I/O error: that outranks whatever a parser above makes of it.
type wire struct {
	net.Conn
	err atomic.Pointer[error]
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
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
