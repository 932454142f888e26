package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// templateSample is a message on which templates are tried.
type templateSample struct {
	name string
	m    Message
}

// templateSamples are messages of every transition and sort: with as little as there can be, and with more than there will
// be.
func templateSamples() (out []templateSample) {
	setting := Setting{Zone: time.UTC, Version: "v0.0.0"}
	add := func(name string, n alert.Notification) {
		out = append(out, templateSample{name, newMessage(n, "receiver", setting)})
	}
	for _, t := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved, config.Dismissed} {
		add("the transition "+string(t), plainSample(t))
		add("the transition "+string(t)+" of several targets", memberSample(t))
	}
	n := plainSample(config.Updated)
	n.Reminder = true
	add("a reminder", n)
	n = plainSample(config.Resolved)
	n.Whole = true
	add("an incident that is over already", n)
	n = plainSample(config.Opened)
	n.Drill, n.Degraded = true, true
	add("a drill", n)
	add("an incident of which little is known", bareSample())
	setting.ExternalURL = "https://whichlayer.example.com"
	add("an incident with quotes and line feeds in its texts", largeSample())
	return out
}

// plainSample is one target's incident at one of its transitions.
func plainSample(t config.Transition) alert.Notification {
	began := time.Date(2026, 11, 22, 14, 3, 7, 123_456_789, time.UTC)
	at := func(d time.Duration) *time.Time { x := began.Add(d); return &x }
	v := &probe.Verdict{
		State: probe.Down, Layer: probe.LayerProxy, Cause: probe.CauseFrozen, Confidence: probe.Likely, Rule: "sample",
		Suspects: []probe.Suspect{{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}, {Layer: probe.LayerNetwork, Cause: probe.CauseReturnDropped}},
		Evidence: []string{"front/tls: no reply in 3 s"},
		Cleared:  []probe.Cleared{{Layer: probe.LayerBackend, Reason: "answers when asked directly"}},
	}
	i := &alert.Incident{ID: "20261122T140307Z-sample-0000", Target: "sample", State: alert.State(t), Verdict: *v,
		Bounds: alert.Bounds{StartsAfter: at(-time.Second), StartsBefore: began}, StartsAt: began,
		Fingerprints: []alert.Fingerprint{{At: began, Lane: probe.LaneFront, Local: "192.0.2.1:50000", Remote: "192.0.2.2:443", RequestID: "0a1b2c"}}}
	switch t {
	case config.Opened, config.Updated:
		i.State, i.OpenedAt = alert.Open, at(20*time.Second)
		i.Timeline = []alert.Change{{At: began, Verdict: *v}, {At: *at(20 * time.Second), Verdict: *v, Reason: "surer"}}
	case config.Resolved:
		i.OpenedAt, i.ResolvedAt, i.EndsAfter, i.EndsBefore, i.EndsAt = at(20*time.Second), at(2*time.Minute), at(time.Minute), at(61*time.Second), at(61*time.Second)
	}
	silent := probe.Stage{Stage: probe.StageTLS, Outcome: probe.Failed, Type: probe.TLSTimedOut, Code: probe.TLSTimedOut.Code(),
		Started: began, Duration: probe.Seconds(3 * time.Second)}
	return alert.Notification{Transition: t, Event: alert.Event{Event: alert.Kind(t), Time: *at(2 * time.Minute), Target: "sample", Verdict: v,
		Lanes: []probe.Lane{{Lane: probe.LaneFront, Address: "192.0.2.2:443", Stages: []probe.Stage{silent}}}, Incident: i}}
}

func memberSample(t config.Transition) alert.Notification {
	n := plainSample(t)
	i := n.Event.Incident
	for _, name := range []string{"sample", "other", "third"} {
		i.Members = append(i.Members, alert.Member{Target: name, Incident: i.ID, State: i.State, Verdict: i.Verdict, Bounds: i.Bounds})
	}
	return n
}

// bareSample was broken from the first look on, and nothing was learned.
func bareSample() alert.Notification {
	n := plainSample(config.Opened)
	n.Event.Lanes = nil
	n.Event.Verdict = &probe.Verdict{State: probe.Down, Layer: probe.LayerNone, Cause: probe.CauseUnknown, Confidence: probe.UnknownConfidence}
	n.Event.Incident = &alert.Incident{ID: "20261122T140307Z-sample-0000", Target: "sample", State: alert.Open, Bounds: alert.Bounds{StartsBefore: n.Event.Time}}
	return n
}

func largeSample() alert.Notification {
	const nasty = "a \"quoted\" text,\nwith a \\ backslash, <b>markup</b> & more 日本語"
	n := memberSample(config.Updated)
	i, v := n.Event.Incident, n.Event.Verdict
	i.Target, n.Event.Target = nasty, nasty
	for k := range 20 {
		v.Evidence = append(v.Evidence, fmt.Sprint(k, nasty))
		v.WouldDecide = append(v.WouldDecide, nasty)
		v.Cleared = append(v.Cleared, probe.Cleared{Layer: probe.LayerDNS, Reason: nasty})
		v.Suspects = append(v.Suspects, probe.Suspect{Layer: probe.LayerHost, Cause: probe.CauseHostDown})
		i.Members = append(i.Members, alert.Member{Target: nasty, Incident: i.ID, State: i.State, Verdict: *v, Bounds: i.Bounds})
		i.Fingerprints = append(i.Fingerprints, alert.Fingerprint{Local: fmt.Sprintf("192.0.2.1:%d", 50001+k), Remote: "[2001:db8::1]:443",
			RequestID: strings.Repeat("f", 32)})
		n.Event.Lanes = append(n.Event.Lanes, probe.Lane{Lane: probe.LaneVia, Hop: nasty, Address: "192.0.2.3:443", Stages: n.Event.Lanes[0].Stages})
	}
	v.Confidence = probe.Ambiguous
	return n
}
