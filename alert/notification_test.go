package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

func TestHeadlines(t *testing.T) {
	two := down(probe.LayerNetwork, probe.CausePortDropped, probe.Ambiguous)
	two.Suspects = append(two.Suspects, probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseQueueFull})
	frozen := down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
	end, begin := epoch.Add(90*time.Second), epoch
	for _, c := range []struct {
		transition config.Transition
		incident   Incident
		v          probe.Verdict
		want       string
	}{
		{config.Suspect, Incident{}, frozen, "orders may be down: proxy, frozen (likely)"},
		{config.Opened, Incident{}, frozen, "orders is down: proxy, frozen (likely)"},
		{config.Opened, Incident{Reopened: 1}, frozen, "orders is down again: proxy, frozen (likely)"},
		{config.Opened, Incident{}, two, "orders is down: network (port dropped) or proxy (accept queue full), ambiguous"},
		{config.Updated, Incident{}, probe.Verdict{State: probe.Down}, "orders is down: which layer broke is not known"},
		{config.Updated, Incident{Timeline: []Change{{Verdict: two}, {Verdict: frozen, Reason: "surer"}}}, frozen,
			"orders is down: now proxy, frozen (likely); was network (port dropped) or proxy (accept queue full), ambiguous"},
		{config.Updated, Incident{Timeline: []Change{{Verdict: frozen}, {Verdict: frozen, Reason: "surer"}}}, frozen, "orders is down: proxy, frozen (likely)"},
		{config.Opened, Incident{Timeline: []Change{{Verdict: two}, {Verdict: frozen}}}, frozen, "orders is down: proxy, frozen (likely)"},
		{config.Resolved, Incident{Bounds: Bounds{StartsAfter: &begin, StartsBefore: epoch.Add(5 * time.Second), EndsAfter: &end, EndsBefore: &end}}, frozen,
			"orders is up again after 1m25s to 1m30s: proxy, frozen (likely)"},
		{config.Dismissed, Incident{}, frozen, "orders is up: the suspicion was not confirmed"},
		{config.Dismissed, Incident{Reason: "its configuration has changed"}, frozen, "orders: the incident ends here: its configuration has changed"},
	} {
		c.incident.Target = "orders"
		n := Notification{Transition: c.transition, Event: Event{Time: epoch, Target: "orders", Verdict: &c.v, Incident: &c.incident}}
		if got := n.Headline(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestHeadlinesOfOtherSorts are those of messages that tell more than one target's plain transition.
func TestHeadlinesOfOtherSorts(t *testing.T) {
	frozen := down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
	port := down(probe.LayerNetwork, probe.CausePortDropped, probe.Likely)
	after, end := epoch.Add(-time.Minute), epoch.Add(200*time.Second)
	over := Bounds{StartsAfter: &after, StartsBefore: epoch, EndsAfter: &end, EndsBefore: &end}
	two := []Member{{Target: "orders"}, {Target: "stock"}}
	four := append(two, Member{Target: "mail"}, Member{Target: "shop"})
	refuses := probe.Verdict{State: probe.Degraded, Layer: probe.LayerProber, Cause: probe.CauseReceiverRefuses, Confidence: probe.Confirmed,
		Evidence: []string{"ops: invalid_auth"}}
	for _, c := range []struct {
		name     string
		n        Notification
		i        Incident
		v        probe.Verdict
		at       time.Duration
		headline string
		word     string
		sentence string // a part of it
	}{
		{"reminder", Notification{Transition: config.Updated, Reminder: true}, Incident{Bounds: Bounds{StartsBefore: epoch},
			Timeline: []Change{{Verdict: port}, {Verdict: frozen}}}, frozen, 4*time.Hour + 59*time.Second,
			"orders is still down after 4h0m: proxy, frozen (likely)", "DOWN", "orders is down: "},
		{"early reminder", Notification{Transition: config.Updated, Reminder: true}, Incident{Bounds: Bounds{StartsBefore: epoch}}, frozen, 59 * time.Second,
			"orders is still down after 59s: proxy, frozen (likely)", "DOWN", ""},
		{"reminder of several", Notification{Transition: config.Updated, Reminder: true}, Incident{Bounds: Bounds{StartsBefore: epoch}, Members: two}, frozen, time.Hour,
			"orders and stock are still down after 1h0m: proxy, frozen (likely)", "DOWN", "orders and stock are down together: "},
		{"whole", Notification{Transition: config.Resolved, Whole: true}, Incident{State: Resolved, Bounds: over}, frozen, time.Hour,
			"orders was down for 3m20s to 4m20s, over before this could be told: proxy, frozen (likely)", "RESOLVED", "What was seen then: "},
		{"whole of several", Notification{Transition: config.Resolved, Whole: true}, Incident{State: Resolved, Bounds: over, Members: four}, frozen, time.Hour,
			"orders and 3 others were down for 3m20s to 4m20s, over before this could be told: proxy, frozen (likely)", "RESOLVED", ""},
		{"drill", Notification{Transition: config.Opened, Drill: true}, Incident{}, frozen, 0,
			"DRILL: orders is down: proxy, frozen (likely)", "DRILL", "nobody has to do anything.\norders is down"},
		{"end of a drill", Notification{Transition: config.Resolved, Drill: true}, Incident{State: Resolved, Bounds: over}, frozen, time.Hour,
			"DRILL: orders is up again after 3m20s to 4m20s: proxy, frozen (likely)", "DRILL", "nobody has to do anything."},
		{"several", Notification{Transition: config.Opened}, Incident{Members: four}, frozen, 0,
			"orders and 3 others are down: proxy, frozen (likely)", "DOWN", "orders and 3 others are down together: "},
		{"several again", Notification{Transition: config.Opened}, Incident{Members: two, Reopened: 1}, frozen, 0,
			"orders and stock are down again: proxy, frozen (likely)", "DOWN", ""},
		{"one of several left", Notification{Transition: config.Opened}, Incident{Members: two[:1]}, frozen, 0,
			"orders is down: proxy, frozen (likely)", "DOWN", "orders is down: "},
		{"several are suspicious", Notification{Transition: config.Suspect}, Incident{Members: four}, frozen, 0,
			"orders and 3 others may be down: proxy, frozen (likely)", "SUSPECT", "Seen so far: "},
		{"several are dismissed", Notification{Transition: config.Dismissed}, Incident{Members: four}, frozen, 0,
			"orders and 3 others are up: the suspicion was not confirmed", "DISMISSED", ""},
		{"several have changed", Notification{Transition: config.Updated}, Incident{Members: two, Timeline: []Change{{Verdict: port}, {Verdict: frozen}}}, frozen, 0,
			"orders and stock are down: now proxy, frozen (likely); was network, port dropped (likely)", "DOWN", ""},
		{"degraded", Notification{Transition: config.Opened, Degraded: true}, Incident{}, frozen, 0,
			"orders is down: proxy, frozen (likely)", "DOWN", ".\ndurability: degraded: this message would not have survived a crash"},
		{"a trouble of its own", Notification{Transition: config.Opened}, Incident{Target: SelfTarget}, refuses, 0,
			"whichlayer itself is degraded: " + clause(probe.LayerProber, probe.CauseReceiverRefuses), "DEGRADED", "ops: invalid_auth"},
		{"the end of that", Notification{Transition: config.Resolved}, Incident{Target: SelfTarget, State: Resolved, Bounds: Bounds{StartsBefore: epoch, EndsAfter: &epoch, EndsBefore: &end}}, refuses, time.Hour,
			"whichlayer itself is well again after about 3m20s: " + clause(probe.LayerProber, probe.CauseReceiverRefuses), "RESOLVED", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.i.Target == "" {
				c.i.Target = "orders"
			}
			c.n.Event = Event{Time: epoch.Add(c.at), Target: c.i.Target, Verdict: &c.v, Incident: &c.i}
			if got := c.n.Headline(); got != c.headline {
				t.Errorf("got  %s\nwant %s", got, c.headline)
			}
			if c.n.Word() != c.word || !strings.Contains(c.n.Sentence(), c.sentence) {
				t.Errorf("word %s, sentence %q", c.n.Word(), c.n.Sentence())
			}
			title := c.word + ": " + c.headline
			if c.n.Drill {
				title = c.headline
			}
			if c.n.Title() != title || c.n.Drill && c.n.Advises() || c.n.Reminder && c.n.Why() != "" {
				t.Errorf("title %q, advises %v, why %q", c.n.Title(), c.n.Advises(), c.n.Why())
			}
		})
	}
}

func TestTimesOfItsOwnTroubles(t *testing.T) {
	end := epoch.Add(time.Minute)
	n := Notification{Transition: config.Resolved, Event: Event{Time: end, Verdict: &probe.Verdict{}, Incident: &Incident{Target: SelfTarget, State: Resolved,
		Bounds: Bounds{StartsBefore: epoch, EndsAfter: &epoch, EndsBefore: &end}}}}
	if got, want := n.Began(time.UTC), "at "+instant(epoch, time.UTC); got != want {
		t.Errorf("began %s, want %s", got, want)
	}
	if got, want := n.Ended(time.UTC), "at "+instant(end, time.UTC); got != want {
		t.Errorf("ended %s, want %s", got, want)
	}
	if got := n.Lasted(); got != "about 1m0s" {
		t.Errorf("lasted %s", got)
	}
}

func TestAdvice(t *testing.T) {
	two := down(probe.LayerNetwork, probe.CausePortDropped, probe.Ambiguous)
	two.Suspects = append(two.Suspects, probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseQueueFull})
	frozen := down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
	i := &Incident{Timeline: []Change{{Verdict: two}, {Verdict: frozen, Reason: "surer: likely instead of ambiguous"}}}
	for _, c := range []struct {
		transition config.Transition
		advises    bool
		why        string
	}{
		{config.Suspect, false, ""}, {config.Opened, true, ""}, {config.Resolved, false, ""}, {config.Dismissed, false, ""},
		{config.Updated, true, "surer: likely instead of ambiguous"},
	} {
		n := Notification{Transition: c.transition, Event: Event{Verdict: &frozen, Incident: i}}
		if n.Advises() != c.advises || n.Why() != c.why {
			t.Errorf("%s: advises %v, why %q", c.transition, n.Advises(), n.Why())
		}
	}
	if got, want := Supposing(two), "if it is the network (port dropped)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Supposing(frozen); got != "" {
		t.Errorf("one suspect is the best, and still %q", got)
	}
	if VerdictWords(frozen) != proxyWords[probe.CauseFrozen] || VerdictWords(probe.Verdict{}) != noneWords[probe.CauseUnknown] {
		t.Error("the words are of another suspect")
	}
}

