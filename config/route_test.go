package config

import (
	"strings"
	"testing"
	"time"
)

func TestWantsTarget(t *testing.T) {
	for _, x := range []struct {
		patterns []string
		target   string
		want     bool
	}{
		{nil, "shop-1", true},
		{[]string{"shop-1"}, "shop-1", true},
		{[]string{"shop-1"}, "shop-11", false},
		{[]string{"mail", "shop-*"}, "shop-11", true},
		{[]string{"shop-?"}, "shop-11", false},
		{[]string{"*-[1-3]"}, "shop-3", true},
		{[]string{"*-[1-3]"}, "shop-4", false},
		{[]string{"odd[1]"}, "odd[1]", true}, // a name before it is a pattern
		{[]string{"odd[1]"}, "odd1", true},
		{[]string{"["}, "shop-1", false},
		{[]string{"["}, "[", true},
	} {
		r := Receiver{Targets: x.patterns}
		if got := r.WantsTarget(x.target); got != x.want {
			t.Errorf("%q wants %q: %t, expected %t", x.patterns, x.target, got, x.want)
		}
	}
}

func TestWantsLayer(t *testing.T) {
	for _, x := range []struct {
		asked  []Layer
		layers []string
		want   bool
	}{
		{nil, []string{"proxy"}, true},
		{nil, nil, true},
		{[]Layer{"proxy"}, []string{"proxy"}, true},
		{[]Layer{"proxy", "link"}, []string{"network", "link"}, true},
		{[]Layer{"proxy"}, []string{"network", "host"}, false},
		{[]Layer{"proxy"}, nil, false},
	} {
		r := Receiver{Layers: x.asked}
		if got := r.WantsLayer(x.layers...); got != x.want {
			t.Errorf("%q wants %q: %t, expected %t", x.asked, x.layers, got, x.want)
		}
	}
}

const maintained = `
timezone: Europe/Berlin
targets:
  - {name: shop-1, front: {url: https://a.example/}}
  - {name: mail, front: {url: https://a.example/}}
maintenance:
  - {name: night, schedule: "0 2 * * *", duration: 2h}
  - {name: shop, schedule: "30 3 * * 0", duration: 1h, targets: [shop-*]}
  - {name: utc, schedule: "CRON_TZ=UTC 0 12 * * *", duration: 1s, targets: [mail]}
`

func TestMaintenanceAt(t *testing.T) {
	c := parse(t, maintained)
	for _, x := range []struct{ target, at, name, until string }{
		{"mail", "2026-11-23T00:59:59.999999999Z", "", ""},
		{"mail", "2026-11-23T01:00:00Z", "night", "2026-11-23T03:00:00Z"}, // 2 o'clock in Berlin
		{"mail", "2026-11-23T01:00:00.000000001Z", "night", "2026-11-23T03:00:00Z"},
		{"mail", "2026-11-23T02:59:59.999999999Z", "night", "2026-11-23T03:00:00Z"},
		{"mail", "2026-11-23T03:00:00Z", "", ""},
		{"mail", "2026-07-01T00:30:00Z", "night", "2026-07-01T02:00:00Z"}, // in summer
		{"mail", "2026-11-23T12:00:00.5Z", "utc", "2026-11-23T12:00:01Z"},
		{"mail", "2026-11-23T12:00:01Z", "", ""},
		{"mail", "2026-11-22T02:45:00Z", "night", "2026-11-22T03:00:00Z"},
		{"shop-1", "2026-11-22T02:29:00Z", "night", "2026-11-22T03:00:00Z"},
		{"shop-1", "2026-11-22T02:45:00Z", "shop", "2026-11-22T03:30:00Z"}, // both go on, this one for longer
		{"shop-1", "2026-11-22T03:29:59Z", "shop", "2026-11-22T03:30:00Z"},
		{"shop-1", "2026-11-23T02:45:00Z", "night", "2026-11-23T03:00:00Z"}, // a Monday
		{"shop-1", "2026-11-23T12:00:00Z", "", ""},
	} {
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("far", 14*3600)} {
			at, err := time.Parse(time.RFC3339, x.at)
			if err != nil {
				t.Fatal(err)
			}
			name, until, in := c.MaintenanceAt(x.target, at.In(zone))
			got := ""
			if !until.IsZero() {
				got = until.UTC().Format(time.RFC3339Nano)
			}
			if name != x.name || got != x.until || in != (x.name != "") {
				t.Errorf("%s at %s (%s): %q until %s, %t; expected %q until %s", x.target, x.at, zone, name, got, in, x.name, x.until)
			}
		}
	}
}

// TestMaintenanceAtDense has a schedule with six hundred thousand begins in its own duration.
func TestMaintenanceAtDense(t *testing.T) {
	var s Schedule
	if err := s.UnmarshalText([]byte("* * * * * *")); err != nil {
		t.Fatal(err)
	}
	c := &Config{Maintenance: []Maintenance{{Name: "dense", Schedule: s, Duration: Duration(7 * 24 * time.Hour)}}}
	at := time.Date(2026, 11, 22, 3, 4, 5, 6, time.UTC)
	start := time.Now()
	_, until, in := c.MaintenanceAt("a", at)
	if want := at.Truncate(time.Second).Add(7 * 24 * time.Hour); !in || !until.Equal(want) {
		t.Errorf("until %s, %t; expected %s", until, in, want)
	}
	if took := time.Since(start); took > 100*time.Millisecond {
		t.Errorf("took %s", took)
	}
	c.Maintenance[0].Schedule = Schedule{Every: time.Second, Spec: "@every 1s"}
	if _, _, in := c.MaintenanceAt("a", at); in {
		t.Error("@every has no fixed begin")
	}
}

// TestMaintenanceAgainstSteps holds the search by halves against a walk over every begin.
func TestMaintenanceAgainstSteps(t *testing.T) {
	for _, spec := range []string{"*/7 * * * * *", "0 */11 * * *", "15 2 * * 1-5", "30 1 28-31 * *", "0 0 1 1 *"} {
		var s Schedule
		if err := s.UnmarshalText([]byte("CRON_TZ=Europe/Berlin " + spec)); err != nil {
			t.Fatal(err)
		}
		for _, d := range []time.Duration{time.Second, 10 * time.Second, 25 * time.Minute, 36 * time.Hour} {
			if strings.HasPrefix(spec, "*/7") && d > time.Hour {
				continue // the walk would take its time
			}
			m := Maintenance{Schedule: s, Duration: Duration(d)}
			for at := time.Date(2026, 3, 28, 0, 0, 0, 5e8, time.UTC); at.Month() < 5; at = at.Add(2221*time.Minute + 13*time.Second) {
				var want time.Time
				for b := s.Cron.Next(at.Add(-d)); !b.After(at); b = s.Cron.Next(b) {
					want = b
				}
				got, ok := m.lastBegin(at)
				if ok != !want.IsZero() || ok && !got.Equal(want) {
					t.Fatalf("%s for %s at %s: %s, %t; expected %s", spec, d, at, got, ok, want)
				}
			}
		}
	}
}
