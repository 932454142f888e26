package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
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
