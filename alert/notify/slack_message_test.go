package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

var update = flag.Bool("update", false, "write the golden files anew")

// slackSamples are messages of each sort.
func slackSamples() map[string]alert.Notification {
	all := map[string]alert.Notification{
		"reminder": reminder(), "whole": whole(), "drill": drill(config.Opened), "members": together(config.Opened),
		"members_resolved": together(config.Resolved), "degraded": degraded(), "boundless": boundless(), "self": selfTrouble(),
	}
	for _, tr := range []config.Transition{config.Suspect, config.Opened, config.Updated, config.Resolved, config.Dismissed} {
		all[string(tr)] = sample(tr)
	}
	return all
}

// selfTrouble is a receiver that refuses.
func selfTrouble() alert.Notification {
	s := alert.NewSelf(func(time.Time) string { return "20261122T140304Z-whichlayer-itself-0001" })
	events := s.Begin(alert.Trouble{Cause: probe.CauseReceiverRefuses, About: "hook"}, `receiver "hook" refuses: it answers 403 Forbidden`, began)
	n, _ := alert.NewNotification(events[0])
	return n
}

// TestSlackMessages holds what is sent against golden files; -update writes them.
func TestSlackMessages(t *testing.T) {
	body := slackBody{receiver: "ops", setting: Setting{Zone: berlin(), ExternalURL: "https://prober.example.com/"}}
	for name, n := range slackSamples() {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(body.message(n)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "slack_"+name+".json")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestSlackLimits measures all messages, the largest too, against what Slack takes.
func TestSlackLimits(t *testing.T) {
	all := slackSamples()
	all["huge"], all["huge members"] = huge(), hugeMembers()
	body := slackBody{setting: Setting{Zone: berlin(), ExternalURL: "https://prober.example.com/" + strings.Repeat("x&", 200)}}
	for name, n := range all {
		m := body.message(n)
		checkLimits(t, name, m)
		if text := body.reply(n); utf8.RuneCountInString(text) > 4000 || !utf8.ValidString(text) {
			t.Errorf("%s: a reply of %d", name, utf8.RuneCountInString(text))
		}
	}
}

func hugeMembers() alert.Notification {
	n := huge()
	for range 200 {
		n.Event.Incident.Members = append(n.Event.Incident.Members, alert.Member{Target: n.Event.Target, State: alert.Open,
			Verdict: *n.Event.Verdict, Bounds: n.Event.Incident.Bounds})
	}
	return n
}

// checkLimits is Slack's validator as far as its limits are known: 50 blocks, 1 to 3000 characters in a section, 10 fields
// of 2000, about 13,000 characters together, 4000 in the text.
func checkLimits(t *testing.T, name string, m slack.WebhookMessage) {
	t.Helper()
	blocks := m.Attachments[0].Blocks.BlockSet
	if len(blocks) > 50 {
		t.Errorf("%s: %d blocks", name, len(blocks))
	}
	total := 0
	for _, b := range blocks {
		for _, text := range textsOf(b) {
			size := utf8.RuneCountInString(text)
			if total += size; size == 0 || size > 3000 || !utf8.ValidString(text) || strings.Contains(text, "<!") {
				t.Errorf("%s: a text of %d characters: %.80q", name, size, text)
			}
			if strings.Count(text, "```")%2 != 0 {
				t.Errorf("%s: a code block does not end: %q", name, text)
			}
		}
		if s, ok := b.(*slack.SectionBlock); ok && (len(s.Fields) > 10 || s.Text == nil && len(s.Fields) == 0) {
			t.Errorf("%s: %d fields", name, len(s.Fields))
		}
	}
	if total > 12_000 {
		t.Errorf("%s: %d characters together", name, total)
	}
	if size := utf8.RuneCountInString(m.Text); size == 0 || size > 3000 {
		t.Errorf("%s: a headline of %d", name, size)
	}
}

func textsOf(b slack.Block) (out []string) {
	switch b := b.(type) {
	case *slack.SectionBlock:
		if b.Text != nil {
			out = append(out, b.Text.Text)
		}
		for _, f := range b.Fields {
			out = append(out, f.Text)
		}
	case *slack.ContextBlock:
		for _, e := range b.ContextElements.Elements {
			out = append(out, e.(*slack.TextBlockObject).Text)
		}
	}
	return out
}

func FuzzEscape(f *testing.F) {
	f.Add("a & b < c > d ``` \x00 \xff 日本", 10)
	f.Add("&&&&&&&&&&&&&", 7)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 10 || limit > 5000 {
			return
		}
		for name, got := range map[string]string{"escape": escape(s, limit), "code": code(s, limit), "bullets": bullets([]string{s, s}, limit)} {
			if n := utf8.RuneCountInString(got); n > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "<>\x00") {
				t.Errorf("%s(%q, %d) = %q (%d)", name, s, limit, got, n)
			}
		}
	})
}
