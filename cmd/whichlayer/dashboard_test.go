package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"gopkg.in/yaml.v3"
)

// The dashboard and the rules are held against what the program really exports: every metric, every label, every
// value of a closed list that they name must exist.

const (
	dashboardFile = "../../examples/grafana/whichlayer.json"
	rulesFile     = "../../examples/prometheus/rules.yml"
)

// grafanaDashboard is the part of Grafana's JSON that the tests read.
type grafanaDashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name       string         `json:"name"`
			Type       string         `json:"type"`
			Definition string         `json:"definition"`
			Datasource *grafanaSource `json:"datasource"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []grafanaAnnotation `json:"list"`
	} `json:"annotations"`
	Panels []grafanaPanel `json:"panels"`
}

// grafanaAnnotation is a query whose values above 0 are shown as shaded times.
type grafanaAnnotation struct {
	Name        string         `json:"name"`
	Expr        string         `json:"expr"`
	TitleFormat string         `json:"titleFormat"`
	TextFormat  string         `json:"textFormat"`
	TagKeys     string         `json:"tagKeys"`
	Datasource  *grafanaSource `json:"datasource"`
}

type grafanaSource struct {
	UID string `json:"uid"`
}

type grafanaPanel struct {
	ID         int            `json:"id"`
	Type       string         `json:"type"`
	Title      string         `json:"title"`
	Datasource *grafanaSource `json:"datasource"`
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct {
		RefID        string         `json:"refId"`
		Expr         string         `json:"expr"`
		LegendFormat string         `json:"legendFormat"`
		Instant      bool           `json:"instant"`
		Datasource   *grafanaSource `json:"datasource"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

func readDashboard(t *testing.T) (d grafanaDashboard, text string) {
	t.Helper()
	b, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d, string(b)
}

// promRules is a Prometheus rule file.
type promRules struct {
	Groups []struct {
		Name  string
		Rules []promRule
	}
}

type promRule struct {
	Record, Alert, Expr string
	Annotations         map[string]string
}

func readRules(t *testing.T) (all []promRule) {
	t.Helper()
	b, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var rules promRules
	if err := yaml.Unmarshal(b, &rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// vocabulary are the metrics that exist, their labels, and the labels' values.
type vocabulary map[string]map[string][]string

func vocabularyOf(t *testing.T, g prometheus.Gatherer) vocabulary {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	v := vocabulary{"up": {"instance": nil, "job": {"whichlayer"}}}
	for _, f := range families {
		names := []string{f.GetName()}
		if len(f.Metric) > 0 && f.Metric[0].Histogram != nil {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, name := range names {
			v[name] = map[string][]string{"instance": nil, "job": {"whichlayer"}}
			for _, m := range f.Metric {
				for _, l := range m.Label {
					v[name][l.GetName()] = append(v[name][l.GetName()], l.GetValue())
				}
			}
			if strings.HasSuffix(name, "_bucket") {
				v[name]["le"] = nil
			}
		}
	}
	return v
}

// check tells what an expression names that does not exist.
func (v vocabulary) check(expr string) (problems []string) {
	reads, grouped, err := selectors(expr)
	if err != nil {
		return []string{err.Error()}
	}
	known := map[string]bool{}
	for _, s := range reads {
		labels, ok := v[s.metric]
		if !ok {
			problems = append(problems, fmt.Sprintf("there is no metric %q", s.metric))
		}
		for l := range labels {
			known[l] = true
		}
		for _, m := range s.matchers {
			values, ok := labels[m.label]
			literal := (m.op == "=" || m.op == "!=") && !strings.Contains(m.value, "$")
			switch {
			case !ok:
				problems = append(problems, fmt.Sprintf("%s has no label %q", s.metric, m.label))
			case literal && !slices.Contains(values, m.value):
				problems = append(problems, fmt.Sprintf("%s is never %s=%q", s.metric, m.label, m.value))
			}
		}
	}
	for _, l := range grouped {
		if !known[l] {
			problems = append(problems, fmt.Sprintf("no metric of the expression has a label %q", l))
		}
	}
	return problems
}

func TestVocabularyFindsWhatDoesNotExist(t *testing.T) {
	reg, round := dashboardRegistry(t)
	round()
	v := vocabularyOf(t, reg)
	for expr, want := range map[string]int{
		`sum by (layer) (whichlayer_verdict{layer!="none",target="$target"})`:                       0,
		`histogram_quantile(0.9, sum by (le) (rate(whichlayer_front_duration_seconds_bucket[1m])))`: 0,
		`whichlayer_verdicts`:                             1,
		`rate(whichlayer_front_duration_seconds[1m])`:     1,
		`whichlayer_verdict{level="proxy"}`:               1,
		`whichlayer_verdict{layer="proxies"}`:             1,
		`sum by (hop) (whichlayer_verdict)`:               1,
		`whichlayer_stage_outcome{lane="front",hop="f5"}`: 1,
	} {
		if got := v.check(expr); len(got) != want {
			t.Errorf("%s: %q, want %d problems", expr, got, want)
		}
	}
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.*), *(\w+)\)$`)
	inTemplate  = regexp.MustCompile(`printf "([^"]*)"`)
	ofTemplate  = regexp.MustCompile(`label "(\w+)"`)
)

