package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/alert/store"
	"github.com/whichlayer/whichlayer/config"
)

// incidentsPrinter shows incidents.
type incidentsPrinter struct {
	w    io.Writer
	t    terminal
	zone *time.Location
	now  time.Time
}

// note is the last word on an incident, whose methods say it in words.
func (p incidentsPrinter) note(i *alert.Incident) alert.Notification { return incidentNote(i, p.now) }

func (p incidentsPrinter) list(all []*alert.Incident, f *incidentsFlags) error {
	switch {
	case f.json:
		enc := json.NewEncoder(p.w)
		for _, i := range all {
			if err := enc.Encode(i); err != nil {
				return fmt.Errorf("print incidents: %w", err)
			}
		}
		return nil
	case f.csv:
		return p.csv(all)
	case len(all) == 0:
		_, err := fmt.Fprintln(p.w, "no incidents")
		return err
	}
	rows := [][]string{{"INCIDENT", "BEGAN", "LASTED", "TARGET", "STATE", "WHAT"}}
	for _, i := range all {
		rows = append(rows, []string{i.ID, i.StartsBefore.UTC().Format("2006-01-02 15:04:05") + "Z" + p.local(i.StartsBefore),
			p.note(i).Lasted(), i.Target, string(i.State), whatBroke(i)})
	}
	return p.table(rows)
}

// local is the time in the configured zone, where its clock differs from UTC.
func (p incidentsPrinter) local(t time.Time) string {
	if _, offset := t.In(p.zone).Zone(); offset == 0 {
		return ""
	}
	return " (" + t.In(p.zone).Format("15:04:05 MST") + ")"
}

// whatBroke is the verdict in a few words.
func whatBroke(i *alert.Incident) string {
	v := i.Verdict
	return fmt.Sprintf("%s: %s, %s (%s)", v.State, v.Layer, strings.ReplaceAll(string(v.Cause), "_", " "), v.Confidence)
}

// table aligns rows in columns; the first one is the heading.
func (p incidentsPrinter) table(rows [][]string) error {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = p.t.clean(row[i])
			width[i] = max(width[i], cells(row[i]))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", width[i]-cells(cell)+2))
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 {
			text = p.t.paint(strong, text)
		}
		b.WriteString(text + "\n")
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

// csv prints all bounds; the columns are only ever added to.
func (p incidentsPrinter) csv(all []*alert.Incident) error {
	w := csv.NewWriter(p.w)
	rows := [][]string{{"id", "target", "state", "layer", "cause", "confidence", "starts_after", "starts_before", "ends_after", "ends_before",
		"opened_at", "resolved_at", "least_seconds", "most_seconds", "rounds", "failed_rounds", "reopened"}}
	for _, i := range all {
		least, most := i.Duration(p.now)
		rows = append(rows, []string{i.ID, i.Target, string(i.State), string(i.Verdict.Layer), string(i.Verdict.Cause), string(i.Verdict.Confidence),
			csvTime(i.StartsAfter), csvTime(&i.StartsBefore), csvTime(i.EndsAfter), csvTime(i.EndsBefore), csvTime(i.OpenedAt), csvTime(i.ResolvedAt),
			strconv.FormatFloat(least.Seconds(), 'f', 3, 64), strconv.FormatFloat(most.Seconds(), 'f', 3, 64),
			strconv.Itoa(i.Rounds), strconv.Itoa(i.FailedRounds), strconv.Itoa(i.Reopened)})
	}
	if err := w.WriteAll(rows); err != nil {
		return fmt.Errorf("print incidents: %w", err)
	}
	return nil
}

func csvTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// shownStory is what show prints as JSON.
type shownStory struct {
	Incident   *alert.Incident  `json:"incident"`
	Events     []alert.Event    `json:"events"`
	Deliveries []alert.Delivery `json:"deliveries"`
}

func (p incidentsPrinter) show(s *store.Story, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(p.w)
		enc.SetIndent("", "  ")
		return enc.Encode(shownStory(*s))
	}
	var b strings.Builder
	n := p.note(s.Incident)
	fmt.Fprintf(&b, "%s\n", p.t.paint(strong, wrap(p.t.clean(n.Headline()), 0, p.t.width)))
	fmt.Fprintf(&b, "  %s\n", wrap(p.t.clean(n.Sentence()), 2, p.t.width))
	p.pair(&b, "incident", s.Incident.ID)
	if s.Incident.Group != "" {
		p.pair(&b, "told as", s.Incident.Group+", with which it failed together")
	}
	p.pair(&b, "began", n.Began(p.zone))
	if ended := n.Ended(p.zone); ended != "" {
		p.pair(&b, "ended", ended)
	}
	p.pair(&b, "lasted", n.Lasted())
	p.pair(&b, "rounds", fmt.Sprintf("%d of %d failed", s.Incident.FailedRounds, s.Incident.Rounds))
	p.reasons(&b, s.Incident)
	p.course(&b, s)
	p.told(&b, s.Deliveries)
	if filter := n.CaptureFilter(); filter != "" {
		fmt.Fprintf(&b, "  its failed probes in a capture\n    tcpdump -r FILE '%s'\n", p.t.clean(filter))
	}
	p.pair(&b, "logs", n.LogTimes(p.zone))
	_, err := io.WriteString(p.w, b.String())
	return err
}

func (p incidentsPrinter) pair(b io.Writer, name, text string) {
	fmt.Fprintf(b, "  %-9s %s\n", name, wrap(p.t.clean(text), 12, p.t.width))
}

