package alert

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// A world is a target whose truth is known: it breaks and heals at instants of its own, and is looked at the way the
// daemon does, with made-up time.
type world struct {
	rand     *rand.Rand
	every    time.Duration // schedule
	heldOpen bool
	outages  []outage
	// Noise is the chance that a round fails for no reason, blind that it cannot look.
	noise, blind float64
	pauses       []span // the prober does not run
	// addresses is how many the name leads to, if several; each round goes to one of them by chance, number address.
	// Outages hit the one with the number only; 0 for all.
	addresses, address, only int

	// saw, if set, gets each round, its verdict and what the tracker made of it; gap each pause.
	saw func(*probe.Result, probe.Verdict, Step)
	gap func(probe.Gap)

	now     time.Time
	round   uint64
	hanging []hang
	beat    heartbeat
}

type span struct{ from, to time.Time }

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// outage is a span in which one mechanism is broken, for a share of the attempts (1 is a hard fault).
type outage struct {
	span
	mechanism mechanism
	share     float64
}

type mechanism int

const (
	refused mechanism = iota // connect is refused at once
	dropped                  // SYN is not answered, retransmitted every second
	frozen_                  // acknowledged and silent; attempts that hang are answered when it thaws
	status                   // an error status
	lost                     // data is not acknowledged
	newOnly                  // new connections are dropped, the held-open one serves on
	mechanisms
)

type hang struct {
	started time.Time
	round   uint64
}

// heartbeat is the held-open connection's state.
type heartbeat struct {
	facts probe.HeldOpenFacts
	next  time.Time
}

var epoch = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)

const (
	tlsTimeout     = 3 * time.Second
	connectTimeout = 4 * time.Second
	requestTimeout = 5 * time.Second
	missedAfter    = 1200 * time.Millisecond
)

func (w *world) ms(lo, hi int) time.Duration {
	return time.Duration(lo)*time.Millisecond + time.Duration(w.rand.Int64N(int64(time.Duration(hi-lo+1)*time.Millisecond)))
}

// at finds the outage that an attempt at t meets.
func (w *world) at(t time.Time) *outage {
	for i := range w.outages {
		if o := &w.outages[i]; o.holds(t) && (w.only == 0 || w.only == w.address) && (o.share == 1 || w.rand.Float64() < o.share) {
			return o
		}
	}
	return nil
}

// look makes one round that starts now, and moves the time to its end.
func (w *world) look(by probe.Trigger) (*probe.Result, probe.Verdict) {
	w.round++
	r := &probe.Result{Target: "orders", Round: w.round, Due: w.now, Started: w.now, Trigger: by}
	if w.rand.Float64() < w.blind {
		w.now = w.now.Add(w.ms(1, 50))
		r.Ended = w.now
		return r, probe.Verdict{State: probe.Unknown, Layer: probe.LayerProber, Cause: probe.CauseOutOfFiles}
	}
	front := probe.Lane{Lane: probe.LaneFront, Address: "10.0.0.10:443", Local: "10.0.9.4:" + strconv.Itoa(40000+int(w.round%20000)),
		RequestID: "r" + strconv.FormatUint(w.round, 10)}
	if w.addresses > 0 {
		w.address = 1 + w.rand.IntN(w.addresses)
		front.Address = addressNumber(w.address)
		for n := range w.addresses {
			front.Addresses = append(front.Addresses, addressNumber(n+1))
		}
	}
	v := w.walk(&front)
	r.Lanes = append(r.Lanes, front)
	if w.addresses > 1 && v.State.Bad() {
		v = w.lookAtOthers(r, v)
	}
	if w.heldOpen {
		w.beatUntil(w.now)
		facts := w.beat.facts
		r.Lanes = append(r.Lanes, probe.Lane{Lane: probe.LaneHeldOpen, HeldOpen: &facts})
	}
	r.Lanes = append(r.Lanes, w.gossip()...)
	r.Ended = w.now
	w.lateAnswers(r)
	return r, v
}

func addressNumber(n int) string { return "10.0.0." + strconv.Itoa(n) + ":443" }