func TestDashboardNamesOnlyWhatExists(t *testing.T) {
	reg, round := dashboardRegistry(t)
	round()
	v := vocabularyOf(t, reg)
	d, _ := readDashboard(t)
	checked := 0
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			checked++
			for _, problem := range v.check(q.Expr) {
				t.Errorf("panel %q, query %s: %s", p.Title, q.RefID, problem)
			}
		}
	}
	if checked < 20 {
		t.Errorf("%d queries were checked; is the dashboard read right?", checked)
	}
	for _, a := range d.Annotations.List {
		for _, problem := range v.check(a.Expr) {
			t.Errorf("annotation %q: %s", a.Name, problem)
		}
		if a.Datasource == nil || a.Datasource.UID != "${datasource}" || !strings.Contains(a.Expr, `instance=~"$instance"`) {
			t.Errorf("annotation %q shows another source, or probers that were not asked for", a.Name)
		}
	}
	for _, x := range d.Templating.List {
		if x.Type != "query" {
			continue
		}
		m := labelValues.FindStringSubmatch(x.Definition)
		if m == nil {
			t.Fatalf("variable %s: %q is not label_values(metric, label)", x.Name, x.Definition)
		}
		for _, problem := range v.check("sum by (" + m[2] + ") (" + m[1] + ")") {
			t.Errorf("variable %s: %s", x.Name, problem)
		}
	}
}

func TestRulesNameOnlyWhatExists(t *testing.T) {
	reg, round := dashboardRegistry(t)
	round()
	v := vocabularyOf(t, reg)
	rules := readRules(t)
	if len(rules) < 10 {
		t.Errorf("%d rules were checked; is the file read right?", len(rules))
	}
	for _, r := range rules {
		for _, problem := range v.check(r.Expr) {
			t.Errorf("rule %s%s: %s", r.Record, r.Alert, problem)
		}
		for key, text := range r.Annotations {
			for _, m := range inTemplate.FindAllStringSubmatch(text, -1) {
				expr := strings.ReplaceAll(m[1], "%q", `"$x"`)
				for _, l := range ofTemplate.FindAllStringSubmatch(text, -1) {
					expr = "sum by (" + l[1] + ") (" + expr + ")"
				}
				for _, problem := range v.check(expr) {
					t.Errorf("rule %s, annotation %s: %s", r.Alert, key, problem)
				}
			}
		}
	}
}

