package alert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// Times of a simulated world are durations since its begin.

// String is it in seconds.
func (s stretch) String() string {
	return fmt.Sprintf("%.3f to %.3f", s.from.Seconds(), s.to.Seconds())
}

// stretch is a time from an instant (included) to another (excluded).
type stretch struct{ from, to time.Duration }

func (s stretch) holds(t time.Duration) bool { return s.from <= t && t < s.to }

// simFault is what a component suffers from for a while.
type simFault struct {
	stretch
	what simMechanism
	// where is the number of the front, backend, subnet or resolver.
	where int
	// share is how many of the attempts meet it; 1 is a hard fault.
	share float64
	// unsure is in how many rounds of a target its cause cannot be told yet.
	unsure int
}

func (f simFault) String() string {
	return fmt.Sprintf("%s at %d %v share %.1f unsure %d", simVerdicts[f.what].truth.Cause, f.where, f.stretch, f.share, f.unsure)
}

// simMechanism is how something fails.
type simMechanism int

const (
	simRefused    simMechanism = iota // front: refused at once
	simFrozen                         // front: acknowledged and silent
	simSlow                           // front: serves after a second or two
	simMemberDead                     // front: refused at one of its addresses
	simDropped                        // subnet: no SYN is answered
	simLost                           // subnet: data is not acknowledged
	simStatus                         // backend: an error status
	simNames                          // resolver: silent
	simMechanisms
)

// simVerdicts is the truth about each mechanism, and what it looks like at first.
var simVerdicts = [simMechanisms]struct{ truth, decoy probe.Suspect }{
	simRefused:    {probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseProcessDead}, probe.Suspect{Layer: probe.LayerNetwork, Cause: probe.CauseFirewallReset}},
	simFrozen:     {probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}, probe.Suspect{Layer: probe.LayerNetwork, Cause: probe.CauseDataDropped}},
	simSlow:       {probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseSlow}, probe.Suspect{Layer: probe.LayerBackend, Cause: probe.CauseSlow}},
	simMemberDead: {probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseProcessDead}, probe.Suspect{Layer: probe.LayerHost, Cause: probe.CauseHostDown}},
	simDropped:    {probe.Suspect{Layer: probe.LayerNetwork, Cause: probe.CausePortDropped}, probe.Suspect{Layer: probe.LayerHost, Cause: probe.CauseHostDown}},
	simLost:       {probe.Suspect{Layer: probe.LayerNetwork, Cause: probe.CauseDataDropped}, probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}},
	simStatus:     {probe.Suspect{Layer: probe.LayerBackend, Cause: probe.CauseErrorStatus}, probe.Suspect{Layer: probe.LayerProxy, Cause: probe.CauseErrorStatus}},
	simNames:      {probe.Suspect{Layer: probe.LayerDNS, Cause: probe.CauseTimedOut}, probe.Suspect{Layer: probe.LayerNetwork, Cause: probe.CausePortDropped}},
}

// simTarget is a target and the truth about it.
type simTarget struct {
	cfg                      config.Target
	rand                     *rand.Rand
	cal                      *calendar
	every, horizon           time.Duration
	front, subnet, backend   int
	members                  int // addresses of the front's name; the second may be dead
	heldOpen                 bool
	noise, blind             float64
	certEnds                 time.Time // zero: it has none
	certRenewed              time.Duration
	faults                   []*simFault
	seen                     map[*simFault]int
	said                     map[simPicture]bool // the verdicts that were given
	round                    uint64
	firstLook, lastLook      time.Duration // the last one is one that saw something
	unknown                  bool          // nothing of it is on disk
	loop                     int           // counts who looks: one at a time
	hanging                  []simHang
	beat                     simBeat
	at                       time.Duration // where the round that is being made stands
	blindRounds              []stretch
	frontAddress, badAddress string
	onBad                    bool // the round goes to badAddress
}

// simPicture is what must not change of a verdict on its way to people.
type simPicture struct {
	layer probe.Layer
	cause probe.Cause
	how   probe.Confidence
}

func pictureOf(v *probe.Verdict) simPicture { return simPicture{v.Layer, v.Cause, v.Confidence} }

type simHang struct {
	started time.Duration
	round   uint64
}

