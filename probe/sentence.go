package probe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// evidence is a sentence for each lane that says something: the front's failure, and what the others saw.
func (f *facts) evidence() []string {
	out := make([]string, 0, len(f.now.Lanes)+2)
	for i := range f.now.Lanes {
		l := &f.now.Lanes[i]
		if s := sentence(l); s != "" {
			out = append(out, s)
		}
	}
	if gone := f.lateOnes(); gone != "" {
		out = append(out, gone)
	}
	if others := f.otherTargets(); others != "" {
		out = append(out, others)
	}
	if c := f.courseOf(); c.intermittent() {
		out = append(out, c.sentence())
	}
	return out
}

// title names a lane: "front", "proxy stunnel-1", "control of app-1".
func title(l *Lane) string {
	switch l.Lane {
	case LaneVia:
		return strings.TrimSpace(string(l.Role) + " " + l.Hop)
	case LaneBackend:
		if l.Hop == "backend" {
			return "backend"
		}
		return "backend " + l.Hop
	case LaneControl:
		return "control of " + l.Hop
	case LaneVantage:
		return "vantage " + l.Hop
	case LaneHeldOpen:
		if l.Of != "" {
			return "heldopen to " + title(&Lane{Lane: l.Of, Hop: l.Hop, Role: l.Role})
		}
	case LaneFront:
		if l.Extra {
			return "front at " + l.Address
		}
	}
	return string(l.Lane)
}

// sentence says what one lane saw.
func sentence(l *Lane) string {
	if len(l.Stages) == 0 {
		return ""
	}
	if l.Look != "" {
		return lookSentence(l)
	}
	s := failedStage(l)
	switch {
	case s == nil && l.Lane == LaneHeldOpen && l.Of != "":
		return "" // the lane itself says as much
	case s == nil:
		return good(title(l), l)
	case l.Lane == LaneHeldOpen:
		return title(l) + ": " + heldSentence(l, s)
	case l.Lane == LaneVantage && l.answered():
		return title(l) + ": answers (refuses) in " + seconds(s.Duration.Std())
	case s.Type == TLSTimedOut || s.Type == HTTPTimedOut || s.Type == AppTimedOut:
		return strings.Replace(acked(s), "front", title(l), 1)
	case s.Type == TCPTimedOut && s.TCPInfo != nil:
		return fmt.Sprintf("%s/connect: no answer in %s to %s", title(l), seconds(s.Duration.Std()), syns(1+s.TCPInfo.TotalRetrans))
	}
	return fmt.Sprintf("%s/%s: %s after %s", title(l), s.Stage, s.Error, seconds(s.Duration.Std()))
}

// good says what a lane that went well saw, behind the words for whose lane it is. Most rounds are such, so it makes one
// string and nothing else.
func good(who string, l *Lane) string {
	room := make([]byte, 0, 128)
	say := append(append(room, who...), ": "...)
	switch {
	case l.Lane == LaneHeldOpen && l.HeldOpen.Mute:
		return string(appendStamp(append(say, "the peer's kernel answers on the connection of "...), l.HeldOpen.Since))
	case l.Lane == LaneHeldOpen:
		return string(appendStamp(append(say, "answers on the connection of "...), l.HeldOpen.Since))
	case l.HTTP != nil:
		say = strconv.AppendInt(append(say, "HTTP "...), int64(l.HTTP.Status), 10)
	case l.stage(StageRequest) != nil:
		say = append(say, "dialogue as expected"...)
	case l.stage(StageTLS) != nil:
		say = append(say, "TLS handshake"...)
	default:
		say = append(say, "connected"...)
	}
	var total Seconds
	for i := range l.Stages {
		total += l.Stages[i].Duration
	}
	return string(append(append(say, " in "...), rounded(total.Std()).String()...))
}