// lookAtOthers adds what a round sees of three other addresses. Users are served when one of them serves.
func (w *world) lookAtOthers(r *probe.Result, v probe.Verdict) probe.Verdict {
	at, broken := w.now, w.address
	for n := 1; n <= w.addresses && len(r.Lanes) < 4; n++ {
		if n == broken {
			continue
		}
		w.address, w.now = n, at
		l := probe.Lane{Lane: probe.LaneFront, Extra: true, Address: addressNumber(n)}
		if w.walk(&l).State == probe.Up {
			v.State = probe.Degraded
		}
		r.Lanes = append(r.Lanes, l)
	}
	w.address, w.now = broken, at
	return v
}

// gossip are held-open connections beside lanes that the world does not have: what they say must move nothing.
func (w *world) gossip() (out []probe.Lane) {
	for _, of := range []probe.LaneKind{probe.LaneVia, probe.LaneBackend, probe.LaneControl} {
		l := probe.Lane{Lane: probe.LaneHeldOpen, Of: of, Role: probe.RoleProxy, HeldOpen: &probe.HeldOpenFacts{Mute: of == probe.LaneControl,
			LastGoodSent: w.now.Add(-w.ms(0, 30_000)), GoodSince: w.now.Add(-w.ms(0, 30_000)), LastGoodAnswered: w.now}}
		if w.rand.IntN(2) == 0 {
			l.HeldOpen.Missed = w.now.Add(-w.ms(0, 30_000))
		}
		out = append(out, l)
	}
	return out
}

// walk goes through the front lane's stages.
func (w *world) walk(l *probe.Lane) probe.Verdict {
	if w.noise > 0 && w.rand.Float64() < w.noise {
		w.stage(l, probe.StageConnect, w.ms(1, 20), probe.TCPReset, nil)
		return down(probe.LayerNetwork, probe.CauseFirewallReset, probe.Likely)
	}
	if o := w.at(w.now); o != nil {
		switch o.mechanism {
		case refused:
			w.stage(l, probe.StageConnect, w.ms(0, 2), probe.TCPRefused, &tcpinfo.Info{State: tcpinfo.Close})
			return down(probe.LayerProxy, probe.CauseProcessDead, probe.Confirmed)
		case dropped, newOnly:
			// The SYN goes out again each second; the first one after the end of the fault is answered.
			if again := nextResend(w.now, o.to, time.Second); again.Sub(w.now) < connectTimeout {
				w.stage(l, probe.StageConnect, again.Sub(w.now), "", nil)
				break
			}
			w.stage(l, probe.StageConnect, connectTimeout, probe.TCPTimedOut, &tcpinfo.Info{State: tcpinfo.SynSent, Unacked: 1, RTO: 1e6})
			if o.mechanism == newOnly {
				return down(probe.LayerNetwork, probe.CauseNewDropped, probe.Likely)
			}
			return down(probe.LayerNetwork, probe.CausePortDropped, probe.Ambiguous)
		}
	}
	if len(l.Stages) == 0 {
		w.stage(l, probe.StageConnect, w.ms(0, 2), "", nil)
	}
	if o := w.at(w.now); o != nil && o.mechanism == frozen_ {
		if o.to.Sub(w.now) >= tlsTimeout {
			started := w.now
			w.stage(l, probe.StageTLS, tlsTimeout, probe.TLSTimedOut, &tcpinfo.Info{State: tcpinfo.Established, BytesAcked: 1506})
			if len(w.hanging) < 2 {
				w.hanging = append(w.hanging, hang{started, w.round})
				l.Hanging = true
			}
			return down(probe.LayerProxy, probe.CauseFrozen, probe.Likely)
		}
		w.stage(l, probe.StageTLS, o.to.Sub(w.now)+w.ms(1, 70), "", nil)
	} else {
		w.stage(l, probe.StageTLS, w.ms(1, 10), "", nil)
	}
	if o := w.at(w.now); o != nil {
		switch o.mechanism {
		case lost:
			if again := nextResend(w.now, o.to, 800*time.Millisecond); again.Sub(w.now) < requestTimeout {
				w.stage(l, probe.StageRequest, again.Sub(w.now), "", nil)
				break
			}
			w.stage(l, probe.StageRequest, requestTimeout, probe.HTTPTimedOut, &tcpinfo.Info{State: tcpinfo.Established, Unacked: 2, RTO: 800e3})
			return down(probe.LayerNetwork, probe.CauseDataDropped, probe.Likely)
		case status:
			w.stage(l, probe.StageRequest, w.ms(1, 5), probe.HTTPStatus, &tcpinfo.Info{State: tcpinfo.Established, RTT: 5000})
			return down(probe.LayerBackend, probe.CauseErrorStatus, probe.Confirmed)
		}
	}
	w.stage(l, probe.StageRequest, w.ms(1, 5), "", nil)
	return probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone, Confidence: probe.Confirmed}
}

