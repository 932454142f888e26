package alert

import (
	"fmt"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// Notification is what a receiver is told: one transition of one incident. It is a frozen copy; its methods derive the
// texts that every kind of receiver shows.
type Notification struct {
	Transition config.Transition `json:"transition"`
	// Event is the same as in the event stream. Incident and Verdict are never nil. The incident is the receiver's own view:
	// where several targets fail together it has the ID of the first one, and Members.
	Event Event `json:"event"`
	// Reminder tells that nothing is new: the incident still lasts.
	Reminder bool `json:"reminder,omitempty"`
	// Whole tells that nothing of the incident was told before: it is over already.
	Whole bool `json:"whole,omitempty"`
	// Drill tells that the incident is made up.
	Drill bool `json:"drill,omitempty"`
	// Degraded tells that this message would not have survived a crash: the state cannot be written.
	Degraded bool `json:"durability_degraded,omitempty"`
}

// NewNotification makes a notification of an event that is an incident's transition.
func NewNotification(e Event) (Notification, bool) {
	t, ok := e.Event.Transition()
	if !ok || e.Incident == nil || e.Verdict == nil {
		return Notification{}, false
	}
	return Notification{Transition: t, Event: e}, true
}

// Word is the state in capitals, for those who see no colours. Of a drill it is DRILL.
func (n Notification) Word() string {
	if n.Drill {
		return "DRILL"
	}
	switch n.Transition {
	case config.Suspect:
		return "SUSPECT"
	case config.Resolved:
		return "RESOLVED"
	case config.Dismissed:
		return "DISMISSED"
	}
	if n.Event.Incident.State == Recovering {
		return "RECOVERING"
	}
	return strings.ToUpper(string(n.Event.Verdict.State))
}

// Headline is one line without a full stop, such as "orders is down: proxy, frozen (likely)".
func (n Notification) Headline() string {
	if n.Drill {
		return "DRILL: " + n.headline()
	}
	return n.headline()
}

func (n Notification) headline() string {
	i, v := n.Event.Incident, n.Event.Verdict
	who, is, short := n.subject(), n.verb("is", "are"), n.short(*v)
	switch {
	case n.Whole:
		return fmt.Sprintf("%s %s %s for %s, over before this could be told: %s", who, n.verb("was", "were"), v.State, n.Lasted(), short)
	case n.Reminder:
		return fmt.Sprintf("%s %s still %s after %s: %s", who, is, v.State, n.age(), short)
	}
	switch n.Transition {
	case config.Suspect:
		return fmt.Sprintf("%s may be %s: %s", who, v.State, short)
	case config.Resolved:
		return fmt.Sprintf("%s %s %s again after %s: %s", who, is, n.well(), n.Lasted(), short)
	case config.Dismissed:
		if i.Reason != "" {
			return fmt.Sprintf("%s: the incident ends here: %s", who, i.Reason)
		}
		return fmt.Sprintf("%s %s up: the suspicion was not confirmed", who, is)
	case config.Opened:
		if i.Reopened > 0 {
			return fmt.Sprintf("%s %s %s again: %s", who, is, v.State, short)
		}
	case config.Updated:
		if was, _ := n.change(); was != nil && (was.Layer != v.Layer || was.Cause != v.Cause) {
			return fmt.Sprintf("%s %s %s: now %s; was %s", who, is, v.State, short, n.short(*was))
		}
	}
	return fmt.Sprintf("%s %s %s: %s", who, is, v.State, short)
}

// subject is what is broken: a target, or the first of several and how many others.
func (n Notification) subject() string {
	i := n.Event.Incident
	switch others := len(i.Members) - 1; {
	case others < 1:
		return i.Target
	case others == 1:
		return i.Members[0].Target + " and " + i.Members[1].Target
	default:
		return fmt.Sprintf("%s and %d others", i.Members[0].Target, others)
	}
}

// verb agrees with the subject.
func (n Notification) verb(one, several string) string {
	if len(n.Event.Incident.Members) > 1 {
		return several
	}
	return one
}

// well is the opposite of what was wrong.
func (n Notification) well() string {
	if n.self() {
		return "well"
	}
	return "up"
}

// short names layer, cause and confidence. Of the prober's own troubles the layer is no news, and they are no inference.
func (n Notification) short(v probe.Verdict) string {
	if n.self() {
		return what(v)
	}
	return shortVerdict(v)
}

// self tells that the incident is a trouble of this prober's own.
func (n Notification) self() bool { return n.Event.Incident.Target == SelfTarget }

// age is how long the incident lasts by now, such as "4h0m".
func (n Notification) age() string {
	lo, _ := n.Event.Incident.Duration(n.Event.Time)
	if lo < time.Minute {
		return lo.Truncate(time.Second).String()
	}
	return strings.TrimSuffix(lo.Truncate(time.Minute).String(), "0s")
}

// change is the verdict that an update replaces, nil at other transitions, and why.
func (n Notification) change() (was *probe.Verdict, why string) {
	line := n.Event.Incident.Timeline
	if n.Transition != config.Updated || n.Reminder || len(line) < 2 {
		return nil, ""
	}
	return &line[len(line)-2].Verdict, line[len(line)-1].Reason
}

// Why says why an update replaces what was told before, such as "surer: confirmed instead of likely"; else empty.
func (n Notification) Why() string {
	_, why := n.change()
	return why
}

// Title is the message's first line: Word and Headline, the word once.
func (n Notification) Title() string {
	if n.Drill {
		return n.Headline()
	}
	return n.Word() + ": " + n.Headline()
}

// Advises tells that the notification is for people who have to do something now.
func (n Notification) Advises() bool {
	return !n.Drill && (n.Transition == config.Opened || n.Transition == config.Updated)
}

// shortVerdict names layer, cause and confidence; of several suspects all.
func shortVerdict(v probe.Verdict) string {
	switch {
	case v.Confidence == probe.Ambiguous && len(v.Suspects) > 1:
		words := make([]string, len(v.Suspects))
		for i, s := range v.Suspects {
			words[i] = fmt.Sprintf("%s (%s)", s.Layer, causeWords(s.Cause))
		}
		return joinOr(words) + ", ambiguous"
	case v.Layer == probe.LayerNone || v.Layer == "":
		return "which layer broke is not known"
	}
	return fmt.Sprintf("%s, %s (%s)", v.Layer, causeWords(v.Cause), v.Confidence)
}

// Sentence says what happened in plain words. Further lines say what else must be known of the message.
func (n Notification) Sentence() string {
	lines := []string{n.sentence()}
	if n.Drill {
		lines = append([]string{"This is a drill, to see that messages arrive: nobody has to do anything."}, lines...)
	}
	if n.Degraded {
		lines = append(lines, "durability: degraded: this message would not have survived a crash, because the state cannot be written.")
	}
	return strings.Join(lines, "\n")
}

func (n Notification) sentence() string {
	v := *n.Event.Verdict
	switch {
	case n.Transition == config.Suspect:
		return "Seen so far: " + what(v) + "."
	case n.Transition == config.Resolved, n.Transition == config.Dismissed:
		return "What was seen then: " + what(v) + "."
	case len(n.Event.Incident.Members) > 1 && v.State.Bad():
		return n.subject() + " are " + string(v.State) + " together: " + what(v) + "."
	case n.self():
		// The evidence is the only place that says which receiver, which file.
		return Sentence(v, SelfTarget) + " " + strings.Join(v.Evidence, " ")
	}
	return Sentence(v, n.Event.Target)
}

// Lasted is the incident's length as a range, such as "1m25s to 1m32s".
func (n Notification) Lasted() string {
	i := n.Event.Incident
	lo, hi := i.Duration(n.Event.Time)
	if n.self() { // what happens in this process is known to the instant
		if lo = n.Event.Time.Sub(i.StartsBefore); i.EndsBefore != nil {
			lo = i.EndsBefore.Sub(i.StartsBefore)
		}
		lo = max(lo, 0)
		hi = lo
	}
	lo, hi = lo.Truncate(time.Second), (hi + time.Second - 1).Truncate(time.Second)
	switch {
	case hi < time.Second:
		return "at least " + lo.String()
	case hi-lo <= time.Second:
		return "about " + hi.String()
	case lo == 0:
		return "at most " + hi.String()
	}
	return lo.String() + " to " + hi.String()
}

// Began says between which instants the incident began, in UTC and in loc.
func (n Notification) Began(loc *time.Location) string {
	i := n.Event.Incident
	switch {
	case n.self():
		return "at " + instant(ceil(i.StartsBefore), loc)
	case i.StartsAfter == nil:
		return "before " + instant(ceil(i.StartsBefore), loc) + " (it was broken when this prober began to look)"
	}
	return interval(*i.StartsAfter, i.StartsBefore, loc)
}

// Ended says between which instants it ended; empty while it lasts.
func (n Notification) Ended(loc *time.Location) string {
	i := n.Event.Incident
	if i.EndsAfter == nil || i.EndsBefore == nil || i.Active() && i.State != Recovering {
		return ""
	}
	if n.self() {
		return "at " + instant(ceil(*i.EndsBefore), loc)
	}
	return interval(*i.EndsAfter, *i.EndsBefore, loc)
}

// LogRange are the times between which a server's log is worth reading: the incident with a second on either side.
func (n Notification) LogRange() (from, to time.Time) {
	i := n.Event.Incident
	from, to = i.StartsBefore, n.Event.Time
	if i.StartsAfter != nil {
		from = *i.StartsAfter
	}
	if i.EndsBefore != nil {
		to = *i.EndsBefore
	}
	return from.Add(-time.Second).UTC(), to.Add(time.Second).UTC()
}

// LogTimes is LogRange as text, in whole seconds.
func (n Notification) LogTimes(loc *time.Location) string {
	from, to := n.LogRange()
	return spans(from.Truncate(time.Second), to.Add(time.Second-1).Truncate(time.Second), loc, "15:04:05")
}

// RequestIDs are those of attempts that failed.
func (n Notification) RequestIDs() (ids []string) {
	for _, f := range n.Event.Incident.Fingerprints {
		if f.RequestID != "" {
			ids = append(ids, f.RequestID)
		}
	}
	return ids
}

// interval is "2026-11-22 14:03:04.120 to 14:03:07.123 UTC (15:03:04.120 to 15:03:07.123 CET)", rounded outwards so that
// it still holds the instant.
func interval(from, to time.Time, loc *time.Location) string {
	return spans(from.UTC().Truncate(time.Millisecond), ceil(to), loc, "15:04:05.000")
}

// spans is the time between two instants in UTC and, where the clock differs, in loc. A date stands there once.
func spans(from, to time.Time, loc *time.Location, clock string) string {
	from, to = from.UTC(), to.UTC()
	text := from.Format(day+" ") + spanIn(from, to, clock)
	if sameClock(from, loc) && sameClock(to, loc) {
		return text
	}
	a, b := from.In(loc), to.In(loc)
	local := spanIn(a, b, clock)
	if a.Format(day) != from.Format(day) || b.Format(day) != to.Format(day) {
		local = a.Format(day+" ") + local
	}
	return text + " (" + local + ")"
}

// day is how a date is written.
const day = "2006-01-02"

// spanIn leaves out the first date, the second where it is the same, and the first zone where it is.
func spanIn(from, to time.Time, clock string) string {
	a, b := from.Format(clock), to.Format(clock)
	if from.Format(day) != to.Format(day) {
		b = to.Format(day+" ") + b
	}
	if za, zb := from.Format("MST"), to.Format("MST"); za != zb {
		return a + " " + za + " to " + b + " " + zb
	}
	return a + " to " + b + " " + to.Format("MST")
}

func instant(t time.Time, loc *time.Location) string {
	const layout = "2006-01-02 15:04:05.000 MST"
	if sameClock(t, loc) {
		return t.UTC().Format(layout)
	}
	return t.UTC().Format(layout) + " (" + t.In(loc).Format(layout) + ")"
}

// sameClock tells that a zone shows the same time as UTC under the same name.
func sameClock(t time.Time, loc *time.Location) bool {
	name, offset := t.In(loc).Zone()
	return name == "UTC" && offset == 0
}

// ceil rounds up to milliseconds.
func ceil(t time.Time) time.Time {
	return t.UTC().Add(time.Millisecond - 1).Truncate(time.Millisecond)
}
