package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// waterfall draws one round: a row per lane with its stages on one common time axis, the durations below it, and
// under a lane that failed what failed and what the kernel knew of it.
type waterfall struct {
	terminal
	verbose bool
	lanes   []probe.Lane
	from    time.Time
	span    time.Duration

	nameWidth, addrWidth, barWidth int
	// column holds the width of each stage's duration text, so that they stand below each other.
	column map[probe.StageName]int
}

// Widths of the fixed parts of a row: margin, symbol and gaps, and the total at its end.
const (
	rowGaps    = 7
	totalWidth = 8
	maxName    = 20
	maxAddress = 28
	minBar     = 12
	leftMargin = 2
	textMargin = 4
)

// newWaterfall lays a round out for a terminal.
func newWaterfall(t terminal, r *probe.Result, verbose bool) *waterfall {
	w := &waterfall{terminal: t, verbose: verbose, lanes: r.Lanes, column: map[probe.StageName]int{}}
	w.from, w.span = extent(r)
	for i := range r.Lanes {
		l := &r.Lanes[i]
		w.nameWidth = max(w.nameWidth, cells(laneName(l)))
		w.addrWidth = max(w.addrWidth, cells(laneAddress(l)))
		for j := range l.Stages {
			if s := &l.Stages[j]; s.Outcome != probe.Skipped {
				w.column[s.Stage] = max(w.column[s.Stage], cells(stageText(s)))
			}
		}
	}
	w.nameWidth, w.addrWidth = min(w.nameWidth, maxName), min(w.addrWidth, maxAddress)
	if room := t.width - rowGaps - totalWidth - minBar - w.nameWidth; w.addrWidth > room {
		w.addrWidth = room
	}
	w.barWidth = t.width - rowGaps - totalWidth - w.nameWidth - w.addrWidth
	return w
}

// extent is when the first stage began and for how long the round went on.
func extent(r *probe.Result) (from time.Time, span time.Duration) {
	from, to := time.Time{}, time.Time{}
	for i := range r.Lanes {
		for j := range r.Lanes[i].Stages {
			s := &r.Lanes[i].Stages[j]
			if s.Started.IsZero() {
				continue
			}
			if from.IsZero() || s.Started.Before(from) {
				from = s.Started
			}
			if s.Ended().After(to) {
				to = s.Ended()
			}
		}
	}
	return from, max(to.Sub(from), 100*time.Microsecond)
}

// draw writes the whole picture.
func (w *waterfall) draw(out io.Writer) {
	if len(w.lanes) == 0 {
		return
	}
	indent := strings.Repeat(" ", leftMargin+2+w.nameWidth+1+w.addrWidth+1)
	fmt.Fprintln(out, w.paint(faint, strings.TrimRight(indent+w.axis(), " ")))
	for i := range w.lanes {
		w.drawLane(out, &w.lanes[i])
	}
	fmt.Fprintln(out, w.paint(faint, strings.Repeat(" ", leftMargin)+w.legend()))
}

// drawLane writes a lane's row and what is to be said below it.
func (w *waterfall) drawLane(out io.Writer, l *probe.Lane) {
	p, mark := w.laneMark(l)
	fmt.Fprintf(out, "%s%s %s %s %s %*s\n", strings.Repeat(" ", leftMargin), w.paint(p, mark),
		w.paint(strong, w.pad(w.clean(laneName(l)), w.nameWidth)), w.pad(w.clean(laneAddress(l)), w.addrWidth),
		w.bar(l), totalWidth, span(laneDuration(l)))
	for _, line := range w.laneText(l) {
		fmt.Fprintf(out, "%s%s\n", strings.Repeat(" ", textMargin), line)
	}
}

// laneMark is the symbol before a lane.
func (w *waterfall) laneMark(l *probe.Lane) (paint, string) {
	if l.Look != "" { // made otherwise than users go, it is no news of theirs; what it tells stands below
		return faint, w.symbol("◦", ".")
	}
	return w.outcomeMark(laneOutcome(l))
}

