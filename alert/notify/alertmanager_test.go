package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

func TestAlertmanagerConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(t *testing.T) far { return newFakeAlertmanager(t) })
}

// amNet is a network with Alertmanagers in it, for bubbles in which time is made.
type amNet struct {
	mu    sync.Mutex
	dead  map[string]bool // hosts that never answer
	slow  time.Duration
	posts map[string][]amPost
}

type amPost struct {
	at     time.Time
	alerts []post
}

func (n *amNet) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	dead, slow := n.dead[r.URL.Host], n.slow
	n.mu.Unlock()
	time.Sleep(slow)
	if dead {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	p := amPost{at: time.Now()}
	if err := json.NewDecoder(r.Body).Decode(&p.alerts); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.posts[r.URL.Host] = append(n.posts[r.URL.Host], p)
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

func (n *amNet) kill(host string, dead bool) { n.mu.Lock(); defer n.mu.Unlock(); n.dead[host] = dead }

func (n *amNet) delay(d time.Duration) { n.mu.Lock(); defer n.mu.Unlock(); n.slow = d }

// take are the posts to a host since the last call.
func (n *amNet) take(host string) []amPost {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.posts[host]
	n.posts[host] = nil
	return p
}

// amBubble runs a test in made time, in which it is now the time of the samples; a and b are the instances.
func amBubble(t *testing.T, test func(t *testing.T, n *amNet, begin func(Setting) (a *Alertmanager, end func()))) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(*at(24 * time.Second)))
		n := &amNet{dead: map[string]bool{}, posts: map[string][]amPost{}}
		test(t, n, func(s Setting) (*Alertmanager, func()) {
			a := newTestAlertmanager(t, s, "http://a:9093", "http://b:9093")
			for _, i := range a.instances {
				i.http.client.Transport = n
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- a.Run(ctx) }()
			synctest.Wait() // it has told all that it had from before
			return a, func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	})
}

// ends are when the alerts of some posts end, after each post; 0 for one that is over.
func ends(posts []amPost) (out []time.Duration) {
	for _, p := range posts {
		for _, a := range p.alerts {
			out = append(out, max(0, a.EndsAt.Sub(p.at)))
		}
	}
	return out
}

func TestAlertmanagerRepeats(t *testing.T) {
	amBubble(t, func(t *testing.T, n *amNet, begin func(Setting) (*Alertmanager, func())) {
		memory := newRAM()
		a, end := begin(Setting{Memory: memory})
		if err := a.Notify(t.Context(), sample(config.Opened)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*time.Minute + time.Second)
		for _, host := range []string{"a:9093", "b:9093"} {
			if diff := cmp.Diff([]time.Duration{amEnds, amEnds, amEnds, amEnds}, ends(n.take(host))); diff != "" {
				t.Errorf("%s, while it is open: %s", host, diff)
			}
		}
		end() // the process dies, and another one goes on
		time.Sleep(time.Minute)
		a, end = begin(Setting{Memory: memory})
		defer func() { end() }()
		time.Sleep(time.Second)
		if diff := cmp.Diff([]time.Duration{amEnds}, ends(n.take("a:9093"))); diff != "" {
			t.Errorf("after a restart: %s", diff)
		}
		resolved := sample(config.Resolved)
		if err := a.Notify(t.Context(), resolved); err != nil {
			t.Fatal(err)
		}
		last := n.take("a:9093")
		if len(last) != 1 || !last[0].alerts[0].EndsAt.Equal(*resolved.Event.Incident.EndsAt) || !last[0].alerts[0].StartsAt.Equal(resolved.Event.Incident.StartsAt) {
			t.Errorf("the end: %+v", last)
		}
		time.Sleep(time.Hour)
		if got := len(n.take("a:9093")); got != 15 {
			t.Errorf("the end was repeated %d times, want for 15 min", got)
		}
		if left := memory.All(); len(left) != 0 {
			t.Errorf("still remembered: %v", left)
		}
	})
}