// heldSentence says what is wrong on a held-open connection.
func heldSentence(l *Lane, s *Stage) string {
	if l.HeldOpen == nil {
		return s.Error
	}
	if !l.HeldOpen.Died.IsZero() {
		return fmt.Sprintf("the old connection ended at %s: %s", stamp(l.HeldOpen.Died), s.Error)
	}
	if l.HeldOpen.Pending.IsZero() {
		return s.Error
	}
	if l.HeldOpen.Mute {
		return fmt.Sprintf("the peer's kernel has acknowledged nothing for %s on the old connection", seconds(silentFor(s.TCPInfo)))
	}
	return fmt.Sprintf("the request of %s is unanswered for %s on the old connection%s",
		stamp(l.HeldOpen.Pending), seconds(s.Duration.Std()), ackedWords(s.TCPInfo))
}

// acked says who has our bytes when a stage stays unanswered.
func acked(s *Stage) string {
	what := "request"
	if s.Stage == StageTLS {
		what = "ClientHello"
	}
	i, took := s.TCPInfo, seconds(s.Duration.Std())
	switch {
	case i.AckedAll():
		return fmt.Sprintf("front/%s: the peer's kernel acknowledged our %s (%d bytes), no reply in %s", s.Stage, what, i.BytesAcked, took)
	case i.Unheard():
		return fmt.Sprintf("front/%s: our %s is not acknowledged (%d of %d bytes, %d retransmission timeouts) in %s",
			s.Stage, what, i.BytesAcked, i.BytesSent, i.Timeouts(), took)
	}
	return fmt.Sprintf("front/%s: no reply to our %s in %s", s.Stage, what, took)
}

func ackedWords(i *tcpinfo.Info) string {
	switch {
	case i.Unheard():
		return ", not acknowledged"
	case i.HeldBack():
		return ", held back by our own kernel"
	case i.AckedAll():
		return ", acknowledged by the peer's kernel"
	}
	return ""
}

// lateOnes says which attempts that were left open have answered since.
func (f *facts) lateOnes() string {
	for _, l := range f.now.Late {
		if l.OK {
			return fmt.Sprintf("%s/%s: the attempt of %s was answered at %s, after %s",
				l.Lane, l.Stage, stamp(l.Started), stamp(l.Ended), seconds(l.Ended.Sub(l.Started)))
		}
	}
	return ""
}

// cleared are the layers that this round exonerates.
func (f *facts) cleared(suspects []Suspect) (out []Cleared) {
	clear := func(l Layer, reason string) {
		if !slices.ContainsFunc(suspects, func(s Suspect) bool { return s.Layer == l }) {
			out = append(out, Cleared{l, reason})
		}
	}
	if s := f.front.stage(StageResolve); s != nil && s.Good() {
		clear(LayerDNS, "the name resolved in "+seconds(s.Duration.Std()))
	}
	if s := f.front.stage(StageConnect); s != nil && s.Good() && s.TCPInfo.Timeouts() == 0 && !f.dataLost() {
		clear(LayerNetwork, fmt.Sprintf("TCP to %s connected in %s, no retransmission timeout", f.front.Address, seconds(s.Duration.Std())))
	}
	if up, _ := f.host(f.front); up || f.front.answered() {
		clear(LayerHost, "the host at "+hostOf(f.front.Address)+" answers")
	}
	if f.backendsFine() {
		clear(LayerBackend, good(f.backends[0].Address+" answers directly", f.backends[0]))
	}
	return out
}

func (f *facts) dataLost() bool {
	return f.failed != nil && f.failed.TCPInfo != nil && (f.failed.TCPInfo.Unheard() || f.failed.TCPInfo.RcvOOO > 0)
}

// seconds shows a duration with three significant digits at most.
func seconds(d time.Duration) string { return rounded(d).String() }

func rounded(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d < time.Second:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}

// stamp is an instant as evidence shows it: UTC, to the millisecond.
func stamp(t time.Time) string { return string(appendStamp(nil, t)) }

func appendStamp(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02 15:04:05.000 UTC")
}

func orNothing(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func syns(n uint32) string {
	if n == 1 {
		return "1 SYN"
	}
	return fmt.Sprintf("%d SYNs", n)
}