// outcomeMark is the symbol of an outcome; the symbols differ in form, not only in colour.
func (t terminal) outcomeMark(o probe.Outcome) (paint, string) {
	switch o {
	case probe.OK:
		return good, t.symbol("✓", "+")
	case probe.Slow:
		return warn, t.symbol("◔", "~")
	case probe.Failed:
		return bad, t.symbol("✗", "x")
	}
	return faint, t.symbol("○", "o")
}

// laneOutcome is that of the worst stage: failed, no data, slow, ok. A gateway is asked at a port where it serves nothing:
// that it refuses shows that it is there, that it stays silent shows nothing.
func laneOutcome(l *probe.Lane) probe.Outcome {
	if l.Role == probe.RoleGateway {
		return gatewayOutcome(l)
	}
	rank := map[probe.Outcome]int{probe.OK: 1, probe.Slow: 2, probe.NoData: 3, probe.Failed: 4}
	worst := probe.Skipped
	for i := range l.Stages {
		if o := l.Stages[i].Outcome; rank[o] > rank[worst] {
			worst = o
		}
	}
	return worst
}

func gatewayOutcome(l *probe.Lane) probe.Outcome {
	s := stageOf(l, probe.StageConnect)
	switch {
	case s != nil && (s.Good() || s.Type == probe.TCPRefused):
		return probe.OK
	case s != nil && s.Type == probe.TCPUnreachable:
		return probe.Failed
	}
	return probe.NoData
}

// laneName is what a person calls the lane.
func laneName(l *probe.Lane) string {
	if l.Look != "" {
		return lookName(l)
	}
	switch l.Lane {
	case probe.LaneFront:
		return "front"
	case probe.LaneVia:
		return l.Hop
	case probe.LaneBackend:
		if l.Hop == "" {
			return "backend"
		}
		return strings.TrimSpace("backend " + strings.TrimPrefix(strings.TrimPrefix(l.Hop, "backend"), " "))
	case probe.LaneControl:
		return "control " + l.Hop
	case probe.LaneHeldOpen:
		if l.Of != "" {
			return "held open, " + laneName(&probe.Lane{Lane: l.Of, Hop: l.Hop})
		}
		return "held open"
	}
	return l.Hop
}

// lookName names a look, and the lane that it explains unless that is the front.
func lookName(l *probe.Lane) string {
	name := strings.ReplaceAll(string(l.Look), "_", " ")
	if l.Lane == probe.LaneVia {
		name += ", " + l.Hop
	}
	return name
}

// laneAddress is the literal address, else the name that gave none.
func laneAddress(l *probe.Lane) string {
	if l.Address != "" {
		return l.Address
	}
	return l.Name
}

// laneDuration is from the beginning of the first stage to the end of the last.
func laneDuration(l *probe.Lane) time.Duration {
	var from, to time.Time
	for i := range l.Stages {
		if s := &l.Stages[i]; !s.Started.IsZero() {
			if from.IsZero() {
				from = s.Started
			}
			to = s.Ended()
		}
	}
	return to.Sub(from)
}

