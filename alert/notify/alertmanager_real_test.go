package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// quietTime is how long no further message must come before "exactly once" is believed: longer than an instance waits for
// what the other one has told.
const quietTime = 3 * time.Second

// amConfig has a group_interval that is well above the peer-timeout, as the defaults are: an instance that looks just
// before an end comes must not meet what the other one told just after.
const amConfig = `
route: {receiver: hook, group_by: [alertname, target], group_wait: 1s, group_interval: 3s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: "%s", send_resolved: true}]}]
`

// realAlertmanager is a process of its own.
type realAlertmanager struct {
	url, cluster string
	cmd          *exec.Cmd
	out          bytes.Buffer
}

// needAlertmanager finds the program. Where it is missing the test is skipped, but fails in CI.
func needAlertmanager(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"prometheus-alertmanager", "alertmanager"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const why = "prometheus-alertmanager is missing: apt-get install prometheus-alertmanager"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
	return ""
}

// freePort is one that nobody has just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startAlertmanager begins an instance that knows a peer.
func startAlertmanager(t *testing.T, program, config, peer string) *realAlertmanager {
	t.Helper()
	web := freePort(t)
	a := &realAlertmanager{url: "http://" + web, cluster: freePort(t)}
	args := []string{"--config.file=" + config, "--storage.path=" + t.TempDir(), "--web.listen-address=" + web,
		"--cluster.listen-address=" + a.cluster, "--cluster.peer-timeout=1s", "--cluster.settle-timeout=5s",
		"--cluster.gossip-interval=50ms", "--cluster.pushpull-interval=1s", "--cluster.probe-interval=500ms"}
	if peer != "" {
		args = append(args, "--cluster.peer="+peer)
	}
	a.cmd = exec.Command(program, args...)
	a.cmd.Stdout, a.cmd.Stderr = &a.out, &a.out
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			t.Logf("alertmanager at %s:\n%s", a.url, a.out.String())
		}
	})
	return a
}

func (a *realAlertmanager) kill() {
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
}

// get reads JSON from an instance.
func (a *realAlertmanager) get(ctx context.Context, path string, to any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(to)
}

// ready tells that it has found the other one: before, it tells nobody of anything.
func (a *realAlertmanager) ready(t *testing.T) bool {
	var status struct {
		Cluster struct {
			Status string
			Peers  []any
		}
	}
	return a.get(t.Context(), "/api/v2/status", &status) == nil && status.Cluster.Status == "ready" && len(status.Cluster.Peers) == 2
}

// alert is the alert of a target as it has it.
func (a *realAlertmanager) alert(t *testing.T, target string) (p post, ok bool) {
	var all []post
	if err := a.get(t.Context(), "/api/v2/alerts?filter=target%3D"+target, &all); err != nil || len(all) != 1 {
		return p, false
	}
	return all[0], true
}

// pager is where the cluster tells people.
type pager struct {
	server *httptest.Server
	mu     sync.Mutex
	told   []string // target, status
}

func newPager(t *testing.T) *pager {
	p := &pager{}
	p.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct {
			Status string
			Alerts []struct{ Labels map[string]string }
		}
		if json.NewDecoder(r.Body).Decode(&m) != nil || len(m.Alerts) == 0 {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, m.Alerts[0].Labels["target"]+" "+m.Status)
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *pager) count(what string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, told := range p.told {
		if told == what {
			n++
		}
	}
	return n
}

// eventually waits for what other processes do, of which there is no event.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 300 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("in vain waited for: " + what)
}

// live is a sample that began some seconds ago.
func live(tr config.Transition, target string, began time.Time) alert.Notification {
	n := sample(tr)
	i := n.Event.Incident
	i.ID, i.Target, n.Event.Target = "20261122T140304Z-"+target+"-3f9a", target, target
	i.StartsAfter, i.StartsBefore, i.StartsAt = &began, began.Add(time.Second), began.Add(time.Second)
	n.Event.Time = began.Add(10 * time.Second)
	if i.EndsAt != nil {
		after, before := began.Add(8*time.Second), began.Add(9*time.Second)
		i.EndsAfter, i.EndsBefore, i.EndsAt = &after, &before, &before
	}
	return n
}

// TestAlertmanagerCluster lets two real Alertmanagers tell of an outage: once, though each has the alert from us.
func TestAlertmanagerCluster(t *testing.T) {
	t.Parallel()
	program := needAlertmanager(t)
	pager := newPager(t)
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, amConfig, pager.server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	one := startAlertmanager(t, program, file, "")
	eventually(t, "the first instance", func() bool { return one.get(t.Context(), "/api/v2/status", &struct{}{}) == nil })
	two := startAlertmanager(t, program, file, one.cluster)
	eventually(t, "a cluster of two", func() bool { return one.ready(t) && two.ready(t) })

	a := newTestAlertmanager(t, Setting{Memory: newRAM(), ExternalURL: "https://prober.example.com"}, one.url, two.url)
	a.shown = 4500 * time.Millisecond // for the group_wait and the peer-timeout above, as amShown is for the defaults
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = a.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	notify := func(n alert.Notification) {
		t.Helper()
		if err := a.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now().Add(-11 * time.Second)
	if err := a.Check(t.Context()); err != nil {
		t.Error(err)
	}

	opened, short := live(config.Opened, "orders", began), live(config.Resolved, "short", began)
	short.Whole = true // it was over before it could be told
	notify(opened)
	notify(short)
	for _, instance := range []*realAlertmanager{one, two} {
		p, ok := instance.alert(t, "orders")
		if !ok || !p.StartsAt.Equal(opened.Event.Incident.StartsAt.Truncate(time.Millisecond)) || p.Labels["alertname"] != "WhichlayerIncident" || p.Labels["team"] != "web" ||
			p.Annotations["layer"] != "proxy" || p.Annotations["summary"] != opened.Headline() || !strings.HasPrefix(p.GeneratorURL, "https://prober.example.com/incidents/") {
			t.Errorf("at %s: %+v", instance.url, p)
		}
	}
	eventually(t, "the page", func() bool { return pager.count("orders firing") > 0 })
	notify(live(config.Resolved, "orders", began))
	eventually(t, "both ends", func() bool { return pager.count("orders resolved") > 0 && pager.count("short resolved") > 0 })
	time.Sleep(quietTime) // there is no event for what must not happen
	for _, once := range []string{"orders firing", "orders resolved", "short firing", "short resolved"} {
		if n := pager.count(once); n != 1 {
			t.Errorf("%s was told %d times", once, n)
		}
	}

	one.kill()
	notify(live(config.Opened, "invoices", began))
	eventually(t, "the page from the instance that is left", func() bool { return pager.count("invoices firing") > 0 })
	if _, ok := two.alert(t, "invoices"); !ok {
		t.Error("the instance that is left does not have the alert")
	}
}
