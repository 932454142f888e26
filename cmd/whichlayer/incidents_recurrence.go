package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// recurrence tells of each target, and of all together when there are several.
func (p incidentsPrinter) recurrence(all []*alert.Incident, asJSON bool) error {
	list := alert.Recur(all, p.zone)
	if asJSON {
		enc := json.NewEncoder(p.w)
		for _, r := range list {
			if err := enc.Encode(r); err != nil {
				return fmt.Errorf("print recurrence: %w", err)
			}
		}
		return nil
	}
	var b strings.Builder
	for n, r := range list {
		if n > 0 {
			b.WriteByte('\n')
		}
		p.recurs(&b, r)
	}
	if len(list) == 0 {
		fmt.Fprintln(&b, "no outages")
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

// recurs draws one target's outages over the day and the week.
func (p incidentsPrinter) recurs(b io.Writer, r alert.Recurrence) {
	name := r.Target
	if name == "" {
		name = "all targets"
	}
	fmt.Fprintf(b, "%s: %s\n", p.t.paint(strong, p.t.clean(name)), plural(r.Count, "outage"))
	if a := r.Apart; a != nil {
		fmt.Fprintf(b, "  %s\n", wrap(apartText(*a), 2, p.t.width))
	}
	fmt.Fprintf(b, "  hour  %s  %s\n        0     6     12    18\n", p.bars(r.Hours[:], 1), r.Zone)
	fmt.Fprintf(b, "  day   %s  %s\n        M  T  W  T  F  S  S\n", p.bars(r.Weekdays[:], 3), r.Zone)
	for _, x := range r.Patterns {
		fmt.Fprintf(b, "  %s\n", p.t.paint(strong, wrap(x.Text, 2, p.t.width)))
	}
}

// apartText is how far starts are apart.
func apartText(a alert.Spread) string {
	about := func(s probe.Seconds) string { return alert.About(s.Std()) }
	if a.Min == a.Max {
		return "they began " + about(a.Min) + " apart"
	}
	return fmt.Sprintf("they began %s to %s apart, median %s", about(a.Min), about(a.Max), about(a.Median))
}

// bars draws counts as columns one line high, each so many cells wide.
func (p incidentsPrinter) bars(counts []int, wide int) string {
	levels := []rune(p.t.symbol("·▁▂▃▄▅▆▇█", ".123456789"))
	most := slices.Max(counts)
	var b strings.Builder
	for _, n := range counts {
		level := 0
		if n > 0 {
			level = max(1, n*(len(levels)-1)/most)
		}
		b.WriteString(string(levels[level]) + strings.Repeat(" ", wide-1))
	}
	return strings.TrimRight(b.String(), " ")
}
