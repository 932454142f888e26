package notify

import (
	"reflect"
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
	skyBlue   = "#56B4E9"
	grey      = "#999999"
)

// Limits in characters. Slack takes 3000 in a section and 50 blocks, but refuses a message (msg_blocks_too_long) whose
// blocks have about 13,000 together; the sum of these is below.
const (
	limitHeadline = 600
	limitTitle    = 700
	limitSentence = 1000
	limitTimes    = 600
	limitField    = 190
	limitMembers  = 1500
	limitWords    = 900
	limitDecide   = 500
	limitLanes    = 1700
	limitEvidence = 1300
	limitCleared  = 500
	limitCommands = 1300
	limitFilter   = 1000
	limitContext  = 700
	limitValue    = 2000
	maxLaneRows   = 18
	maxMemberRows = 15
	maxRequestIDs = 5
)

// slackBody writes the messages of one receiver.
type slackBody struct {
	receiver string
	setting  Setting
	words    wording
}

// message is one that stands by itself. The text is what phones show. Blocks inside of an attachment are the only ones
// with a coloured bar.
func (b slackBody) message(n alert.Notification) slack.WebhookMessage {
	return slack.WebhookMessage{Text: b.title(n), Attachments: []slack.Attachment{{
		Color: colour(n), Fallback: clip(n.Headline(), limitHeadline), Blocks: slack.Blocks{BlockSet: b.blocks(n)}}}}
}

// title is the receiver's own, or the state in bold and the headline.
func (b slackBody) title(n alert.Notification) string {
	word, rest, _ := strings.Cut(n.Title(), ": ")
	return clip(b.words.title(b.values(n), "*"+word+"* "+escape(rest, limitHeadline)), limitTitle)
}

// sentence is the receiver's own text, or what happened in plain words.
func (b slackBody) sentence(n alert.Notification) string {
	if text, ok := b.words.words(b.values(n)); ok {
		return clip(text, limitSentence)
	}
	return escape(n.Sentence(), limitSentence)
}

// values are what templates can name, escaped: the template itself may use Slack's markup, such as <!here>, what others
// said may not.
func (b slackBody) values(n alert.Notification) Message {
	m := newMessage(n, b.receiver, b.setting)
	escapeAll(reflect.ValueOf(&m).Elem())
	return m
}

// escapeAll escapes all texts of a value. Lists are copied: others have them too.
func escapeAll(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(escape(v.String(), limitValue))
	case reflect.Struct:
		for i := range v.NumField() {
			escapeAll(v.Field(i))
		}
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(list, v)
		for i := range list.Len() {
			escapeAll(list.Index(i))
		}
		v.Set(list)
	}
}

// reply is what a thread is told of a change.
func (b slackBody) reply(n alert.Notification) string {
	if n.Transition == config.Resolved || n.Transition == config.Dismissed || n.Reminder {
		return b.title(n) + "\n" + b.times(n)
	}
	text := b.title(n) + "\n" + b.sentence(n)
	if why := n.Why(); why != "" {
		text += "\n*Why the verdict changed* " + escape(why, limitHeadline)
	}
	return text
}

// colour of the bar beside the message.
func colour(n alert.Notification) string {
	switch {
	case n.Drill:
		return skyBlue
	case n.Transition == config.Resolved:
		return green
	case n.Transition == config.Dismissed:
		return grey
	case n.Transition == config.Suspect, n.Event.Verdict.State == probe.Degraded, n.Event.Incident.State == alert.Recovering:
		return orange
	}
	return vermilion
}

// blocks go from what happened to where to look: what one reads first stands first, since a phone folds the rest.
func (b slackBody) blocks(n alert.Notification) (blocks []slack.Block) {
	v := n.Event.Verdict
	if s := b.sentence(n); s != "" { // Slack refuses an empty text
		blocks = append(blocks, section(s))
	}
	blocks = append(blocks, section(b.times(n)))
	if rows := slackMembers(n); len(rows) > 0 {
		blocks = append(blocks, section("*Targets*\n"+code(table(rows), limitMembers)))
	}
	blocks = append(blocks, fields(n))
	if n.Advises() {
		blocks = append(blocks, advice(v)...)
	}
	if len(n.Event.Lanes) > 0 {
		blocks = append(blocks, section("*What each lane sees*\n"+code(table(laneRows(n, maxLaneRows)), limitLanes)))
	}
	if len(v.Evidence) > 0 && n.Event.Target != alert.SelfTarget { // of whose sentence it is a part
		blocks = append(blocks, section("*Why*\n"+bullets(v.Evidence, limitEvidence)))
	}
	if len(v.Cleared) > 0 {
		blocks = append(blocks, section("*Cleared*\n"+bullets(cleared(v.Cleared), limitCleared)))
	}
	blocks = append(blocks, toPaste(n)...)
	return append(blocks, slack.NewContextBlock("", mrkdwn(b.context(n))))
}

func section(text string) *slack.SectionBlock { return slack.NewSectionBlock(mrkdwn(text), nil, nil) }

// mrkdwn is text in Slack's markup in which nothing is turned into a link or a mention by itself.
func mrkdwn(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

// inUTC is a time of day as tables show it.
func inUTC(t time.Time) string { return t.UTC().Format("15:04:05.000") }