func TestTimesAreRoundedOutwards(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	a := time.Date(2026, 11, 22, 14, 3, 4, 120_999_999, time.UTC)
	n := Notification{Transition: config.Opened, Event: Event{Time: a, Incident: &Incident{Bounds: Bounds{StartsAfter: &a, StartsBefore: a.Add(1500*time.Millisecond + 1)}}}}
	for _, c := range []struct {
		loc  *time.Location
		want string
	}{
		{time.UTC, "2026-11-22 14:03:04.120 to 14:03:05.621 UTC"},
		{berlin, "2026-11-22 14:03:04.120 to 14:03:05.621 UTC (15:03:04.120 to 15:03:05.621 CET)"},
	} {
		if got := n.Began(c.loc); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	// The night in which summer time ends: one hour stands there twice, told apart by the zone's name.
	b := time.Date(2026, 10, 25, 0, 59, 59, 0, time.UTC)
	if got, want := interval(b, b.Add(2*time.Second), berlin), "2026-10-25 00:59:59.000 to 01:00:01.000 UTC (02:59:59.000 CEST to 02:00:01.000 CET)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// Around midnight, in one zone or the other, each date is said.
	d := time.Date(2026, 11, 22, 22, 59, 59, 0, time.UTC)
	if got, want := interval(d, d.Add(2*time.Second), berlin), "2026-11-22 22:59:59.000 to 23:00:01.000 UTC (2026-11-22 23:59:59.000 to 2026-11-23 00:00:01.000 CET)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	d = d.Add(time.Hour)
	if got, want := interval(d, d.Add(2*time.Second), berlin), "2026-11-22 23:59:59.000 to 2026-11-23 00:00:01.000 UTC (2026-11-23 00:59:59.000 to 01:00:01.000 CET)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	n.Event.Incident.StartsAfter = nil
	if got := n.Began(time.UTC); got != "before 2026-11-22 14:03:05.621 UTC (it was broken when this prober began to look)" {
		t.Error(got)
	}
}

func TestFilters(t *testing.T) {
	i := &Incident{}
	for port := range 40 {
		i.Fingerprints = append(i.Fingerprints, Fingerprint{Local: fmt.Sprintf("10.0.9.4:%d", 50000+port), Remote: "10.0.0.10:443"})
	}
	i.Fingerprints = append(i.Fingerprints, Fingerprint{Local: "[fe80::1%eth0]:5", Remote: "[fe80::2%eth0]:443"},
		Fingerprint{Local: "[::ffff:10.0.9.4]:6", Remote: "[::ffff:10.0.0.11]:443"}, Fingerprint{Local: "rubbish; reboot", Remote: "$(reboot)"}, Fingerprint{})
	n := Notification{Transition: config.Opened, Event: Event{Incident: i, Lanes: []probe.Lane{{Lane: probe.LaneFront, Address: "10.0.0.10:443"},
		{Lane: probe.LaneControl, Address: "10.0.0.10:22"}, {Lane: probe.LaneBackend, Address: "10.0.2.21:8080"}, {Lane: probe.LaneVia, Address: "name:443"}}}}
	f := n.CaptureFilter()
	for _, want := range []string{"(host 10.0.9.4 and host 10.0.0.10 and tcp port 443 and (port 50000 or port 50001 or ", "port 50039))",
		"(host fe80::1 and host fe80::2 and tcp port 443 and (port 5))", "host 10.0.0.11 and tcp port 443 and (port 6)"} {
		if !strings.Contains(f, want) {
			t.Errorf("%q is not in %s", want, f)
		}
	}
	if strings.Count(f, "port 500") != maxFilterPorts || strings.Contains(f, "reboot") {
		t.Errorf("filter %s", f)
	}
	if d := n.DisplayFilter(); !strings.Contains(d, "(ipv6.addr == fe80::1 && ipv6.addr == fe80::2 && tcp.port == 443 && tcp.port in {5})") {
		t.Errorf("display filter %s", d)
	}
	want := "(host 10.0.0.10 and tcp port 443) or (host 10.0.2.21 and tcp port 8080) or (host fe80::2 and tcp port 443) or (host 10.0.0.11 and tcp port 443)"
	if got := n.ServiceFilter(); got != want {
		t.Errorf("service filter\ngot  %s\nwant %s", got, want)
	}
}

// TestFingerprints notes what failed, each attempt once: not a witness that refuses, not the held-open connection for
// each round in which it is silent.
func TestFingerprints(t *testing.T) {
	lane := func(kind probe.LaneKind, local string, failed probe.Type) probe.Lane {
		return probe.Lane{Lane: kind, Local: local, Address: "10.0.0.10:443", Stages: []probe.Stage{
			{Stage: probe.StageConnect, Outcome: probe.Failed, Type: failed, Started: epoch}}}
	}
	i := &Incident{}
	for round := range 2 {
		i.fingerprint(&probe.Result{Lanes: []probe.Lane{
			lane(probe.LaneFront, fmt.Sprintf("10.0.9.4:%d", 50000+round), probe.TCPRefused),
			lane(probe.LaneVantage, "10.0.9.4:40000", probe.TCPRefused),
			lane(probe.LaneVantage, "10.0.9.4:40001", probe.TCPTimedOut),
			lane(probe.LaneHeldOpen, "10.0.9.4:30000", probe.HTTPTimedOut),
		}})
	}
	var got []string
	for _, f := range i.Fingerprints {
		got = append(got, f.Local)
	}
	want := []string{"10.0.9.4:50000", "10.0.9.4:40001", "10.0.9.4:30000", "10.0.9.4:50001"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	n := Notification{Transition: config.Opened, Event: Event{Incident: &Incident{Fingerprints: []Fingerprint{{Local: "127.0.0.1:5", Remote: "127.0.0.1:443"}}}}}
	if got, want := n.CaptureFilter(), "(host 127.0.0.1 and tcp port 443 and (port 5))"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := n.DisplayFilter(), "(ip.addr == 127.0.0.1 && tcp.port == 443 && tcp.port in {5})"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLogRange(t *testing.T) {
	w := epoch.Add(time.Minute)
	n := Notification{Transition: config.Opened, Event: Event{Time: w, Incident: &Incident{Bounds: Bounds{StartsAfter: &epoch, StartsBefore: epoch.Add(time.Second)}}}}
	from, to := n.LogRange()
	if !from.Equal(epoch.Add(-time.Second)) || !to.Equal(w.Add(time.Second)) {
		t.Errorf("%v to %v", from, to)
	}
	for _, c := range []struct {
		zone *time.Location
		want string
	}{{time.UTC, " UTC"}, {time.FixedZone("IST", 5*3600+1800), " IST)"}} {
		got := n.LogTimes(c.zone)
		if !strings.HasSuffix(got, c.want) || strings.Contains(got, ".") {
			t.Errorf("log times %s", got)
		}
	}
}

// TestSentences reads every layer with every cause as people will.
func TestSentences(t *testing.T) {
	for _, c := range []struct {
		v    probe.Verdict
		want string
	}{
		{probe.Verdict{State: probe.Up}, "orders is up."},
		{down(probe.LayerProxy, probe.CauseFrozen, probe.Confirmed), "orders is down: the proxy is frozen: its kernel accepts connections, its process does not answer."},
		{down(probe.LayerHost, probe.CauseHostDown, probe.Likely), "orders is down: the host is down or unreachable (likely)."},
		{down(probe.LayerHost, "brand_new", probe.Likely), "orders is down: the host is at fault (brand new) (likely)."},
		{down(probe.LayerNone, probe.CauseUnknown, probe.UnknownConfidence), "orders is down: which layer broke is not known."},
		{probe.Verdict{State: probe.Unknown, Layer: probe.LayerProber, Cause: probe.CauseOutOfFiles}, "orders was not looked at: this prober has run out of file descriptors."},
		{probe.Verdict{}, "orders was not looked at: this prober could not tell."},
	} {
		if got := Sentence(c.v, "orders"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	for _, l := range probe.Layers {
		got := clause(l, probe.CauseUnknown)
		if strings.Contains(got, "_") || strings.Contains(got, "  ") {
			t.Errorf("%s: %q", l, got)
		}
	}
}
