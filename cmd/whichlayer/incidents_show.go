package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/alert/store"
	"github.com/whichlayer/whichlayer/config"
)

// shownStory is what show prints as JSON.
type shownStory struct {
	Incident   *alert.Incident  `json:"incident"`
	Events     []alert.Event    `json:"events"`
	Deliveries []alert.Delivery `json:"deliveries"`
}

func (p incidentsPrinter) show(s *store.Story, asJSON bool) error {
	if asJSON {
		x := shownStory{s.Incident, append([]alert.Event{}, s.Events...), append([]alert.Delivery{}, s.Deliveries...)}
		if err := json.NewEncoder(p.w).Encode(x); err != nil {
			return fmt.Errorf("print an incident: %w", err)
		}
		return nil
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
	for _, x := range s.Incident.Spells {
		p.pair(&b, "spell", spellText(x, p.zone))
	}
	p.pair(&b, "rounds", fmt.Sprintf("%d of %d failed", s.Incident.FailedRounds, s.Incident.Rounds))
	p.reasons(&b, s.Incident, membersOf(s))
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

// spellText is one outage of several in an incident.
func spellText(x alert.Bounds, zone *time.Location) string {
	n := alert.Notification{Event: alert.Event{Incident: &alert.Incident{Bounds: x, State: alert.Resolved}}}
	if ended := n.Ended(zone); ended != "" {
		return "began " + n.Began(zone) + ", ended " + ended
	}
	return "began " + n.Began(zone)
}

// membersOf are the targets that failed together, as they were told last.
func membersOf(s *store.Story) []alert.Member {
	for _, d := range slices.Backward(s.Deliveries) {
		if i := d.Notification.Event.Incident; i != nil && len(i.Members) > 0 {
			return i.Members
		}
	}
	return s.Incident.Members
}

func (p incidentsPrinter) reasons(b io.Writer, i *alert.Incident, together []alert.Member) {
	writeList(b, p.t, "why", p.t.symbol("•", "*"), faint, i.Verdict.Evidence)
	var cleared []string
	for _, c := range i.Verdict.Cleared {
		cleared = append(cleared, string(c.Layer)+": "+c.Reason)
	}
	writeList(b, p.t, "not to blame", p.t.symbol("✓", "+"), faint, cleared)
	var members []string
	for _, m := range together {
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
		text := whatBroke(&c.Verdict)
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
		fmt.Fprintln(b, "  nobody was told")
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
			text += fmt.Sprintf(" at attempt %d, %s late", d.Attempts, d.Settled.Sub(d.Created).Round(time.Second))
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
