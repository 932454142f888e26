package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// TestEveryWordIsFound looks up all that the listing, an alert's headline and a result can show.
func TestEveryWordIsFound(t *testing.T) {
	t.Parallel()
	var words []string
	for _, s := range alert.Explained() {
		spaced := strings.ReplaceAll(string(s.Cause), "_", " ")
		words = append(words, string(s.Cause), string(s.Layer)+"/"+string(s.Cause), string(s.Layer)+", "+spaced+" (confirmed)",
			strings.ToUpper(string(s.Layer))+" ("+spaced+")")
	}
	for _, u := range probe.Types() {
		words = append(words, string(u), strings.ToUpper(string(u)), string(u.Code()))
	}
	for _, w := range words {
		topic, err := lookUp(w)
		if err != nil || len(topic.suspects)+len(topic.types) == 0 {
			t.Errorf("%q: %v", w, err)
		}
	}
}

// TestExplainFitsTheTerminal draws everything at several widths; only a command that is longer than a line may be broken.
func TestExplainFitsTheTerminal(t *testing.T) {
	t.Parallel()
	all, err := lookUp("")
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{minWidth, 80, 120} {
		for _, list := range []bool{true, false} {
			var b bytes.Buffer
			if err := (&topic{list: list, suspects: all.suspects}).write(&b, terminal{width: width, ascii: true}, false); err != nil {
				t.Fatal(err)
			}
			for _, line := range strings.Split(b.String(), "\n") {
				if longest := longestWord(line); cells(line) > width && longest+labelWidth+4 < width {
					t.Errorf("width %d: %d columns: %q", width, cells(line), line)
				}
				if strings.TrimRight(line, " ") != line || strings.ContainsAny(line, "\x00\x1b") {
					t.Errorf("width %d: %q", width, line)
				}
			}
		}
	}
}

func longestWord(line string) (n int) {
	for _, w := range strings.Fields(line) {
		n = max(n, cells(w))
	}
	return n
}

func TestCommandsStayWhole(t *testing.T) {
	t.Parallel()
	const text = "On the host run `ss -ltn 'sport = :443'`, then `cat /proc/PID/wchan`."
	for width := 30; width < 90; width++ {
		got := wrapText(text, 4, width)
		if !strings.Contains(got, "`ss -ltn 'sport = :443'`,") || !strings.Contains(got, "`cat /proc/PID/wchan`.") {
			t.Errorf("width %d:\n%s", width, got)
		}
	}
	if got := wrapText("`a b c d e f g h i j k l m n`", 0, 12); strings.Count(got, "\n") != 2 {
		t.Errorf("a command that is longer than a line:\n%s", got)
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	v := probe.Verdict{State: probe.Down, Layer: probe.LayerNetwork, Cause: probe.CausePortDropped, Confidence: probe.Ambiguous,
		Suspects:    []probe.Suspect{{Layer: probe.LayerNetwork, Cause: probe.CausePortDropped}, {Layer: probe.LayerProxy, Cause: probe.CauseQueueFull}},
		WouldDecide: []string{"an agent on the proxy's host"}}
	sure, up := v, probe.Verdict{State: probe.Up, WouldDecide: v.WouldDecide}
	sure.Confidence = probe.Likely
	notice := probe.Verdict{State: probe.Up, Layer: probe.LayerProber, Cause: probe.CauseResolverConfig, Confidence: probe.Confirmed,
		Suspects: []probe.Suspect{{Layer: probe.LayerProber, Cause: probe.CauseResolverConfig}}}
	for _, c := range []struct {
		v                  probe.Verdict
		d                  detail
		decides, explained bool
		hint               string
	}{
		{v, normal, true, false, "more: --verbose for addresses and kernel counters, --json for programs,\n  whichlayer explain port_dropped"},
		{v, verbose, true, true, "more: whichlayer explain accept_queue_full"},
		{sure, normal, false, false, "whichlayer explain port_dropped"},
		{sure, verbose, true, true, "more: whichlayer explain accept_queue_full"},
		{up, verbose, false, false, ""},
		{notice, normal, false, false, "whichlayer explain resolver_config"},
		{notice, verbose, false, true, "away."},
	} {
		var b bytes.Buffer
		term := terminal{width: 80}
		writeAdvice(&b, term, &c.v, c.d)
		writeHint(&b, term, &checked{verdict: c.v}, c.d)
		got := b.String()
		if strings.Contains(got, "what would decide\n    ? an agent") != c.decides || strings.Contains(got, "whom to ask") != c.explained {
			t.Errorf("%s, detail %d:\n%s", c.v.Confidence, c.d, got)
		}
		if !strings.HasSuffix(strings.TrimSpace(got), c.hint) || c.hint == "" && got != "" {
			t.Errorf("%s, detail %d: the hint is not %q:\n%s", c.v.Confidence, c.d, c.hint, got)
		}
		if supposing := strings.Contains(got, "what to do, if it is the network (port dropped)"); supposing != (c.explained && c.v.Confidence == probe.Ambiguous) {
			t.Errorf("%s, detail %d:\n%s", c.v.Confidence, c.d, got)
		}
	}
}