// simBeat is the held-open connection of one process.
type simBeat struct {
	next, sent, answered, pending, missed time.Duration // -1: never
}

func (t *simTarget) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(t.rand.Int64N(int64(hi-lo)+1))
}

// begin starts a process: what was held open or left open ended with the one before.
func (t *simTarget) begin(now time.Duration) {
	t.hanging, t.beat = nil, simBeat{now + 300*time.Millisecond, -1, -1, -1, -1}
}

// meets tells whether a fault has to do with this target.
func (t *simTarget) meets(f *simFault) bool {
	switch f.what {
	case simDropped, simLost:
		return f.where == t.subnet
	case simStatus:
		return f.where == t.backend
	case simNames:
		return true
	case simMemberDead:
		return f.where == t.front && t.members > 1
	}
	return f.where == t.front
}

// find is the fault of one of some kinds that an attempt meets now; of several, the one that lasts longest.
func (t *simTarget) find(kinds ...simMechanism) (found *simFault) {
	for _, f := range t.faults {
		if !f.holds(t.at) || f.what == simMemberDead && !t.onBad || f.share < 1 && t.rand.Float64() >= f.share {
			continue
		}
		if slices.Contains(kinds, f.what) && (found == nil || f.to > found.to) {
			found = f
		}
	}
	return found
}

// look makes a round that begins at an instant, and returns when it is over.
func (t *simTarget) look(start time.Duration) (*probe.Result, probe.Verdict, time.Duration) {
	t.at = start
	t.round++
	if t.unknown {
		t.firstLook, t.unknown = start, false
	}
	r := &probe.Result{Target: t.cfg.Name, Round: t.round, Due: t.cal.at(start), Started: t.cal.at(start), Trigger: probe.BySchedule}
	if t.blind > 0 && t.at < t.horizon && t.rand.Float64() < t.blind {
		return t.cannotLook(r, t.between(time.Millisecond, 50*time.Millisecond))
	}
	n := strconv.FormatUint(t.round, 10)
	t.onBad = t.members > 1 && int(t.round)%t.members == 1
	front := probe.Lane{Lane: probe.LaneFront, Address: t.frontAddress, Local: "10.0.9.4:" + n, RequestID: "r" + n}
	if t.onBad {
		front.Address = t.badAddress
	}
	r.Lanes = make([]probe.Lane, 0, 3)
	front.Stages = make([]probe.Stage, 0, 4)
	v := t.walk(&front)
	r.Lanes = append(r.Lanes, front)
	if v.Cause == probe.CauseErrorStatus {
		r.Lanes = append(r.Lanes, t.backendLane())
	}
	if t.heldOpen {
		r.Lanes = append(r.Lanes, t.heldOpenLane(t.at))
	}
	r.Ended = t.cal.at(t.at)
	t.lateAnswers(r)
	t.said[pictureOf(&v)] = true
	return r, v, t.at
}

// cannotLook is a round in which the prober was the trouble.
func (t *simTarget) cannotLook(r *probe.Result, took time.Duration) (*probe.Result, probe.Verdict, time.Duration) {
	t.at += took
	r.Ended = t.cal.at(t.at)
	return r, probe.Verdict{State: probe.Unknown, Layer: probe.LayerProber, Cause: probe.CauseOutOfFiles}, t.at
}

func (t *simTarget) backendLane() probe.Lane {
	s := probe.Stage{Stage: probe.StageRequest, Outcome: probe.Failed, Type: probe.HTTPStatus, Started: t.cal.at(t.at), Duration: probe.Seconds(time.Millisecond)}
	return probe.Lane{Lane: probe.LaneBackend, Hop: "app", Address: "10.9.0." + strconv.Itoa(t.backend) + ":8080", Stages: []probe.Stage{s}}
}

// walk goes through the front lane's stages.
func (t *simTarget) walk(l *probe.Lane) probe.Verdict {
	if f := t.find(simNames); f != nil {
		if t.askNames(l, f) {
			return t.verdict(f)
		}
	}
	if t.noise > 0 && t.at < t.horizon && t.rand.Float64() < t.noise {
		t.stage(l, probe.StageConnect, t.between(time.Millisecond, 20*time.Millisecond), probe.TCPReset, nil)
		return down(probe.LayerNetwork, probe.CauseFirewallReset, probe.Likely)
	}
	if f := t.connect(l); f != nil {
		return t.verdict(f)
	}
	if f := t.handshake(l); f != nil {
		return t.verdict(f)
	}
	if f := t.request(l); f != nil {
		return t.verdict(f)
	}
	if !t.certEnds.IsZero() {
		return t.certificate(l)
	}
	return probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone, Confidence: probe.Confirmed}
}

