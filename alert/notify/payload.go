package notify

import (
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

// payload is what programs are told, by exec on stdin and by a webhook: the event as it stands in the event stream, with
// what the texts of a message say. Its names are a contract: they are only added to.
type payload struct {
	alert.Event
	Transition string `json:"transition"`
	// Drill tells that all of it is made up, Reminder that nothing is new, Whole that nothing of it was told before,
	// Degraded that the message would not have survived a crash.
	Drill         bool          `json:"drill"`
	Reminder      bool          `json:"reminder"`
	Whole         bool          `json:"whole"`
	Degraded      bool          `json:"durability_degraded"`
	Headline      string        `json:"headline"`
	Sentence      string        `json:"sentence"`
	Began         string        `json:"began"`
	Ended         string        `json:"ended,omitempty"`
	Lasted        string        `json:"lasted"`
	Means         string        `json:"means"`
	Next          string        `json:"next"`
	Ask           string        `json:"ask"`
	CaptureFilter string        `json:"capture_filter"`
	DisplayFilter string        `json:"display_filter"`
	ServiceFilter string        `json:"service_filter"`
	LogFrom       time.Time     `json:"log_from"`
	LogTo         time.Time     `json:"log_to"`
	Commands      []string      `json:"commands"`
	Links         []payloadLink `json:"links,omitempty"`
}

type payloadLink struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

func newPayload(n alert.Notification, m Message) payload {
	from, to := n.LogRange()
	p := payload{
		Event: n.Event, Transition: m.Transition, Drill: n.Drill, Reminder: n.Reminder, Whole: n.Whole, Degraded: n.Degraded,
		Headline: m.Headline, Sentence: m.Sentence, Began: m.Began, Ended: m.Ended, Lasted: m.Lasted,
		Means: m.Means, Next: m.Next, Ask: m.Ask,
		CaptureFilter: m.CaptureFilter, DisplayFilter: m.DisplayFilter, ServiceFilter: m.ServiceFilter,
		LogFrom: from, LogTo: to, Commands: m.Commands,
	}
	for _, l := range m.Links {
		p.Links = append(p.Links, payloadLink(l))
	}
	return p
}
