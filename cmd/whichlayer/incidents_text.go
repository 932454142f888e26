package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// incidentsPrinter shows incidents.
type incidentsPrinter struct {
	w    io.Writer
	t    terminal
	zone *time.Location
	now  time.Time
}

// note is the last word on an incident, whose methods say it in words.
func (p incidentsPrinter) note(i *alert.Incident) alert.Notification {
	n := incidentNote(i, p.now)
	if i.State == alert.Suspected {
		n.Transition = config.Suspect
	}
	return n
}

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
			p.note(i).Lasted(), i.Target, string(i.State), whatBroke(&i.Verdict)})
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

// whatBroke is a verdict in a few words; of several suspects all.
func whatBroke(v *probe.Verdict) string {
	if v.Confidence != probe.Ambiguous || len(v.Suspects) < 2 {
		return fmt.Sprintf("%s: %s, %s (%s)", v.State, v.Layer, causeWords(v.Cause), v.Confidence)
	}
	words := make([]string, len(v.Suspects))
	for i, s := range v.Suspects {
		words[i] = fmt.Sprintf("%s, %s", s.Layer, causeWords(s.Cause))
	}
	return fmt.Sprintf("%s: %s (%s)", v.State, strings.Join(words, " or "), v.Confidence)
}

// table aligns rows in columns; the first one is the heading. Where they do not fit, a row takes three lines.
func (p incidentsPrinter) table(rows [][]string) error {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = p.t.clean(row[i])
			width[i] = max(width[i], cells(row[i]))
		}
	}
	sum := 2 * (len(width) - 1)
	for _, n := range width {
		sum += n
	}
	if p.t.columns > 0 && sum > p.t.columns {
		return p.folded(rows[1:])
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

// folded prints each row on lines of its own: when and how long, what, and the ID.
func (p incidentsPrinter) folded(rows [][]string) error {
	var b strings.Builder
	for _, row := range rows {
		id, began, lasted, target, state, what := row[0], row[1], row[2], row[3], row[4], row[5]
		fmt.Fprintf(&b, "%s\n  %s\n", p.t.paint(strong, began+", "+lasted), wrap(target+", "+state+", "+what, 2, p.t.width))
		fmt.Fprintf(&b, "  %s\n", p.t.paint(faint, id))
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
		upTo := ""
		if i.StartsAfter != nil { // else it is not known
			upTo = strconv.FormatFloat(most.Seconds(), 'f', 3, 64)
		}
		rows = append(rows, []string{i.ID, i.Target, string(i.State), string(i.Verdict.Layer), string(i.Verdict.Cause), string(i.Verdict.Confidence),
			csvTime(i.StartsAfter), csvTime(&i.StartsBefore), csvTime(i.EndsAfter), csvTime(i.EndsBefore), csvTime(i.OpenedAt), csvTime(i.ResolvedAt),
			strconv.FormatFloat(least.Seconds(), 'f', 3, 64), upTo,
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