// nextResend is when a packet that is sent first at t and then every rto is sent after the fault's end.
func nextResend(t, end time.Time, rto time.Duration) time.Time {
	for !t.After(end) {
		t = t.Add(rto)
	}
	return t
}

func (w *world) stage(l *probe.Lane, name probe.StageName, d time.Duration, t probe.Type, info *tcpinfo.Info) {
	s := probe.Stage{Stage: name, Outcome: probe.OK, Started: w.now, Duration: probe.Seconds(d), TCPInfo: info}
	if t != "" {
		s.Outcome, s.Type, s.Code = probe.Failed, t, t.Code()
	}
	l.Stages = append(l.Stages, s)
	w.now = w.now.Add(d)
}

func down(l probe.Layer, c probe.Cause, how probe.Confidence) probe.Verdict {
	return probe.Verdict{State: probe.Down, Layer: l, Cause: c, Confidence: how, Suspects: []probe.Suspect{{Layer: l, Cause: c}},
		Evidence: []string{"made up"}, Rule: "world"}
}

// beatUntil makes the held-open connection's requests, one a second.
func (w *world) beatUntil(t time.Time) {
	b := &w.beat
	if b.next.IsZero() {
		b.next = epoch.Add(300 * time.Millisecond)
	}
	for b.next.Before(t) {
		o := w.broken(b.next)
		if o == nil {
			b.facts = probe.HeldOpenFacts{LastGoodSent: b.next, LastGoodAnswered: b.next.Add(3 * time.Millisecond), Answered: b.facts.Answered + 1}
			b.next = b.next.Add(time.Second)
			continue
		}
		// The request hangs until the fault ends; that is late or very late.
		b.facts.Pending = b.next
		if missed := b.next.Add(missedAfter); missed.Before(t) && b.facts.Missed.IsZero() && o.to.After(missed) {
			b.facts.Missed = missed
		}
		answered := o.to.Add(w.ms(1, 60))
		if !answered.Before(t) {
			return
		}
		b.facts = probe.HeldOpenFacts{LastGoodSent: b.next, LastGoodAnswered: answered, Answered: b.facts.Answered + 1}
		b.next = answered.Add(time.Second)
	}
}

// broken tells what a request on an established connection meets.
func (w *world) broken(t time.Time) *outage {
	if o := w.at(t); o != nil && o.mechanism != newOnly {
		return o
	}
	return nil
}

// lateAnswers ends the attempts that hung, once their fault is over.
func (w *world) lateAnswers(r *probe.Result) {
	kept := w.hanging[:0]
	for _, h := range w.hanging {
		var end time.Time
		for i := range w.outages {
			if w.outages[i].holds(h.started) {
				end = w.outages[i].to.Add(w.ms(1, 70))
			}
		}
		if end.IsZero() || end.After(w.now) {
			kept = append(kept, h)
			continue
		}
		r.Late = append(r.Late, probe.LateAnswer{Lane: probe.LaneFront, Round: h.round, Stage: probe.StageTLS, Started: h.started, Ended: end, OK: true})
	}
	w.hanging = kept
}

// run looks at the world until the end, as the daemon does, and gives every event to saw.
func (w *world) run(until time.Time, detect config.Detect, saw func(Event)) *Tracker {
	n := 0
	tr := NewTracker("orders", detect, func(t time.Time) string { n++; return t.Format("150405") + "-" + strconv.Itoa(n) })
	w.now = epoch
	for w.now.Before(until) {
		r, v := w.look(probe.BySchedule)
		step := tr.Observe(r, v)
		if w.saw != nil {
			w.saw(r, v, step)
		}
		for _, e := range step.Events {
			saw(e)
		}
		wait := w.every
		if step.Next > 0 && step.Next < wait {
			wait = step.Next
		}
		w.now = w.now.Add(wait)
		for _, p := range w.pauses {
			if p.holds(w.now) {
				w.now = p.to
				g := probe.Gap{From: p.from, To: p.to, Reason: "paused"}
				if w.gap != nil {
					w.gap(g)
				}
				for _, e := range tr.Gap(g) {
					saw(e)
				}
			}
		}
	}
	return tr
}
