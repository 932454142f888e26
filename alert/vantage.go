package alert

import (
	"fmt"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// blindAfter is how long no target could be looked at until that is a trouble worth telling.
const blindAfter = time.Minute

// vantage watches whether this prober can look at anything at all. It is pure.
type vantage struct {
	// blind is since when each target could not be looked at because of us; absent while it can.
	blind map[string]time.Time
	since time.Time
	told  bool
}

// observe takes a round's verdict; targets is how many there are. It returns whether a trouble begins or ends, and why.
func (w *vantage) observe(target string, v probe.Verdict, began, ended time.Time, targets int) (begins, ends bool, why string) {
	if w.blind == nil {
		w.blind = map[string]time.Time{}
	}
	if v.Layer == probe.LayerProber && v.State == probe.Unknown {
		if _, known := w.blind[target]; !known {
			w.blind[target] = began
		}
	} else {
		delete(w.blind, target)
	}
	if len(w.blind) < targets {
		ends, w.told, w.since = w.told, false, time.Time{}
		return false, ends, ""
	}
	if w.since.IsZero() {
		w.since = began
	}
	if w.told || ended.Sub(w.since) < blindAfter {
		return false, false, ""
	}
	w.told = true
	return true, false, fmt.Sprintf("since %s none of %d targets could be looked at: %s", w.since.UTC().Format(time.RFC3339), targets, causeWords(v.Cause))
}

// forget takes note that a target is gone.
func (w *vantage) forget(target string) { delete(w.blind, target) }
