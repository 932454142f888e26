package notify

import (
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

const (
	// amDrill is how long the alert of a drill fires.
	amDrill = 5 * time.Minute
	// limitAnnotation is in characters.
	limitAnnotation = 2000
)

// amWriter makes alerts of notifications.
type amWriter struct {
	receiver string
	setting  Setting
	labels   map[string]string
	words    wording
}

// held is the alert of an incident after a step of it; old is what was held before.
func (w *amWriter) held(n alert.Notification, old held, now time.Time) held {
	i := n.Event.Incident
	m := newMessage(n, w.receiver, w.setting)
	h := held{Labels: w.identity(n), Annotations: w.annotations(m), StartsAt: i.StartsAt.UTC(), Taken: old.Taken}
	if base := strings.TrimSuffix(w.setting.ExternalURL, "/"); base != "" {
		h.GeneratorURL = base + "/incidents/" + url.PathEscape(i.ID)
	}
	switch {
	case n.Drill:
		if h.Until = old.Until; h.Until.IsZero() {
			h.Until = now.Add(amDrill).UTC()
		}
	case n.Transition == config.Suspect:
		// It is not repeated: not every receiver hears when a suspicion comes to nothing.
		h.Until = now.Add(amEnds).UTC()
	case n.Transition == config.Resolved, n.Transition == config.Dismissed:
		h.Closed, h.EndsAt, h.Brief = now.UTC(), n.Event.Time.UTC(), n.Transition == config.Dismissed
		if i.EndsAt != nil {
			h.EndsAt = i.EndsAt.UTC()
		}
	}
	return h
}

// identity are the labels: the same for all of an incident's life. Its ID is among them, since a target may have two at a
// time (an outage, and a certificate that ends soon), and the end of an earlier one must not end a later one.
func (w *amWriter) identity(n alert.Notification) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, w.labels)
	labels["alertname"], labels["target"], labels["incident"] = alertIncident, clip(n.Event.Target, limitAnnotation), n.Event.Incident.ID
	if n.Drill {
		labels["alertname"], labels["severity"] = alertDrill, "none"
	}
	return labels
}

// annotations are what is known of the incident now.
func (w *amWriter) annotations(m Message) map[string]string {
	text, ok := w.words.words(m)
	if !ok {
		text = m.Sentence
	}
	durability := ""
	if m.Degraded {
		durability = "degraded"
	}
	all := map[string]string{
		"summary": w.words.title(m, m.Headline), "description": text, "event": m.Transition,
		"state": m.State, "layer": m.Layer, "cause": m.Cause, "confidence": m.Confidence, "suspects": amSuspects(m.Suspects),
		"incident": m.Incident, "starts_after": m.StartsAfter, "starts_before": m.StartsBefore, "ends_after": m.EndsAfter,
		"ends_before": m.EndsBefore, "lasted": m.Lasted, "evidence": strings.Join(m.Evidence, "\n"), "cleared": amCleared(m.Cleared),
		"members": amMembers(m.Members), "next": m.Next, "capture_filter": m.CaptureFilter, "durability": durability,
	}
	for name, text := range all {
		if all[name] = clip(text, limitAnnotation); text == "" {
			delete(all, name)
		}
	}
	return all
}

func amSuspects(list []Suspect) string {
	texts := make([]string, len(list))
	for k, s := range list {
		texts[k] = s.Layer + " " + s.Cause
	}
	return strings.Join(texts, ", ")
}

func amCleared(list []Innocent) string {
	texts := make([]string, len(list))
	for k, c := range list {
		texts[k] = c.Layer + ": " + c.Reason
	}
	return strings.Join(texts, "\n")
}

func amMembers(list []Member) string {
	texts := make([]string, len(list))
	for k, m := range list {
		texts[k] = m.Target
	}
	return strings.Join(texts, ", ")
}
