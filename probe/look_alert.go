package probe

import (
	"errors"
	"time"
)

// handshakeFailure is that fatal alert in clear text: every TLS server ends a handshake at it (RFC 8446, 6.2).
const handshakeFailure = "\x15\x03\x03\x00\x02\x02\x28"

// reactionToAlert ends a stalled handshake by an alert, and says so again. A process that lives closes the connection at
// the first one, and its kernel answers the second with a reset, which carries nothing and may come back where neither
// data nor a FIN does.
func (a *attempt) reactionToAlert(pending <-chan error) <-chan error {
	s := failedStage(a.lane)
	if pending == nil || a.conn == nil || s == nil || s.Stage != StageTLS {
		return pending
	}
	for range 2 {
		if _, err := a.conn.Write([]byte(handshakeFailure)); err != nil {
			break
		}
		t := time.NewTimer(stalledReactTime / 2)
		select {
		case err := <-pending:
			t.Stop()
			a.lane.Reaction = endedBy(err)
			return nil
		case <-t.C:
		}
	}
	a.lane.Reaction = ReactionNone
	return pending
}

// endedBy is what the peer did to a connection on which a stage ended with an error.
func endedBy(err error) Reaction {
	var f *failure
	if errors.As(err, &f) && (f.typ == TLSReset || f.typ == HTTPReset) {
		return ReactionReset
	}
	return ReactionClosed
}
