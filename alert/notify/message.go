package notify

import (
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// Message is what a template of a receiver (title, text, body) can name. All of it is plain text, lists of it and
// yes-or-no; times are in UTC as RFC 3339 and empty where nothing is known, unless they are said to be for people. Fields
// are only added to, never renamed.
//
// Besides the functions that every Go template has, there are upper TEXT, lower TEXT, join SEPARATOR LIST, truncate LENGTH
// TEXT and json VALUE, which is what every text within JSON needs.
type Message struct {
	// Receiver is the name of the one that the message is for.
	Receiver string
	// Word is the state in capitals: SUSPECT, DOWN, DEGRADED, UNKNOWN, RECOVERING, RESOLVED, DISMISSED; DRILL of a drill.
	Word string
	// Headline is one line, such as "orders is down: proxy, frozen (likely)". Title has Word before it.
	Headline string
	Title    string
	// Sentence says what happened in plain words; it may have several lines.
	Sentence string
	// Transition is suspect, opened, updated, resolved or dismissed.
	Transition string
	// Target is the name of the target, of several the first one's; "whichlayer itself" for a trouble of the prober's own.
	Target string
	// State is up, degraded, down or unknown: the incident's, also once it is over.
	State string
	// Layer, Cause and Confidence are those of the verdict, such as proxy, frozen, likely.
	Layer      string
	Cause      string
	Confidence string
	// Suspects are all that the evidence leaves, the likeliest first.
	Suspects []Suspect
	// Changed says why the verdict is another than the one that was told before; empty if it is not.
	Changed string
	// Incident is the ID.
	Incident string
	// Members are the targets that fail together; empty for one alone.
	Members []Member
	// Began, Ended and Lasted are for people, in UTC and in the configured zone: "2026-11-22 14:03:04.120 to 14:03:05.320 UTC".
	// Ended is empty while it lasts.
	Began  string
	Ended  string
	Lasted string
	// Time is when the message's cause happened.
	Time string
	// StartsAfter to EndsBefore are the bounds between which the incident began and ended.
	StartsAfter  string
	StartsBefore string
	EndsAfter    string
	EndsBefore   string
	// Relapses counts how often the incident came back.
	Relapses int
	// Lanes is what each lane saw.
	Lanes []LaneRow
	// Evidence are the reasons for the verdict, sentences.
	Evidence []string
	// Cleared are the layers that are innocent, each with the reason.
	Cleared []Innocent
	// WouldDecide says what would tell the suspects apart.
	WouldDecide []string
	// Supposing is the condition under which Means, Next and Ask hold; empty where one suspect is clearly the best.
	Supposing string
	// Means says what users feel, Next where to look first, Ask whom to ask what.
	Means string
	Next  string
	Ask   string
	// CaptureFilter finds the failed attempts with tcpdump, DisplayFilter with Wireshark. ServiceFilter is for all traffic of
	// the service.
	CaptureFilter string
	DisplayFilter string
	ServiceFilter string
	// LogTimes is for people: between which times a server's log is worth reading. LogFrom and LogTo are for programs.
	LogTimes string
	LogFrom  string
	LogTo    string
	// RequestIDs are the X-Request-Id of attempts that failed.
	RequestIDs []string
	// Commands can be pasted into a shell.
	Commands []string
	// Links lead to this prober's pages; empty when nobody told it under which address people reach it.
	Links []Link
	// Drill tells that all of it is made up, Reminder that nothing is new, Whole that it is over already, Degraded that the
	// message would not have survived a crash.
	Drill    bool
	Reminder bool
	Whole    bool
	Degraded bool
	// Version of this program.
	Version string
}

// Suspect is a layer and what would be wrong with it.
type Suspect struct{ Layer, Cause string }

// Member is one of several targets that fail together.
type Member struct {
	Target string
	// Incident is the ID of the target's own.
	Incident string
	// Word is the target's state in capitals, such as DOWN or RESOLVED.
	Word string
	// Layer, Cause and Confidence are those of the target's own verdict.
	Layer      string
	Cause      string
	Confidence string
	// Began and Ended are for people; Ended is empty while it lasts.
	Began string
	Ended string
}

// LaneRow sums up what a lane saw.
type LaneRow struct {
	// Lane is its kind and the name of the hop, Address what was looked at.
	Lane    string
	Address string
	// Stage is the one that ended it, Outcome how, Time how long it took.
	Stage   string
	Outcome string
	Time    string
}

// Innocent is a layer that the evidence clears.
type Innocent struct{ Layer, Reason string }

// Link is an address with its name.
type Link struct{ Text, URL string }

// Bounds on lists, which templates loop over.
const (
	maxListed      = 50
	maxListedLanes = 100
)

// newMessage freezes a notification for templates.
func newMessage(n alert.Notification, receiver string, s Setting) Message {
	i, v := n.Event.Incident, n.Event.Verdict
	words := alert.VerdictWords(*v)
	from, to := n.LogRange()
	m := Message{
		Receiver: receiver, Word: n.Word(), Headline: n.Headline(), Title: n.Title(), Sentence: n.Sentence(),
		Transition: string(n.Transition), Target: n.Event.Target, State: string(v.State),
		Layer: string(v.Layer), Cause: string(v.Cause), Confidence: string(v.Confidence), Changed: n.Why(),
		Incident: i.ID, Members: members(n, s.Zone), Relapses: i.Reopened,
		Began: n.Began(s.Zone), Ended: n.Ended(s.Zone), Lasted: n.Lasted(), Time: stamp(&n.Event.Time),
		StartsAfter: stamp(i.StartsAfter), StartsBefore: stamp(&i.StartsBefore), EndsAfter: stamp(i.EndsAfter), EndsBefore: stamp(i.EndsBefore),
		Lanes: lanes(n), Evidence: first(v.Evidence, maxListed), WouldDecide: first(v.WouldDecide, maxListed),
		Supposing: alert.Supposing(*v), Means: words.Means, Next: words.Next, Ask: words.Ask,
		CaptureFilter: n.CaptureFilter(), DisplayFilter: n.DisplayFilter(), ServiceFilter: n.ServiceFilter(),
		LogTimes: n.LogTimes(s.Zone), LogFrom: stamp(&from), LogTo: stamp(&to), RequestIDs: first(n.RequestIDs(), maxListed),
		Commands: commands(n), Links: links(s.ExternalURL),
		Drill: n.Drill, Reminder: n.Reminder, Whole: n.Whole, Degraded: n.Degraded, Version: s.Version,
	}
	for _, x := range first(v.Suspects, maxListed) {
		m.Suspects = append(m.Suspects, Suspect{string(x.Layer), string(x.Cause)})
	}
	for _, x := range first(v.Cleared, maxListed) {
		m.Cleared = append(m.Cleared, Innocent{string(x.Layer), x.Reason})
	}
	return m
}

// first is a copy of a list's beginning: a message shares nothing with its notification.
func first[T any](list []T, limit int) []T { return slices.Clone(list[:min(len(list), limit)]) }

func members(n alert.Notification, loc *time.Location) (out []Member) {
	for _, m := range first(n.Event.Incident.Members, maxListed) {
		one := alone(n, m)
		out = append(out, Member{
			Target: m.Target, Incident: m.Incident, Word: one.Word(), Layer: string(m.Verdict.Layer), Cause: string(m.Verdict.Cause),
			Confidence: string(m.Verdict.Confidence), Began: one.Began(loc), Ended: one.Ended(loc),
		})
	}
	return out
}

// alone is the notification as it would be for one of its members.
func alone(n alert.Notification, m alert.Member) alert.Notification {
	t := config.Updated
	switch m.State {
	case alert.Suspected:
		t = config.Suspect
	case alert.Resolved:
		t = config.Resolved
	case alert.Dismissed:
		t = config.Dismissed
	}
	return alert.Notification{Transition: t, Event: alert.Event{Time: n.Event.Time, Target: m.Target, Verdict: &m.Verdict,
		Incident: &alert.Incident{ID: m.Incident, Target: m.Target, State: m.State, Verdict: m.Verdict, Bounds: m.Bounds, StartsAt: m.StartsBefore}}}
}

func lanes(n alert.Notification) (out []LaneRow) {
	for _, row := range laneRows(n, maxListedLanes)[1:] {
		for len(row) < 5 {
			row = append(row, "")
		}
		out = append(out, LaneRow{row[0], row[1], row[2], row[3], row[4]})
	}
	return out
}

// commands are what one types next. An ID holds nothing that a shell would take for its own.
func commands(n alert.Notification) []string {
	list := []string{"whichlayer incidents show " + n.Event.Incident.ID}
	if n.Event.Target != alert.SelfTarget && n.Advises() {
		list = append(list, "whichlayer check --verbose "+shellWord(n.Event.Target))
	}
	if f := n.CaptureFilter(); f != "" {
		list = append(list, "tcpdump -n -r FILE "+shellWord(f))
	}
	return list
}

// shellWord quotes a text for a shell where that is needed.
func shellWord(s string) string {
	harmless := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:@", r)
	}
	if s != "" && !strings.HasPrefix(s, "-") && strings.TrimFunc(s, harmless) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(clip(s, 2000), "'", `'\''`) + "'"
}

// links lead to this prober's own page.
func links(external string) []Link {
	if external == "" {
		return nil
	}
	return []Link{{"whichlayer", strings.TrimSuffix(external, "/") + "/"}}
}

// verdictShort is layer, cause and confidence of a member in a few words.
func verdictShort(v probe.Verdict) string {
	if v.Layer == probe.LayerNone || v.Layer == "" {
		return "which layer is not known"
	}
	return string(v.Layer) + ", " + strings.ReplaceAll(string(v.Cause), "_", " ") + " (" + string(v.Confidence) + ")"
}