// askNames asks the resolver every half second; it returns true when no question is answered.
func (t *simTarget) askNames(l *probe.Lane, f *simFault) bool {
	start := t.at
	for t.at < start+2*time.Second {
		if !f.holds(t.at) || t.at > start && f.share < 1 && t.rand.Float64() >= f.share {
			took := t.at - start + 2*time.Millisecond
			t.at = start
			t.stage(l, probe.StageResolve, took, "", nil)
			return false
		}
		t.at += 500 * time.Millisecond
	}
	t.at = start
	t.stage(l, probe.StageResolve, 2*time.Second, probe.DNSTimedOut, nil)
	l.Stages[len(l.Stages)-1].Asked = []probe.Asked{{Server: "10.0.0.53:53"}}
	l.Address = ""
	return true
}

func (t *simTarget) connect(l *probe.Lane) *simFault {
	f := t.find(simRefused, simDropped, simMemberDead)
	switch {
	case f == nil:
	case f.what == simDropped:
		// The SYN goes out again each second; the first one after the end of the fault is answered.
		if again := t.resend(f, time.Second); again-t.at < connectTimeout {
			t.stage(l, probe.StageConnect, again-t.at, "", nil)
			return nil
		}
		t.stage(l, probe.StageConnect, connectTimeout, probe.TCPTimedOut, &tcpinfo.Info{State: tcpinfo.SynSent, Unacked: 1, RTO: 1e6})
		return f
	default:
		t.stage(l, probe.StageConnect, t.between(0, 2*time.Millisecond), probe.TCPRefused, &tcpinfo.Info{State: tcpinfo.Close})
		return f
	}
	t.stage(l, probe.StageConnect, t.between(0, 2*time.Millisecond), "", nil)
	return nil
}

func (t *simTarget) resend(f *simFault, rto time.Duration) time.Duration {
	at := t.at
	for at <= f.to {
		at += rto
	}
	return at
}

func (t *simTarget) handshake(l *probe.Lane) *simFault {
	f := t.find(simFrozen)
	switch {
	case f == nil:
		t.stage(l, probe.StageTLS, t.between(time.Millisecond, 10*time.Millisecond), "", nil)
	case f.to-t.at < tlsTimeout:
		t.stage(l, probe.StageTLS, f.to-t.at+t.between(time.Millisecond, 70*time.Millisecond), "", nil)
	default:
		if len(t.hanging) < 2 {
			t.hanging = append(t.hanging, simHang{t.at, t.round})
			l.Hanging = true
		}
		t.stage(l, probe.StageTLS, tlsTimeout, probe.TLSTimedOut, &tcpinfo.Info{State: tcpinfo.Established, BytesAcked: 1506})
		return f
	}
	return nil
}

func (t *simTarget) request(l *probe.Lane) *simFault {
	f := t.find(simLost, simStatus, simSlow)
	switch {
	case f == nil:
	case f.what == simLost:
		if again := t.resend(f, 800*time.Millisecond); again-t.at < requestTimeout {
			t.stage(l, probe.StageRequest, again-t.at, "", nil)
			return nil
		}
		t.stage(l, probe.StageRequest, requestTimeout, probe.HTTPTimedOut, &tcpinfo.Info{State: tcpinfo.Established, Unacked: 2, RTO: 800e3})
		return f
	case f.what == simStatus:
		t.stage(l, probe.StageRequest, t.between(time.Millisecond, 5*time.Millisecond), probe.HTTPStatus, &tcpinfo.Info{State: tcpinfo.Established, RTT: 5000})
		return f
	default:
		t.stage(l, probe.StageRequest, t.between(time.Second, 2*time.Second), "", nil)
		l.Stages[len(l.Stages)-1].Outcome = probe.Slow
		return f
	}
	t.stage(l, probe.StageRequest, t.between(time.Millisecond, 5*time.Millisecond), "", nil)
	return nil
}

