package alert

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/probe"
)

// TestWhenTheVerdictChanges: which verdict an incident holds after some bad rounds, and the reasons of its changes.
func TestWhenTheVerdictChanges(t *testing.T) {
	t.Parallel()
	dropped := down(probe.LayerNetwork, probe.CausePortDropped, probe.Ambiguous)
	dropLikely := down(probe.LayerNetwork, probe.CausePortDropped, probe.Likely)
	frozen := down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
	sure := down(probe.LayerProxy, probe.CauseFrozen, probe.Confirmed)
	slow := probe.Verdict{State: probe.Degraded, Layer: probe.LayerProxy, Cause: probe.CauseSlow, Confidence: probe.Likely}
	nameless := down(probe.LayerNone, probe.CauseUnknown, probe.UnknownConfidence)
	vague := down(probe.LayerProxy, probe.CauseUnknown, probe.UnknownConfidence)
	for name, c := range map[string]struct {
		rounds  []probe.Verdict
		want    probe.Verdict
		reasons string
	}{
		"surer":                        {[]probe.Verdict{dropped, frozen}, frozen, "surer: likely instead of ambiguous"},
		"surer of the same":            {[]probe.Verdict{frozen, sure}, sure, "surer: confirmed instead of likely"},
		"worse":                        {[]probe.Verdict{slow, dropLikely}, dropLikely, "worse: down instead of degraded"},
		"surer and worse":              {[]probe.Verdict{slow, sure}, sure, "surer: confirmed instead of likely; worse: down instead of degraded"},
		"as sure, once":                {[]probe.Verdict{frozen, dropLikely}, frozen, ""},
		"as sure, twice":               {[]probe.Verdict{frozen, dropLikely, dropLikely}, dropLikely, "two rounds in a row saw it"},
		"as sure, not in a row":        {[]probe.Verdict{frozen, dropLikely, frozen, dropLikely}, frozen, ""},
		"less sure, twice":             {[]probe.Verdict{frozen, dropped, dropped}, frozen, ""},
		"less sure, three times":       {[]probe.Verdict{frozen, dropped, dropped, dropped}, dropped, "three rounds in a row saw it"},
		"worse but less sure":          {[]probe.Verdict{slow, dropped, dropped}, slow, ""},
		"no layer, ever so often":      {[]probe.Verdict{sure, nameless, nameless, nameless, nameless}, sure, ""},
		"no layer against a guess":     {[]probe.Verdict{vague, nameless, nameless, nameless}, vague, ""},
		"no layer, in between":         {[]probe.Verdict{frozen, dropLikely, nameless, dropLikely}, frozen, ""},
		"no layer, but down":           {[]probe.Verdict{slow, nameless, nameless, nameless}, nameless, "three rounds in a row saw it"},
		"a layer at last":              {[]probe.Verdict{nameless, dropped}, dropped, "surer: ambiguous instead of unknown"},
		"back again, by two, by three": {[]probe.Verdict{dropLikely, sure, dropLikely, dropLikely, dropLikely}, dropLikely, "surer: confirmed instead of likely|three rounds in a row saw it"},
	} {
		tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "x" })
		tr.s.Incident = &Incident{}
		told := 0
		for n, v := range c.rounds {
			v.Evidence, v.WouldDecide = []string{"seen"}, []string{"an agent"}
			at := epoch.Add(time.Duration(n) * time.Second)
			if tr.consider(&probe.Result{Started: at, Ended: at}, v) {
				told++
			}
		}
		i := tr.s.Incident
		if !samePicture(i.Verdict, c.want) || i.Verdict.Confidence != c.want.Confidence {
			t.Errorf("%s: %s %s/%s", name, i.Verdict.Confidence, i.Verdict.Layer, i.Verdict.Cause)
		}
		var reasons []string
		for n, change := range i.Timeline {
			if n > 0 {
				reasons = append(reasons, change.Reason)
			} else if change.Reason != "" {
				t.Errorf("%s: the first verdict has the reason %q", name, change.Reason)
			}
			if len(change.Verdict.Evidence)+len(change.Verdict.WouldDecide) > 0 {
				t.Errorf("%s: the timeline holds evidence", name)
			}
		}
		if diff := cmp.Diff(c.reasons, strings.Join(reasons, "|")); diff != "" || told != len(reasons) {
			t.Errorf("%s, told %d times: %s", name, told, diff)
		}
	}
}