// What tells that whichlayer's own messages may reach nobody is shown, and makes an alert.
func TestMessagesAreWatched(t *testing.T) {
	var shown, alerted []string
	d, _ := readDashboard(t)
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			shown = append(shown, metricsOf(t, q.Expr)...)
		}
	}
	for _, r := range readRules(t) {
		if r.Alert != "" {
			alerted = append(alerted, metricsOf(t, r.Expr)...)
		}
	}
	for metric, alerts := range map[string]bool{
		"whichlayer_notifications_total":                     true,
		"whichlayer_notification_queue_length":               true,
		"whichlayer_notification_oldest_timestamp_seconds":   true,
		"whichlayer_notification_retries_total":              false,
		"whichlayer_drill_last_success_timestamp_seconds":    true,
		"whichlayer_state_durable":                           true,
		"whichlayer_watchdog_signs_total":                    true,
		"whichlayer_watchdog_last_success_timestamp_seconds": false,
	} {
		if !slices.Contains(shown, metric) {
			t.Errorf("no panel shows %s", metric)
		}
		if alerts && !slices.Contains(alerted, metric) {
			t.Errorf("no alert reads %s", metric)
		}
	}
}

func metricsOf(t *testing.T, expr string) (names []string) {
	t.Helper()
	reads, _, err := selectors(expr)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range reads {
		names = append(names, s.metric)
	}
	return names
}

// The checklist of Grafana's own dashboard linter, as far as it fits.
func TestDashboardIsWellFormed(t *testing.T) {
	d, text := readDashboard(t)
	if d.UID == "" || d.Title == "" {
		t.Error("uid or title is missing")
	}
	ids := map[int]string{}
	var taken [][4]int
	for _, p := range d.Panels {
		if other, ok := ids[p.ID]; ok || p.ID == 0 {
			t.Errorf("panels %q and %q have the same id %d", other, p.Title, p.ID)
		}
		ids[p.ID] = p.Title
		g := p.GridPos
		if p.Title == "" || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("panel %d %q: no title, or outside of the grid: %+v", p.ID, p.Title, g)
		}
		for _, o := range taken {
			if g.X < o[0]+o[2] && o[0] < g.X+g.W && g.Y < o[1]+o[3] && o[1] < g.Y+g.H {
				t.Errorf("panel %q lies upon another at %v", p.Title, o)
			}
		}
		taken = append(taken, [4]int{g.X, g.Y, g.W, g.H})
		if p.Type == "row" || p.Type == "text" {
			continue
		}
		checkQueries(t, p)
	}
	colours := regexp.MustCompile(`#[0-9A-Fa-f]{6}`).FindAllString(text, -1)
	// Okabe and Ito's eight colours, which differ for every kind of colour vision; black, which a dark page swallows,
	// is replaced by two greys.
	palette := []string{"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999", "#555555"}
	for _, c := range colours {
		if !slices.Contains(palette, c) {
			t.Errorf("colour %s is not of the palette", c)
		}
	}
	if names := regexp.MustCompile(`"(fixedColor|color)": "[a-z-]+"`).FindAllString(text, -1); len(names) > 0 {
		t.Errorf("colours by name are not of the palette: %v", names)
	}
}

func checkQueries(t *testing.T, p grafanaPanel) {
	t.Helper()
	if len(p.Targets) == 0 {
		t.Errorf("panel %q has no query", p.Title)
	}
	if p.FieldConfig.Defaults.Unit == "" {
		t.Errorf("panel %q has no unit", p.Title)
	}
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if refs[q.RefID] {
			t.Errorf("panel %q has query %s twice", p.Title, q.RefID)
		}
		refs[q.RefID] = true
		for _, s := range []*grafanaSource{p.Datasource, q.Datasource} {
			if s == nil || s.UID != "${datasource}" {
				t.Errorf("panel %q, query %s does not use the variable ${datasource}", p.Title, q.RefID)
			}
		}
		if !strings.Contains(q.Expr, `instance=~"$instance"`) {
			t.Errorf("panel %q, query %s shows probers that were not asked for", p.Title, q.RefID)
		}
		for _, r := range regexp.MustCompile(`(rate|increase)\([^[]*\[([^]]*)\]`).FindAllStringSubmatch(q.Expr, -1) {
			if r[2] != "$__rate_interval" {
				t.Errorf("panel %q, query %s: a rate over [%s], not over $__rate_interval", p.Title, q.RefID, r[2])
			}
		}
	}
}
