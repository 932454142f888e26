package probe

import "strings"

// Attribute concludes from one round, and from the earlier rounds of the same incident (oldest first, may be empty),
// which layer broke. It is pure: no clock, no I/O, and neither argument is changed.
//
// The rules are asked in the order of their table; the first that applies decides. The prober's own trouble comes
// first, then what all lanes share, then the front's failed stage, held against what the other lanes saw.
func Attribute(now *Result, past []*Result) Verdict {
	f := newFacts(now, past)
	for _, r := range rules {
		if c := r.judge(f); c != nil {
			return c.verdict(f, r.name)
		}
	}
	return Verdict{
		State: Unknown, Layer: LayerNone, Cause: CauseUnknown, Confidence: UnknownConfidence, Rule: "no-rule",
		Suspects: []Suspect{}, Evidence: f.evidence(),
	}
}

// rule is a row of the table: when it applies it says what it concludes, else nil.
type rule struct {
	name  string
	judge func(*facts) *conclusion
}

// conclusion is what a rule leaves.
type conclusion struct {
	state State
	// suspects are all that is left, the likeliest first.
	suspects []Suspect
	// leaning tells that the first suspect is clearly likelier than the others; otherwise they stand side by side.
	leaning bool
	// witnesses counts independent observations that agree on the only suspect.
	witnesses int
	// because is the sentence that names the mechanism; it comes first in the evidence.
	because string
}

// verdict turns a conclusion into a verdict: one suspect and two witnesses make it confirmed, never less.
func (c *conclusion) verdict(f *facts, name string) Verdict {
	v := Verdict{State: c.state, Rule: name, Suspects: c.suspects, Layer: LayerNone, Cause: CauseNone, Confidence: Confirmed}
	if v.State == Down && f.otherAddressServes() {
		v.State = Degraded
	}
	switch {
	case len(c.suspects) == 0:
		v.Suspects = []Suspect{}
	case len(c.suspects) == 1 && c.witnesses >= 2:
	case len(c.suspects) == 1 || c.leaning:
		v.Confidence = Likely
	default:
		v.Confidence = Ambiguous
	}
	if len(c.suspects) > 0 {
		v.Layer, v.Cause = c.suspects[0].Layer, c.suspects[0].Cause
		v.Cleared = f.cleared(c.suspects)
		v.WouldDecide = whatDecides(c.suspects)
	}
	v.Evidence = withReason(c.because, f.evidence())
	return v
}

// withReason puts the deciding sentence first and leaves out those that say no more.
func withReason(because string, evidence []string) []string {
	if because == "" {
		return evidence
	}
	out := append(make([]string, 0, len(evidence)+1), because)
	for _, e := range evidence {
		if !strings.HasPrefix(because, e) && !strings.HasPrefix(e, because) {
			out = append(out, e)
		}
	}
	return out
}

func suspect(l Layer, c Cause) Suspect { return Suspect{l, c} }

// down concludes an outage with these suspects.
func down(because string, suspects ...Suspect) *conclusion {
	return &conclusion{state: Down, suspects: suspects, because: because, witnesses: 1}
}

// degraded concludes that users are served, but not as they should be.
func degraded(because string, suspects ...Suspect) *conclusion {
	return &conclusion{state: Degraded, suspects: suspects, because: because, witnesses: 1}
}

// ours concludes that we could not look.
func ours(because string, suspects ...Suspect) *conclusion {
	return &conclusion{state: Unknown, suspects: suspects, because: because, witnesses: 1}
}

// lean says that the first suspect is the likeliest by far.
func (c *conclusion) lean() *conclusion { c.leaning = true; return c }

// agreed counts a further independent observation that says the same, if there is one.
func (c *conclusion) agreed(yes bool) *conclusion {
	if yes {
		c.witnesses++
	}
	return c
}

// also adds a suspect that could not be excluded, if so.
func (c *conclusion) also(open bool, s Suspect) *conclusion {
	if open {
		c.suspects = append(c.suspects, s)
	}
	return c
}