// certificate is the verdict of a round that went well.
func (t *simTarget) certificate(l *probe.Lane) probe.Verdict {
	l.TLS = &probe.TLSFacts{NotAfter: t.certEnds, MinDays: 14}
	if t.at >= t.certRenewed {
		l.TLS.NotAfter = t.certEnds.AddDate(0, 3, 0)
	}
	if !l.TLS.NotAfter.Before(t.cal.at(t.at).AddDate(0, 0, 14)) {
		return probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone, Confidence: probe.Confirmed}
	}
	v := down(probe.LayerProxy, probe.CauseCertExpires, probe.Likely)
	v.State = probe.Degraded
	return v
}

// verdict is what the world says about a fault: at first, of some, that it is one of two.
func (t *simTarget) verdict(f *simFault) probe.Verdict {
	t.seen[f]++
	x := simVerdicts[f.what]
	v := down(x.truth.Layer, x.truth.Cause, probe.Likely)
	switch {
	case t.seen[f] <= f.unsure:
		v.Layer, v.Cause, v.Confidence, v.Suspects = x.decoy.Layer, x.decoy.Cause, probe.Ambiguous, []probe.Suspect{x.decoy, x.truth}
	case f.what == simRefused || f.what == simStatus:
		v.Confidence = probe.Confirmed
	}
	if f.what == simSlow {
		v.State = probe.Degraded
	}
	return v
}

func (t *simTarget) stage(l *probe.Lane, name probe.StageName, d time.Duration, kind probe.Type, info *tcpinfo.Info) {
	s := probe.Stage{Stage: name, Outcome: probe.OK, Started: t.cal.at(t.at), Duration: probe.Seconds(d), TCPInfo: info}
	if kind != "" {
		s.Outcome, s.Type, s.Code = probe.Failed, kind, kind.Code()
	}
	l.Stages = append(l.Stages, s)
	t.at += d
}

// heldOpenLane is what the held-open connection says at an instant. It makes a request each second.
func (t *simTarget) heldOpenLane(now time.Duration) probe.Lane {
	b := &t.beat
	for b.next < now {
		f := t.breaksHeldOpen(b.next)
		if f == nil {
			*b = simBeat{b.next + time.Second, b.next, b.next + 3*time.Millisecond, -1, -1}
			continue
		}
		// The request hangs until the fault ends; that is late or very late.
		b.pending = b.next
		if missed := b.next + missedAfter; missed < now && b.missed < 0 && f.to > missed {
			b.missed = missed
		}
		answered := f.to + t.between(time.Millisecond, 60*time.Millisecond)
		if answered >= now {
			break
		}
		*b = simBeat{answered + time.Second, b.sent, b.answered, -1, -1}
	}
	facts := &probe.HeldOpenFacts{}
	for _, x := range []struct {
		to *time.Time
		at time.Duration
	}{{&facts.LastGoodSent, b.sent}, {&facts.LastGoodAnswered, b.answered}, {&facts.Pending, b.pending}, {&facts.Missed, b.missed}} {
		if x.at >= 0 {
			*x.to = t.cal.at(x.at)
		}
	}
	return probe.Lane{Lane: probe.LaneHeldOpen, HeldOpen: facts}
}

// breaksHeldOpen is the fault that a request on an established connection meets.
func (t *simTarget) breaksHeldOpen(at time.Duration) *simFault {
	was := t.at
	t.at = at
	defer func() { t.at = was }()
	return t.find(simRefused, simFrozen, simDropped, simLost, simStatus)
}

// lateAnswers ends the attempts that hung, once their fault is over.
func (t *simTarget) lateAnswers(r *probe.Result) {
	kept := t.hanging[:0]
	for _, h := range t.hanging {
		end := time.Duration(-1)
		for _, f := range t.faults {
			if f.what == simFrozen && f.holds(h.started) {
				end = f.to + t.between(time.Millisecond, 70*time.Millisecond)
			}
		}
		if end < 0 || end > t.at {
			kept = append(kept, h)
			continue
		}
		r.Late = append(r.Late, probe.LateAnswer{Lane: probe.LaneFront, Round: h.round, Stage: probe.StageTLS, Started: t.cal.at(h.started), Ended: t.cal.at(end), OK: true})
	}
	t.hanging = kept
}
