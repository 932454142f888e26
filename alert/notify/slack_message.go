package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// Colours of Okabe and Ito's palette, which colour-blind people can tell apart. The state stands there as a word too.
const (
	vermilion = "#D55E00"
	orange    = "#E69F00"
	green     = "#009E73"
	grey      = "#999999"
)

// Limits in characters. Slack takes 3000 in a section and 50 blocks, but refuses a message (msg_blocks_too_long) whose
// blocks have about 13,000 together; the sum of these is below.
const (
	limitHeadline = 600
	limitTimes    = 700
	limitField    = 200
	limitWords    = 1000
	limitDecide   = 600
	limitLanes    = 2400
	limitEvidence = 1800
	limitCleared  = 800
	limitFilter   = 1200
	limitLogs     = 700
	maxLaneRows   = 24
	maxRequestIDs = 5
)

// summary is the line that phones show.
func summary(n alert.Notification) string {
	return "*" + n.Word() + "* " + escape(n.Headline(), limitHeadline)
}

// colour of the bar beside the message.
func colour(n alert.Notification) string {
	switch {
	case n.Transition == config.Resolved:
		return green
	case n.Transition == config.Dismissed:
		return grey
	case n.Transition == config.Suspect, n.Event.Verdict.State == probe.Degraded, n.Event.Incident.State == alert.Recovering:
		return orange
	}
	return vermilion
}

// attachment is the message's body. Blocks inside of an attachment are the only ones with a coloured bar.
func attachment(n alert.Notification, loc *time.Location) slack.Attachment {
	v := n.Event.Verdict
	blocks := []slack.Block{
		section(escape(n.Sentence(), limitHeadline)),
		section(times(n, loc)),
		fields(n),
	}
	if n.Advises() {
		blocks = append(blocks, advice(v)...)
	}
	if len(n.Event.Lanes) > 0 {
		blocks = append(blocks, section("*What each lane sees*\n"+code(table(laneRows(n, maxLaneRows)), limitLanes)))
	}
	if len(v.Evidence) > 0 {
		blocks = append(blocks, section("*Evidence*\n"+bullets(v.Evidence, limitEvidence)))
	}
	if len(v.Cleared) > 0 {
		blocks = append(blocks, section("*Cleared*\n"+bullets(cleared(v.Cleared), limitCleared)))
	}
	if tcpdump := n.CaptureFilter(); tcpdump != "" {
		blocks = append(blocks,
			section("*These probes in a capture* (tcpdump)\n"+code(tcpdump, limitFilter)),
			section("*The same for Wireshark*\n"+code(n.DisplayFilter(), limitFilter)))
	}
	blocks = append(blocks, slack.NewContextBlock("", mrkdwn(logs(n, loc))))
	return slack.Attachment{Color: colour(n), Fallback: n.Headline(), Blocks: slack.Blocks{BlockSet: blocks}}
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

func times(n alert.Notification, loc *time.Location) string {
	var lines []string
	if why := n.Why(); why != "" {
		lines = append(lines, "*Why the verdict changed* "+why)
	}
	lines = append(lines, "*Began* "+n.Began(loc))
	if ended := n.Ended(loc); ended != "" {
		lines = append(lines, "*Ended* "+ended)
	}
	word := "*Lasts* "
	if !n.Event.Incident.Active() {
		word = "*Lasted* "
	}
	lines = append(lines, word+n.Lasted())
	if again := n.Event.Incident.Reopened; again > 0 {
		lines = append(lines, fmt.Sprintf("*Relapses* %d", again))
	}
	return escape(strings.Join(lines, "\n"), limitTimes)
}

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

func cleared(list []probe.Cleared) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = string(c.Layer) + ": " + c.Reason
	}
	return out
}

// logs says where in a server's log to look.
func logs(n alert.Notification, loc *time.Location) string {
	text := "Logs: " + n.LogTimes(loc)
	if ids := n.RequestIDs(); len(ids) > 0 {
		if len(ids) > maxRequestIDs {
			ids = ids[:maxRequestIDs]
		}
		text += "\nX-Request-Id: " + strings.Join(ids, ", ")
	}
	return escape(text, limitLogs)
}

func section(text string) *slack.SectionBlock { return slack.NewSectionBlock(mrkdwn(text), nil, nil) }

// mrkdwn is text in Slack's markup in which nothing is turned into a link or a mention by itself.
func mrkdwn(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}