func (p incidentsPrinter) reasons(b io.Writer, i *alert.Incident) {
	writeList(b, p.t, "why", p.t.symbol("•", "*"), faint, i.Verdict.Evidence)
	var cleared []string
	for _, c := range i.Verdict.Cleared {
		cleared = append(cleared, string(c.Layer)+": "+c.Reason)
	}
	writeList(b, p.t, "not to blame", p.t.symbol("✓", "+"), faint, cleared)
	var members []string
	for _, m := range i.Members {
		members = append(members, fmt.Sprintf("%s: %s (%s)", m.Target, m.State, m.Incident))
	}
	writeList(b, p.t, "targets that failed together", p.t.symbol("•", "*"), faint, members)
}

// course is what happened, in its order: steps, changes of the verdict, times in which nobody looked.
func (p incidentsPrinter) course(b io.Writer, s *store.Story) {
	type point struct {
		at   time.Time
		text string
	}
	var points []point
	for _, e := range s.Events {
		if _, ok := e.Event.Transition(); ok {
			points = append(points, point{e.Time, string(e.Event)})
		}
	}
	for _, c := range s.Incident.Timeline {
		text := fmt.Sprintf("%s: %s, %s (%s)", c.Verdict.State, c.Verdict.Layer, strings.ReplaceAll(string(c.Verdict.Cause), "_", " "), c.Verdict.Confidence)
		if c.Reason != "" {
			text += "; " + c.Reason
		}
		points = append(points, point{c.At, text})
	}
	for _, g := range s.Incident.Gaps {
		points = append(points, point{g.From, fmt.Sprintf("nobody looked for %s: %s", g.To.Sub(g.From).Round(time.Millisecond), g.Reason)})
	}
	slices.SortStableFunc(points, func(a, b point) int { return a.at.Compare(b.at) })
	fmt.Fprintf(b, "  course (UTC)\n")
	for _, x := range points {
		fmt.Fprintf(b, "    %s  %s\n", x.at.UTC().Format("2006-01-02 15:04:05.000"), wrap(p.t.clean(x.text), 29, p.t.width))
	}
}

// told is who was told what.
func (p incidentsPrinter) told(b io.Writer, all []alert.Delivery) {
	if len(all) == 0 {
		fmt.Fprintln(b, "  nobody was told of it by itself")
		return
	}
	fmt.Fprintf(b, "  told (UTC)\n")
	for _, d := range all {
		at, text := d.Created, string(d.State)
		if !d.Settled.IsZero() {
			at = d.Settled
		}
		switch {
		case d.State == alert.Merged:
			text = "left out: a later message says it too"
		case d.State == alert.Sent && d.Attempts > 1:
			text += fmt.Sprintf(" at the %s attempt, %s late", ordinal(d.Attempts), d.Settled.Sub(d.Created).Round(time.Second))
		case d.Error != "":
			text += ": " + d.Error
		}
		what := string(d.Transition)
		if d.Notification.Reminder && d.Transition == config.Updated {
			what = "reminder"
		}
		fmt.Fprintf(b, "    %s  %s\n", at.UTC().Format("2006-01-02 15:04:05.000"), wrap(p.t.clean(d.Receiver+": "+what+" "+text), 29, p.t.width))
	}
}

func ordinal(n int) string {
	switch n {
	case 2:
		return "2nd"
	case 3:
		return "3rd"
	}
	return fmt.Sprintf("%dth", n)
}

// recurrence tells of each target, and of all together when there are several.
func (p incidentsPrinter) recurrence(all []*alert.Incident, asJSON bool) error {
	began := map[string][]time.Time{}
	for _, i := range all {
		began[i.Target] = append(began[i.Target], i.StartsBefore)
		if i.Target != alert.SelfTarget {
			began[""] = append(began[""], i.StartsBefore)
		}
	}
	names := slices.Sorted(maps.Keys(began))
	if len(names) == 2 {
		names = names[1:]
	}
	for n, name := range names {
		r := alert.Recurrences(began[name], p.zone)
		if asJSON {
			data, err := json.Marshal(struct {
				Target string `json:"target"`
				alert.Recurrence
			}{name, r})
			if err != nil {
				return fmt.Errorf("print recurrence: %w", err)
			}
			fmt.Fprintf(p.w, "%s\n", data)
			continue
		}
		if n > 0 {
			fmt.Fprintln(p.w)
		}
		p.recurs(name, r)
	}
	if len(names) == 0 && !asJSON {
		fmt.Fprintln(p.w, "no incidents")
	}
	return nil
}

// recurs draws one target's outages over the day and the week.
func (p incidentsPrinter) recurs(name string, r alert.Recurrence) {
	if name == "" {
		name = "all targets"
	}
	fmt.Fprintf(p.w, "%s: %s\n", p.t.paint(strong, p.t.clean(name)), plural(r.Count, "incident"))
	if r.Count > 1 {
		fmt.Fprintf(p.w, "  from one begin to the next: %s at least, %s in the middle, %s at most\n", long(r.GapMin), long(r.GapMedian), long(r.GapMax))
	}
	zone := p.now.In(p.zone).Format("MST")
	fmt.Fprintf(p.w, "  hour  %s  %s\n        0     6     12    18\n", p.bars(r.Hours[:], 1), zone)
	fmt.Fprintf(p.w, "  day   %s  %s\n        M  T  W  T  F  S  S\n", p.bars(r.Weekdays[:], 3), zone)
	for _, s := range r.Said {
		fmt.Fprintf(p.w, "  %s\n", p.t.paint(strong, s))
	}
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

// long is a number of seconds in the unit that fits.
func long(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
	return d.Round(time.Second).String()
}
