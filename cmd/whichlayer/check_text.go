package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// checked is one target's round and what follows from it.
type checked struct {
	result  probe.Result
	verdict probe.Verdict
}

// detail says how much check tells a person.
type detail int

const (
	quiet   detail = iota // the verdict's sentence
	normal                // the waterfall and the reasons too
	verbose               // every counter
)

// writeChecked tells one target's round: the verdict in a sentence, then the waterfall, then the reasons. It is one
// write, so that an interrupted check leaves no half picture.
func writeChecked(out io.Writer, t terminal, c *checked, d detail) error {
	var b bytes.Buffer
	p, mark := stateMark(t, c.verdict.State)
	sentence := t.clean(alert.Sentence(c.verdict, c.result.Target))
	if d > quiet { // else one line a target, whatever its length
		sentence = wrap(sentence, 2, t.width)
	}
	fmt.Fprintf(&b, "%s %s\n", t.paint(p, mark), t.paint(headline(p), sentence))
	if d > quiet {
		newWaterfall(t, &c.result, d == verbose).draw(&b)
		writeReasons(&b, t, &c.verdict)
		writeAdvice(&b, t, &c.verdict, d)
		writeHint(&b, t, c, d)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// headline prints bad news in its colour and good news plainly bold.
func headline(p paint) paint {
	if p == good {
		return strong
	}
	return p
}

func stateMark(t terminal, s probe.State) (paint, string) {
	switch s {
	case probe.Up:
		return good, t.symbol("✓", "+")
	case probe.Degraded:
		return warn, t.symbol("!", "!")
	case probe.Down:
		return bad, t.symbol("✗", "x")
	}
	return faint, "?"
}

// writeReasons lists the evidence, the layers that it clears and, where more than one is left, the suspects.
func writeReasons(b io.Writer, t terminal, v *probe.Verdict) {
	var evidence, cleared []string
	switch {
	case len(v.Evidence) > 0 && (v.Rule == probe.RuleSideLane || ours(v)):
		evidence = v.Evidence[:1]
	case v.State != probe.Up:
		evidence = v.Evidence
		for _, c := range v.Cleared {
			cleared = append(cleared, fmt.Sprintf("%s: %s", c.Layer, c.Reason))
		}
	}
	writeList(b, t, "why", t.symbol("•", "*"), plain, evidence)
	writeList(b, t, "not to blame", t.symbol("✓", "+"), good, cleared)
	if len(v.Suspects) > 1 {
		writeList(b, t, "suspects, the likeliest first", t.symbol("→", ">"), warn, suspects(v))
	}
}

// ours tells that the prober has something to say of itself although users are served.
func ours(v *probe.Verdict) bool { return v.State == probe.Up && v.Layer == probe.LayerProber }

func suspects(v *probe.Verdict) (out []string) {
	for _, s := range v.Suspects {
		out = append(out, fmt.Sprintf("%s: %s", s.Layer, strings.ReplaceAll(string(s.Cause), "_", " ")))
	}
	return out
}

func writeList(b io.Writer, t terminal, title, mark string, p paint, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s\n", t.paint(strong, title))
	for _, item := range items {
		fmt.Fprintf(b, "    %s %s\n", t.paint(p, mark), wrap(t.clean(item), 6, t.width))
	}
}

// writeAdvice says what the likeliest suspect means and, where it is needed or wanted, what would tell more.
func writeAdvice(b io.Writer, t terminal, v *probe.Verdict, d detail) {
	if v.State == probe.Up && !ours(v) {
		return
	}
	if d == verbose || v.Confidence == probe.Ambiguous {
		writeList(b, t, "what would decide", t.symbol("?", "?"), plain, v.WouldDecide)
	}
	if d == verbose {
		title := "what to do"
		if s := alert.Supposing(*v); s != "" {
			title += ", " + s
		}
		fmt.Fprintf(b, "  %s\n", t.paint(strong, title))
		writeWords(b, t, 4, alert.VerdictWords(*v))
	}
}

// writeHint says where to look on.
func writeHint(b io.Writer, t terminal, c *checked, d detail) {
	if c.verdict.State == probe.Up && !ours(&c.verdict) {
		return
	}
	var hints []string
	others := c.verdict.Suspects
	if d < verbose {
		hints = append(hints, "--verbose for addresses and kernel counters,", "--json for programs,")
		others = others[:min(1, len(others))]
	} else if len(others) > 0 {
		others = others[1:] // the first one is explained above
	}
	for _, s := range others {
		if s.Cause != probe.CauseUnknown {
			hints = append(hints, "whichlayer explain "+string(s.Cause)+",")
		}
	}
	if len(hints) == 0 {
		return
	}
	text := wrapParts(append([]string{"more:"}, hints...), " ", leftMargin, t.width)
	fmt.Fprintf(b, "  %s\n", t.paint(faint, strings.TrimSuffix(text, ",")))
}