// span writes a duration with three digits and its unit.
func span(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d <= 0:
		return "-"
	case ms < 1:
		return fmt.Sprintf("%.2f ms", max(ms, 0.01))
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 999.5:
		return fmt.Sprintf("%.0f ms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// axis is the line of tick labels: at round times, far enough apart to be read.
func (w *waterfall) axis() string {
	step := tickStep(w.span, w.barWidth)
	line := []rune(strings.Repeat(" ", w.barWidth+totalWidth+1))
	for at := time.Duration(0); at <= w.span; at += step {
		label := []rune(w.symbol("╷", "|") + tickLabel(at, step))
		if pos := w.cell(at); pos+len(label) <= len(line) {
			copy(line[pos:], label)
		}
	}
	return string(line)
}

// tickStep is the smallest of 1, 2 and 5 times a power of ten that leaves 8 cells for a label.
func tickStep(total time.Duration, width int) time.Duration {
	least := float64(total) * 8 / float64(width)
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, f := range []float64{1, 2, 5, 10} {
		if f*power >= least {
			return time.Duration(f * power)
		}
	}
	return total
}

// tickLabel writes a tick's time in the unit that fits the step.
func tickLabel(at, step time.Duration) string {
	unit, name := time.Millisecond, "ms"
	if step >= 100*time.Millisecond {
		unit, name = time.Second, "s"
	}
	if at == 0 {
		return "0"
	}
	return fmt.Sprintf("%.4g %s", float64(at)/float64(unit), name)
}

// cell is the column of the bar in which an instant lies.
func (w *waterfall) cell(at time.Duration) int {
	return int(int64(at) * int64(w.barWidth) / int64(w.span+1))
}

// shades tell stages apart without colour.
var shades = map[probe.StageName][2]string{
	probe.StageResolve:  {"░", "."},
	probe.StageConnect:  {"▒", "-"},
	probe.StageTLS:      {"▓", "="},
	probe.StageRequest:  {"█", "#"},
	probe.StageResponse: {"▄", "+"},
}

// legend explains the shades of the stages that occur.
func (w *waterfall) legend() string {
	var parts []string
	for _, name := range probe.StageNames {
		if _, ok := w.column[name]; ok {
			parts = append(parts, w.symbol(shades[name][0], shades[name][1])+" "+string(name))
		}
	}
	if slices.ContainsFunc(w.lanes, func(l probe.Lane) bool { return l.Look != "" }) {
		parts = append(parts, w.symbol("◦", ".")+" further look")
	}
	return strings.Join(parts, "  ")
}

// bar draws a lane's stages on the common axis: the shade tells the stage, the colour its outcome, a cross ends the
// stage that failed.
func (w *waterfall) bar(l *probe.Lane) string {
	owner := make([]*probe.Stage, w.barWidth)
	longest := make([]time.Duration, w.barWidth)
	var failed *probe.Stage
	for i := range l.Stages {
		s := &l.Stages[i]
		if s.Started.IsZero() {
			continue
		}
		w.claim(owner, longest, s)
		if s.Outcome == probe.Failed && laneOutcome(l) == probe.Failed && l.Look == "" {
			failed = s
		}
	}
	var b strings.Builder
	for i, s := range owner {
		switch {
		case s == nil:
			b.WriteByte(' ')
		case s == failed && i == w.cell(s.Ended().Sub(w.from)):
			b.WriteString(w.paint(bad, w.symbol("✗", "x")))
		default:
			p, _ := w.outcomeMark(s.Outcome)
			if l.Role == probe.RoleGateway || l.Look != "" {
				p, _ = w.laneMark(l)
			}
			b.WriteString(w.paint(p, w.symbol(shades[s.Stage][0], shades[s.Stage][1])))
		}
	}
	return b.String()
}

// claim gives a stage every cell of which it fills more than the stages before it. The cell in which a failure ends
// always belongs to it, so that a quick failure is not hidden by a quick success.
func (w *waterfall) claim(owner []*probe.Stage, longest []time.Duration, s *probe.Stage) {
	begin, end := s.Started.Sub(w.from), s.Ended().Sub(w.from)
	for i := w.cell(begin); i <= w.cell(end) && i < w.barWidth; i++ {
		lo := time.Duration(int64(i) * int64(w.span) / int64(w.barWidth))
		hi := time.Duration(int64(i+1) * int64(w.span) / int64(w.barWidth))
		share := min(hi, end) - max(lo, begin)
		if owner[i] == nil || share > longest[i] || (s.Outcome == probe.Failed && i == w.cell(end)) {
			owner[i], longest[i] = s, share
		}
	}
}
