package notify

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// times says since when and for how long.
func (b slackBody) times(n alert.Notification) string {
	var lines []string
	if why := n.Why(); why != "" {
		lines = append(lines, "*Why the verdict changed* "+why)
	}
	lines = append(lines, "*Began* "+n.Began(b.setting.Zone))
	if ended := n.Ended(b.setting.Zone); ended != "" {
		lines = append(lines, "*Ended* "+ended)
	}
	word := "*Lasts* "
	if !n.Event.Incident.Active() {
		word = "*Lasted* "
	}
	if lasted := n.Lasted(); lasted != "at least 0s" { // it has just begun
		lines = append(lines, word+lasted)
	}
	if again := n.Event.Incident.Reopened; again > 0 {
		lines = append(lines, fmt.Sprintf("*Relapses* %d", again))
	}
	return escape(strings.Join(lines, "\n"), limitTimes)
}

// slackMembers is a row for each of several targets. Narrow: a phone has room for some 40 characters.
func slackMembers(n alert.Notification) [][]string {
	members := n.Event.Incident.Members
	if len(members) < 2 {
		return nil
	}
	rows := [][]string{{"target", "state", "since (UTC)", "verdict"}}
	for k, m := range members {
		if k == maxMemberRows {
			return append(rows, []string{fmt.Sprintf("%s and %d more", ellipsis, len(members)-k)})
		}
		rows = append(rows, []string{clip(m.Target, 30), alone(n, m).Word(), inUTC(m.StartsBefore), clip(verdictShort(m.Verdict), 40)})
	}
	return rows
}

// fields are what one looks for at a glance.
func fields(n alert.Notification) *slack.SectionBlock {
	v := n.Event.Verdict
	pairs := [][2]string{{"Layer", string(v.Layer)}, {"Cause", strings.ReplaceAll(string(v.Cause), "_", " ")}, {"Confidence", string(v.Confidence)}}
	if len(v.Suspects) > 1 {
		var names []string
		for _, s := range v.Suspects {
			names = append(names, fmt.Sprintf("%s (%s)", s.Layer, strings.ReplaceAll(string(s.Cause), "_", " ")))
		}
		pairs = append(pairs, [2]string{"Suspects", strings.Join(names, ", ")})
	}
	pairs = append(pairs, [2]string{"Incident", n.Event.Incident.ID})
	var texts []*slack.TextBlockObject
	for _, p := range pairs {
		if p[1] == "" {
			p[1] = "unknown"
		}
		texts = append(texts, mrkdwn("*"+p[0]+"*\n"+escape(p[1], limitField)))
	}
	return slack.NewSectionBlock(nil, texts, nil)
}

// advice is what the one on call does not have to look up.
func advice(v *probe.Verdict) []slack.Block {
	w, supposing := alert.VerdictWords(*v), ""
	if s := alert.Supposing(*v); s != "" {
		supposing = " " + s + ":"
	}
	blocks := []slack.Block{section(escape("*What it means*"+supposing+" "+w.Means+"\n*Look first* "+w.Next+"\n*Whom to ask* "+w.Ask, limitWords))}
	if v.Confidence == probe.Ambiguous && len(v.WouldDecide) > 0 {
		blocks = append(blocks, section("*What would decide*\n"+bullets(v.WouldDecide, limitDecide)))
	}
	return blocks
}

func cleared(list []probe.Cleared) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = string(c.Layer) + ": " + c.Reason
	}
	return out
}

// toPaste are commands, and a filter for Wireshark. What does not fit is left out: half a command is none.
func toPaste(n alert.Notification) (blocks []slack.Block) {
	var list []string
	room := limitCommands
	for _, c := range commands(n) {
		if size := utf8.RuneCountInString(markup.Replace(c)) + 1; size <= room {
			room -= size
			list = append(list, c)
		}
	}
	if len(list) > 0 {
		blocks = append(blocks, section("*To paste*\n"+code(strings.Join(list, "\n"), limitCommands+10)))
	}
	if f := n.DisplayFilter(); f != "" && utf8.RuneCountInString(markup.Replace(f)) <= limitFilter {
		blocks = append(blocks, section("*In Wireshark*\n"+code(f, limitFilter+10)))
	}
	return blocks
}

// context says where in a server's log to look, and where this prober shows more.
func (b slackBody) context(n alert.Notification) string {
	text := "Logs: " + n.LogTimes(b.setting.Zone)
	if ids := n.RequestIDs(); len(ids) > 0 {
		text += "\nX-Request-Id: " + strings.Join(first(ids, maxRequestIDs), ", ")
	}
	text = escape(text, limitContext/2)
	for _, l := range links(b.setting.ExternalURL) {
		link := "<" + markup.Replace(l.URL) + "|" + escape(l.Text, 100) + ">"
		if utf8.RuneCountInString(text)+utf8.RuneCountInString(link) < limitContext {
			text += "\n" + link
		}
	}
	return text
}
