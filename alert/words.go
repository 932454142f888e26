package alert

import (
	"strings"

	"github.com/whichlayer/whichlayer/probe"
)

// Sentence says in one plain sentence what a verdict means for a target.
func Sentence(v probe.Verdict, target string) string {
	switch v.State {
	case probe.Up:
		return target + " is up."
	case probe.Degraded, probe.Down:
		return target + " is " + string(v.State) + ": " + what(v) + "."
	}
	switch v.Layer {
	case probe.LayerProber:
		if w, ok := known(probe.Suspect{Layer: v.Layer, Cause: v.Cause}); ok {
			return target + " was not looked at: " + w.Happened + "."
		}
		fallthrough
	case probe.LayerNone, "":
		return target + " was not looked at: this prober could not tell."
	}
	return "nothing is known of " + target + ": " + what(v) + "."
}

// what happened, as a clause without a full stop. How sure it is shows in the words.
func what(v probe.Verdict) string {
	switch {
	case v.Confidence == probe.Ambiguous && len(v.Suspects) > 1:
		return "either " + joinOr(suspectClauses(v.Suspects))
	case v.Confidence == probe.Likely:
		return clause(v.Layer, v.Cause) + " (likely)"
	case v.Confidence == probe.Confirmed:
		return clause(v.Layer, v.Cause)
	case v.Layer == probe.LayerNone || v.Layer == "":
		return "which layer broke is not known"
	}
	return clause(v.Layer, v.Cause) + " (a guess)"
}

// suspectClauses are short, because alternatives stand in one sentence.
func suspectClauses(suspects []probe.Suspect) []string {
	out := make([]string, len(suspects))
	for i, s := range suspects {
		out[i] = layerWords(s.Layer) + " (" + causeWords(s.Cause) + ")"
	}
	return out
}

// clause is what happened in a layer.
func clause(l probe.Layer, c probe.Cause) string {
	return Explain(probe.Suspect{Layer: l, Cause: c}).Happened
}

// VerdictWords explain a verdict by its likeliest suspect; see [Supposing].
func VerdictWords(v probe.Verdict) Words {
	if nameless(v) {
		return Explain(probe.Suspect{Layer: probe.LayerNone, Cause: probe.CauseUnknown})
	}
	return Explain(probe.Suspect{Layer: v.Layer, Cause: v.Cause})
}

// Supposing is the condition under which [VerdictWords] hold, such as "if it is the network (port dropped)"; empty where
// one suspect is clearly the best.
func Supposing(v probe.Verdict) string {
	if v.Confidence != probe.Ambiguous || len(v.Suspects) < 2 {
		return ""
	}
	return "if it is " + suspectClauses(v.Suspects[:1])[0]
}

// layerWords names a layer with its article.
func layerWords(l probe.Layer) string {
	switch l {
	case probe.LayerProber:
		return "this prober"
	case probe.LayerDNS:
		return "name resolution"
	case probe.LayerLink:
		return "the link between proxy and backend"
	case probe.LayerNone, "":
		return "an unknown layer"
	}
	return "the " + string(l)
}

// causeWords makes words of a cause's identifier.
func causeWords(c probe.Cause) string {
	if c == "" {
		c = probe.CauseUnknown
	}
	return strings.ReplaceAll(string(c), "_", " ")
}

// joinOr lists alternatives: "a", "a or b", "a, b or c".
func joinOr(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
