package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// needProgram finds a program of Debian's package prometheus. Where it is missing the test is skipped, but fails in CI.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: apt-get install prometheus", name)
	}
	t.Skipf("SKIPPED: %s is missing: apt-get install prometheus", name)
	return ""
}

func TestPromtoolAcceptsTheExamples(t *testing.T) {
	promtool := needProgram(t, "promtool")
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"check", "rules", "rules.yml"},
		{"test", "rules", "rules_test.yml", "rules_days_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../../examples/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// A real Prometheus scrapes a real exposition, and every query of the dashboard and every rule must give something.
func TestPrometheusAnswersEveryQuery(t *testing.T) {
	p := startPrometheus(t, needProgram(t, "prometheus"))
	p.await(t, "min(count_over_time(whichlayer_rounds_total[10s])) >= 6 and on () whichlayer_watchdog_last_success_timestamp_seconds > 0")
	d, _ := readDashboard(t)
	for _, panel := range d.Panels {
		for _, q := range panel.Targets {
			series, err := p.answer(t.Context(), withMacros(q.Expr))
			if err != nil {
				t.Errorf("panel %q, query %s: %v", panel.Title, q.RefID, err)
				continue
			}
			for _, l := range legendLabels(q.LegendFormat) {
				if !anyHas(series, l) {
					t.Errorf("panel %q, query %s: the legend names {{%s}}, which no series has", panel.Title, q.RefID, l)
				}
			}
		}
	}
	for _, a := range d.Annotations.List {
		series, err := p.answer(t.Context(), withMacros(a.Expr))
		if err != nil {
			t.Errorf("annotation %q: %v", a.Name, err)
		}
		for _, l := range append(legendLabels(a.TitleFormat+a.TextFormat), strings.Split(a.TagKeys, ",")...) {
			if !anyHas(series, l) {
				t.Errorf("annotation %q names %q, which no series has", a.Name, l)
			}
		}
	}
	p.checkReceivers(t, d)
	p.checkRules(t)
}

// checkReceivers compares what panels show of the registry's receivers and its watchdog: ops is well, stuck never was.
func (p promServer) checkReceivers(t *testing.T, d grafanaDashboard) {
	t.Helper()
	soon := func(x float64) bool { return x >= 0 && x < 60 }
	is := func(want float64) func(float64) bool { return func(x float64) bool { return x == want } }
	for title, want := range map[string]map[string]func(float64) bool{
		"Messages that wait":                   {"ops": is(0), "stuck": is(1)},
		"Age of the oldest message that waits": {"ops": is(0), "stuck": func(x float64) bool { return x > 0 && x < 60 }},
		"Days since the last drill":            {"ops": func(x float64) bool { return x >= 0 && x < 1e-3 }, "stuck": is(-1)},
		"State":                                {"": is(1)},
		"Last sign of life":                    {"": soon},
	} {
		i := slices.IndexFunc(d.Panels, func(p grafanaPanel) bool { return p.Title == title })
		if i < 0 {
			t.Errorf("there is no panel %q", title)
			continue
		}
		got, err := p.values(t.Context(), "last_over_time(("+withMacros(d.Panels[i].Targets[0].Expr)+")[10s:500ms])", "receiver")
		if err != nil || len(got) != len(want) {
			t.Errorf("panel %q shows %v, %v", title, got, err)
		}
		for receiver, right := range want {
			if x, ok := got[receiver]; !ok || !right(x) {
				t.Errorf("panel %q shows %v for %q", title, x, receiver)
			}
		}
	}
}

// values are what an expression gives now, by one label.
func (p promServer) values(ctx context.Context, expr, label string) (map[string]float64, error) {
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	if err := p.get(ctx, "/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, r := range data.Result {
		x, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		out[r.Metric[label]] = x
	}
	return out, nil
}

// withMacros puts in what Grafana would.
func withMacros(expr string) string {
	return strings.NewReplacer("$__rate_interval", "10s", "$__range", "30s", "$instance", ".*", "$target", "orders").Replace(expr)
}

func legendLabels(format string) (labels []string) {
	for _, m := range regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`).FindAllStringSubmatch(format, -1) {
		labels = append(labels, m[1])
	}
	return labels
}

func anyHas(series []map[string]string, label string) bool {
	for _, s := range series {
		if _, ok := s[label]; ok {
			return true
		}
	}
	return false
}

// promServer is a Prometheus on loopback.
type promServer struct{ url string }

// startPrometheus runs a server with the example's rules that scrapes a registry twice a second; each scrape finds
// one more round.
func startPrometheus(t *testing.T, program string) promServer {
	t.Helper()
	reg, round := dashboardRegistry(t)
	exposition := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	prober := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		round()
		exposition.ServeHTTP(w, r)
	}))
	t.Cleanup(prober.Close)

	dir := t.TempDir()
	rules, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := fmt.Sprintf(`{"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}, "rule_files": [%q],
		"scrape_configs": [{"job_name": "whichlayer", "static_configs": [{"targets": [%q]}]}]}`, rules, prober.Listener.Addr())
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=warn")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus said:\n%s", log.String())
		}
	})
	return promServer{"http://" + addr}
}

// freeAddress is a loopback address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// get asks the server's API.
func (p promServer) get(ctx context.Context, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %s: %w", path, resp.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

// queryRange are the labels of the series that an expression gave in the last 2 s.
func (p promServer) queryRange(ctx context.Context, expr string) ([]map[string]string, error) {
	var data struct {
		Result []struct{ Metric map[string]string }
	}
	now := time.Now()
	query := url.Values{"query": {expr}, "step": {"1"},
		"start": {now.Add(-2 * time.Second).Format(time.RFC3339Nano)}, "end": {now.Format(time.RFC3339Nano)}}
	if err := p.get(ctx, "/api/v1/query_range", query, &data); err != nil {
		return nil, err
	}
	var series []map[string]string
	for _, r := range data.Result {
		series = append(series, r.Metric)
	}
	return series, nil
}

// await polls until an expression gives something.
func (p promServer) await(t *testing.T, expr string) {
	t.Helper()
	if _, err := p.answer(t.Context(), expr); err != nil {
		t.Fatal(err)
	}
}

// answer polls until an expression gives something, and returns that. A scrape that a busy machine does too late makes
// every series stale until the next one.
func (p promServer) answer(ctx context.Context, expr string) ([]map[string]string, error) {
	deadline := time.After(12 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		series, err := p.queryRange(ctx, expr)
		if err == nil && len(series) > 0 {
			return series, nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return nil, errors.Join(fmt.Errorf("gives nothing: %s", expr), err)
		}
	}
}

// checkRules demands that every rule was evaluated without an error, and that what is recorded is there.
func (p promServer) checkRules(t *testing.T) {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Type, Health, LastError string }
		}
	}
	if err := p.get(t.Context(), "/api/v1/rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
			if r.Type != "recording" {
				continue
			}
			if _, err := p.answer(t.Context(), r.Name); err != nil {
				t.Errorf("rule %s: %v", r.Name, err)
			}
		}
	}
	if want := len(readRules(t)); n != want {
		t.Errorf("the server has %d rules, the file %d", n, want)
	}
}