// TestAlertmanagerShowsWhatIsOver: what ends before anybody saw it fire would be told to nobody. There are two, since the
// end of the second must not be forgotten while the first one's is told.
func TestAlertmanagerShowsWhatIsOver(t *testing.T) {
	amBubble(t, func(t *testing.T, n *amNet, begin func(Setting) (*Alertmanager, func())) {
		a, end := begin(Setting{Memory: newRAM()})
		defer end()
		time.Sleep(10*time.Minute + 13*time.Second)
		n.delay(time.Millisecond)
		for _, id := range []string{"1", "2"} {
			m := whole()
			m.Event.Incident.ID = id
			if err := a.Notify(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(amShown + 10*time.Millisecond)
		last := map[string]time.Duration{}
		for k, p := range n.take("a:9093") {
			for _, x := range p.alerts {
				if last[x.Labels["incident"]] = x.EndsAt.Sub(p.at); k == 0 && x.EndsAt.Before(p.at) {
					t.Error("was over when it was first told")
				}
			}
		}
		if last["1"] > 0 || last["2"] > 0 || len(last) != 2 {
			t.Errorf("end at last after %v", last)
		}
	})
}

func TestAlertmanagerWithADeadInstance(t *testing.T) {
	amBubble(t, func(t *testing.T, n *amNet, begin func(Setting) (*Alertmanager, func())) {
		a, end := begin(Setting{Memory: newRAM()})
		defer end()
		n.kill("b:9093", true)
		start := time.Now()
		for k := range 1000 {
			m := sample(config.Opened)
			m.Event.Incident.ID += fmt.Sprint(k)
			if err := a.Notify(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("1000 alerts took %v beside a dead instance", took)
		}
		if got := len(ends(n.take("a:9093"))); got < 1000 {
			t.Errorf("the living one has %d", got)
		}
		time.Sleep(time.Minute)
		n.take("a:9093")
		time.Sleep(3 * time.Minute)
		for k, p := range n.take("a:9093") {
			if late := time.Until(p.at) + 3*time.Minute; k == 0 && late > amRepeat+2*time.Second {
				t.Errorf("the living one waited %v", late)
			}
		}
		n.kill("b:9093", false)
		time.Sleep(amRepeat + 2*time.Second)
		if got := len(ends(n.take("b:9093"))); got < 1000 {
			t.Errorf("the one that came back has %d", got)
		}
	})
}

func TestAlertmanagerDrillSuspectWatchdog(t *testing.T) {
	amBubble(t, func(t *testing.T, n *amNet, begin func(Setting) (*Alertmanager, func())) {
		a, end := begin(Setting{Memory: newRAM(), Watchdog: true})
		defer end()
		made := drill(config.Opened)
		made.Event.Incident.ID = "drill"
		for _, m := range []alert.Notification{made, sample(config.Suspect)} {
			if err := a.Notify(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10*time.Minute + time.Second)
		last := map[string]post{}
		at := map[string]time.Time{}
		for _, p := range n.take("b:9093") {
			for _, x := range p.alerts {
				last[x.Labels["alertname"]], at[x.Labels["alertname"]] = x, p.at
			}
		}
		if x := last[alertWatchdog]; x.Labels["severity"] != "none" || x.Labels["team"] != "web" || time.Since(at[alertWatchdog]) > amRepeat || time.Until(x.EndsAt) < amEnds-2*amRepeat {
			t.Errorf("the watchdog: %+v at %v", x, at[alertWatchdog])
		}
		if x := last[alertDrill]; x.Labels["severity"] != "none" || time.Since(at[alertDrill]) < 5*time.Minute || time.Since(x.EndsAt) < 5*time.Minute {
			t.Errorf("the drill: %+v at %v", x, at[alertDrill])
		}
		if x := last[alertIncident]; x.Labels["severity"] != "page" || time.Since(x.EndsAt) < 5*time.Minute {
			t.Errorf("the suspicion: %+v", x)
		}
		if len(a.alerts.held) != 0 {
			t.Errorf("still held: %v", a.alerts.held)
		}
	})
}

// TestAlertmanagerEndsASuspicionAtOnce: what came to nothing is not kept firing to be seen.
func TestAlertmanagerEndsASuspicionAtOnce(t *testing.T) {
	amBubble(t, func(t *testing.T, n *amNet, begin func(Setting) (*Alertmanager, func())) {
		a, end := begin(Setting{Memory: newRAM()})
		defer end()
		for _, tr := range []config.Transition{config.Suspect, config.Dismissed} {
			if err := a.Notify(t.Context(), sample(tr)); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]time.Duration{amEnds, 0}, ends(n.take("a:9093"))); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAlertIdentity: labels stay, whatever is found out; annotations say it.
func TestAlertIdentity(t *testing.T) {
	f := newFakeAlertmanager(t)
	a := newTestAlertmanager(t, Setting{Memory: newRAM(), ExternalURL: "https://prober.example.com/"}, f.server.URL+"/prefix")
	for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved} {
		n := sample(tr)
		if err := a.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		var posts []post
		if err := json.Unmarshal([]byte(f.bodies[len(f.bodies)-1]), &posts); err != nil {
			t.Fatal(err)
		}
		p := posts[0]
		want := map[string]string{"alertname": "WhichlayerIncident", "target": "orders", "incident": "20261122T140304Z-orders-3f9a", "team": "web", "severity": "page"}
		if diff := cmp.Diff(want, p.Labels); diff != "" {
			t.Errorf("%s: %s", tr, diff)
		}
		for name, want := range map[string]string{"layer": string(n.Event.Verdict.Layer), "confidence": string(n.Event.Verdict.Confidence),
			"summary": n.Headline(), "starts_after": "2026-11-22T14:03:04.12Z", "incident": n.Event.Incident.ID} {
			if p.Annotations[name] != want {
				t.Errorf("%s: %s is %q, want %q", tr, name, p.Annotations[name], want)
			}
		}
		if !p.StartsAt.Equal(n.Event.Incident.StartsAt) || p.GeneratorURL != "https://prober.example.com/incidents/20261122T140304Z-orders-3f9a" {
			t.Errorf("%s: from %v, %s", tr, p.StartsAt, p.GeneratorURL)
		}
	}
}

func TestNoneTook(t *testing.T) {
	plain, final := errors.New("plain"), permanent("final")
	wait := func(d time.Duration) error { return &alert.RetryAfterError{After: d, Err: plain} }
	for name, c := range map[string]struct {
		errs  []error
		final bool
		after time.Duration
	}{
		"all final":             {[]error{final, final}, true, 0},
		"one may pass":          {[]error{final, plain}, false, 0},
		"the shortest pause":    {[]error{wait(time.Minute), final, wait(time.Second)}, false, time.Second},
		"one asks for no pause": {[]error{wait(time.Minute), plain}, false, 0},
	} {
		for range 2 {
			err := noneTook("none", c.errs)
			var pause *alert.RetryAfterError
			if isPermanent(err) != c.final || errors.As(err, &pause) != (c.after > 0) || c.after > 0 && pause.After != c.after {
				t.Errorf("%s: %v", name, err)
			}
			slices.Reverse(c.errs)
		}
	}
}

func TestAlertmanagerCheck(t *testing.T) {
	f := newFakeAlertmanager(t)
	a := newTestAlertmanager(t, Setting{Memory: newRAM()}, "http://127.0.0.1:1", f.server.URL+"/prefix")
	if err := a.Check(t.Context()); err != nil || f.taken(t) != 0 {
		t.Errorf("%v, and it was told %d alerts", err, f.taken(t))
	}
	a = newTestAlertmanager(t, Setting{Memory: newRAM()}, f.server.URL+"/prefix")
	f.refuse(t)
	if err := a.Check(t.Context()); !isPermanent(err) {
		t.Errorf("refused: %v", err)
	}
	f.server.Close()
	if err := a.Check(t.Context()); err == nil || isPermanent(err) {
		t.Errorf("gone: %v", err)
	}
}

func TestAlertmanagerMustHearOfTheEnd(t *testing.T) {
	r := amReceiver(t, "http://127.0.0.1:9093")
	r.On = []config.Transition{config.Opened}
	if _, err := New(r, Setting{Log: discard()}); err == nil || !strings.Contains(err.Error(), "resolved") {
		t.Errorf("got %v", err)
	}
}

// untouchable is a memory that must not be asked.
type untouchable struct{ alert.Memory }

// TestReceiversAreMadeWithoutTheirMemory: who makes them may hold it locked.
func TestReceiversAreMadeWithoutTheirMemory(t *testing.T) {
	for _, r := range []config.Receiver{amReceiver(t, "http://127.0.0.1:9093"), newFakeSlack(t, false).receiver(t)} {
		if _, err := New(r, Setting{Memory: untouchable{}, Log: discard()}); err != nil {
			t.Error(err)
		}
	}
}

// TestAlertSetIsBounded: the oldest incident goes first, from the memory too.
func TestAlertSetIsBounded(t *testing.T) {
	memory := newRAM()
	s := newAMSet(memory)
	for k := range maxAlerts + 10 {
		s.change(t.Context(), fmt.Sprintf("%05d", k), func(held) held { return held{Labels: map[string]string{"a": "b"}} })
	}
	if _, ok := s.held["00009"]; ok || len(s.held) != maxAlerts || len(memory.All()) != maxAlerts {
		t.Errorf("%d are held, %d remembered", len(s.held), len(memory.All()))
	}
	memory.Set(t.Context(), "slack/x", "of another kind")
	memory.Set(t.Context(), "alert/broken", "{")
	if ids := newAMSet(memory).due(t.Context(), began, amShown); len(ids) != maxAlerts {
		t.Errorf("%d came back", len(ids))
	}
}
