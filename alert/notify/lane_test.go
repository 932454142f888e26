package notify

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// TestHeldOpenRows: the front's held-open connection always has a row, those beside other lanes when they failed.
func TestHeldOpenRows(t *testing.T) {
	at := time.Date(2026, 11, 22, 14, 3, 7, 0, time.UTC)
	held := func(of probe.LaneKind, hop string, f probe.HeldOpenFacts) probe.Lane {
		f.LastGoodAnswered = at
		return probe.Lane{Lane: probe.LaneHeldOpen, Of: of, Hop: hop, HeldOpen: &f}
	}
	n := alert.Notification{Event: alert.Event{Lanes: []probe.Lane{
		held("", "f5", probe.HeldOpenFacts{}),
		held(probe.LaneVia, "stunnel-1", probe.HeldOpenFacts{Missed: at, Pending: at.Add(-time.Second)}),
		held(probe.LaneBackend, "app-1", probe.HeldOpenFacts{}),
		held(probe.LaneControl, "app-1", probe.HeldOpenFacts{Mute: true}),
		held(probe.LaneControl, "stunnel-1", probe.HeldOpenFacts{Mute: true, Died: at}),
		held("", "", probe.HeldOpenFacts{Mute: true}),
	}}}
	want := [][]string{
		{"lane", "address", "stage", "outcome", "time"},
		{"heldopen f5", "", "", "answers", "last at 14:03:07.000"},
		{"heldopen via stunnel-1", "", "", "silent", "asked at 14:03:06.000"},
		{"heldopen control stunnel-1", "", "", "ended", "at 14:03:07.000"},
		{"heldopen", "", "", "kept alive", "last at 14:03:07.000"},
	}
	if diff := cmp.Diff(want, laneRows(n, 4)); diff != "" {
		t.Error(diff)
	}
	if got := laneRows(n, 3); len(got) != 5 || got[4][0] != ellipsis+" and more" {
		t.Errorf("%v", got)
	}
}
