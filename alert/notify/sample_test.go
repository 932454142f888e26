package notify

import (
	"io"
	"log/slog"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func berlin() *time.Location {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return loc
}

var began = time.Date(2026, 11, 22, 14, 3, 4, 120_000_000, time.UTC)

func at(d time.Duration) *time.Time {
	t := began.Add(d)
	return &t
}

// sample is a frozen proxy of 87 seconds, told at one of its transitions.
func sample(t config.Transition) alert.Notification {
	i := &alert.Incident{
		ID: "20261122T140304Z-orders-3f9a", Target: "orders", State: alert.State(t),
		Bounds:   alert.Bounds{StartsAfter: at(0), StartsBefore: *at(1200 * time.Millisecond)},
		StartsAt: *at(1200 * time.Millisecond), Rounds: 5, FailedRounds: 5,
		Fingerprints: []alert.Fingerprint{
			{At: *at(time.Second), Lane: probe.LaneFront, Local: "10.0.9.4:51234", Remote: "10.0.0.10:443", RequestID: "0f3a91"},
			{At: *at(6 * time.Second), Lane: probe.LaneFront, Local: "10.0.9.4:51236", Remote: "10.0.0.10:443", RequestID: "0f3a92"},
			{At: *at(6 * time.Second), Lane: probe.LaneVia, Hop: "stunnel-1", Local: "[2001:db8::9]:51240", Remote: "[2001:db8::11]:443"},
		},
	}
	v := &probe.Verdict{
		State: probe.Down, Layer: probe.LayerProxy, Cause: probe.CauseFrozen, Confidence: probe.Likely, Rule: "tls-silent-acked",
		Suspects: []probe.Suspect{{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}, {Layer: probe.LayerNetwork, Cause: probe.CauseReturnDropped}},
		Evidence: []string{"front/tls: the peer's kernel acknowledged our ClientHello (517 bytes), no reply in 3 s", "backend: HTTP 200 in 4 ms"},
		Cleared:  []probe.Cleared{{Layer: probe.LayerBackend, Reason: "answers when asked directly"}},
	}
	now := *at(24 * time.Second)
	lanes := brokenLanes()
	switch t {
	case config.Opened, config.Updated:
		i.State, i.OpenedAt = alert.Open, at(24*time.Second)
		if t == config.Updated {
			change(i, v)
		}
	case config.Resolved:
		now = *at(150 * time.Second)
		i.State, i.OpenedAt, i.ResolvedAt = alert.Resolved, at(24*time.Second), &now
		i.EndsAfter, i.EndsBefore = at(87*time.Second), at(87*time.Second+480*time.Millisecond)
		i.EndsAt = i.EndsBefore
		lanes = healthyLanes()
	case config.Dismissed:
		lanes = healthyLanes()
	}
	i.Verdict = *v
	return alert.Notification{Transition: t, Event: alert.Event{Event: alert.Kind(t), Time: now, Target: "orders", Verdict: v, Lanes: lanes, Incident: i}}
}

// drill is a made-up incident.
func drill(t config.Transition) alert.Notification {
	n := sample(t)
	n.Drill, n.Event.Event = true, alert.EventDrill
	return n
}

// reminder tells the incident again after four hours.
func reminder() alert.Notification {
	n := sample(config.Opened)
	n.Reminder, n.Transition, n.Event.Event, n.Event.Time = true, config.Updated, alert.EventUpdated, *at(4*time.Hour + 2*time.Second)
	return n
}

// whole tells an incident that nothing was told of while it lasted.
func whole() alert.Notification {
	n := sample(config.Resolved)
	n.Whole = true
	return n
}

// degraded is told although the state cannot be written.
func degraded() alert.Notification {
	n := sample(config.Opened)
	n.Degraded = true
	return n
}

// boundless was broken when the prober began to look.
func boundless() alert.Notification {
	n := sample(config.Opened)
	n.Event.Incident.StartsAfter = nil
	return n
}

// together is four targets behind one proxy.
func together(t config.Transition) alert.Notification {
	n := sample(t)
	i := n.Event.Incident
	for k, name := range []string{"orders", "invoices", "stock", "billing"} {
		m := alert.Member{Target: name, Incident: "20261122T140304Z-" + name + "-3f9a", State: i.State, Verdict: i.Verdict, Bounds: i.Bounds}
		m.StartsBefore = m.StartsBefore.Add(time.Duration(k) * time.Second)
		i.Members = append(i.Members, m)
	}
	return n
}

// change lets three rounds have seen what leaves two suspects.
func change(i *alert.Incident, v *probe.Verdict) {
	was := *v
	v.Layer, v.Cause, v.Confidence, v.Rule = probe.LayerNetwork, probe.CausePortDropped, probe.Ambiguous, "connect-silent-host-up"
	v.Suspects = []probe.Suspect{{Layer: probe.LayerNetwork, Cause: probe.CausePortDropped}, {Layer: probe.LayerProxy, Cause: probe.CauseQueueFull}}
	v.WouldDecide = []string{"an agent on the proxy's host: is its accept queue full?", "a held-open connection: is its data acknowledged?"}
	i.Timeline = []alert.Change{{At: *at(time.Second), Verdict: was}, {At: *at(24 * time.Second), Verdict: *v, Reason: "three rounds in a row saw it"}}
}

func stage(name probe.StageName, d time.Duration, t probe.Type) probe.Stage {
	s := probe.Stage{Stage: name, Outcome: probe.OK, Started: began, Duration: probe.Seconds(d)}
	if t != "" {
		s.Outcome, s.Type, s.Code = probe.Failed, t, t.Code()
	}
	return s
}

func brokenLanes() []probe.Lane {
	return []probe.Lane{
		{Lane: probe.LaneFront, Address: "10.0.0.10:443", Local: "10.0.9.4:51236", Stages: []probe.Stage{
			stage(probe.StageConnect, 400*time.Microsecond, ""), stage(probe.StageTLS, 3*time.Second, probe.TLSTimedOut)}},
		{Lane: probe.LaneVia, Hop: "stunnel-1", Address: "[2001:db8::11]:443", Stages: []probe.Stage{
			stage(probe.StageConnect, 500*time.Microsecond, ""), stage(probe.StageTLS, 3*time.Second, probe.TLSTimedOut)}},
		{Lane: probe.LaneBackend, Hop: "app-1", Address: "10.0.2.21:8080", Stages: []probe.Stage{
			stage(probe.StageConnect, 300*time.Microsecond, ""), stage(probe.StageRequest, 3600*time.Microsecond, "")}},
		{Lane: probe.LaneVantage, Hop: "default gateway", Address: "10.0.9.1:9", Stages: []probe.Stage{
			stage(probe.StageConnect, 700*time.Microsecond, probe.TCPRefused)}},
		{Lane: probe.LaneHeldOpen, Address: "10.0.0.10:443", HeldOpen: &probe.HeldOpenFacts{LastGoodSent: began,
			LastGoodAnswered: began, Pending: began.Add(time.Second), Missed: began.Add(1200 * time.Millisecond)}},
	}
}

func healthyLanes() []probe.Lane {
	return []probe.Lane{
		{Lane: probe.LaneFront, Address: "10.0.0.10:443", Stages: []probe.Stage{
			stage(probe.StageConnect, 400*time.Microsecond, ""), stage(probe.StageTLS, 3*time.Millisecond, ""),
			stage(probe.StageRequest, 5*time.Millisecond, "")}},
		{Lane: probe.LaneHeldOpen, Address: "10.0.0.10:443", HeldOpen: &probe.HeldOpenFacts{LastGoodSent: began, LastGoodAnswered: began}},
	}
}
