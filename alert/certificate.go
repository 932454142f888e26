package alert

import (
	"fmt"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

const (
	// sureLooks is how often a certificate must be seen before it counts: one odd answer is nobody's certificate.
	sureLooks = 2
	// goneLooks is after how many looks in a row at its address that showed another one a certificate is taken for replaced;
	// goneAfterReturn is the same for one that had come back before, because several boxes share the address.
	goneLooks       = 3
	goneAfterReturn = 60
	// maxCertificates bounds the memory of addresses behind a name that changes them all the time.
	maxCertificates = 128
)

// laterSteps are for how many days a certificate is still valid when people are told again, after the first time that is
// configured.
var laterSteps = []int{7, 1}

// CertificateWatch makes an incident of a certificate that ends soon: one for all of a target's addresses, told once at
// each step, and over when no address shows such a certificate any more. It is no outage and stands beside the
// [Tracker]'s incident. It is pure: it knows no clock and does no I/O. It is not safe for concurrent use.
type CertificateWatch struct {
	target string
	newID  func(time.Time) string
	s      certificateState
}

// certificateState is everything that a watch remembers, as plain data.
type certificateState struct {
	Seen []certificate
	// Incident is nil while all is well. Step is how many days were left at the step that was told last.
	Incident *Incident `json:",omitempty"`
	Step     int       `json:",omitempty"`
	// Last is when a certificate that ends soon was last seen, LastAddress where, Fine when there was first another one
	// after that.
	Last        time.Time `json:",omitzero"`
	LastAddress string    `json:",omitempty"`
	Fine        time.Time `json:",omitzero"`
}

// certificate is one that an address of the front showed.
type certificate struct {
	Address  string
	NotAfter time.Time
	MinDays  int
	// First is when it was first seen, Before when the address was looked at the last time before that; Long is when it
	// was last seen and valid for long. Zero if never.
	First        time.Time
	Before, Long time.Time `json:",omitzero"`
	// Looks counts how often it was seen, Others the looks at the address since that showed another one, Unseen the rounds
	// since that looked elsewhere.
	Looks  int
	Others int `json:",omitempty"`
	Unseen int `json:",omitempty"`
	// Returned tells that it was seen again after another one.
	Returned bool `json:",omitempty"`
}

// NewCertificateWatch prepares a watch for a target; newID makes an incident's ID from its start, see [NewID].
func NewCertificateWatch(target string, newID func(time.Time) string) *CertificateWatch {
	return &CertificateWatch{target: target, newID: newID}
}

// Incident is a copy of the incident that is going on, nil if there is none.
func (w *CertificateWatch) Incident() *Incident {
	if w.s.Incident == nil {
		return nil
	}
	return w.s.Incident.snapshot()
}

// Observe takes a round and its verdict. Rounds must come in their order. Of a round in which we could not look nothing
// is taken: our clock may be wrong.
func (w *CertificateWatch) Observe(r *probe.Result, v probe.Verdict) []Event {
	l := frontLane(r)
	if v.State == probe.Unknown || l == nil || l.TLS == nil || l.TLS.NotAfter.IsZero() || !showed(l) {
		return nil
	}
	c := w.note(l, r.Started)
	step, soon := c.step(r.Started)
	if soon {
		w.s.Last, w.s.LastAddress, w.s.Fine = r.Started, c.Address, time.Time{}
	} else if c.Long = r.Started; w.s.Fine.IsZero() && c.Address == w.s.LastAddress {
		w.s.Fine = r.Started
	}
	if i := w.s.Incident; i != nil {
		i.Rounds++
		if soon {
			i.FailedRounds++
		}
	}
	switch {
	case soon && c.Looks >= sureLooks && w.s.Incident == nil:
		return w.open(r, v, c, step)
	case soon && c.Looks >= sureLooks && step < w.s.Step:
		return w.update(r, v, c, step)
	case w.s.Incident != nil && !soon && c.Looks >= sureLooks && !w.soon(r.Started):
		return w.resolve(r)
	}
	return nil
}

// Close ends the incident because its target is looked at no more.
func (w *CertificateWatch) Close(at time.Time, reason string) []Event {
	i := w.s.Incident
	w.s = certificateState{}
	if i == nil {
		return nil
	}
	i.State, i.Reason = Dismissed, reason
	return []Event{{Event: EventDismissed, Time: at.UTC(), Target: w.target, Verdict: &i.Verdict, Incident: i.snapshot()}}
}

// showed tells that a lane's handshake showed the certificate that the service means us to see.
func showed(l *probe.Lane) bool {
	for i := range l.Stages {
		if s := &l.Stages[i]; s.Stage == probe.StageTLS {
			return s.Good() || s.Type == probe.TLSCertDate
		}
	}
	return false
}

// note takes a certificate that was seen, and forgets those that are gone.
func (w *CertificateWatch) note(l *probe.Lane, at time.Time) *certificate {
	same := func(c certificate) bool { return c.Address == l.Address && c.NotAfter.Equal(l.TLS.NotAfter) }
	var before time.Time
	kept := w.s.Seen[:0]
	for _, c := range w.s.Seen {
		switch {
		case same(c):
			c.Returned = c.Returned || c.Others > 0
			c.Others, c.Unseen = 0, 0
		case c.Address == l.Address:
			c.Others++
			c.Unseen = 0
			before = later(before, later(c.First, c.Long))
		default:
			c.Unseen++
		}
		if !c.gone() {
			kept = append(kept, c)
		}
	}
	w.s.Seen = kept
	i := slices.IndexFunc(w.s.Seen, same)
	if i < 0 {
		if len(w.s.Seen) >= maxCertificates {
			w.s.Seen = slices.Delete(w.s.Seen, 0, 1)
		}
		i = len(w.s.Seen)
		w.s.Seen = append(w.s.Seen, certificate{Address: l.Address, NotAfter: l.TLS.NotAfter.UTC(), First: at.UTC(), Before: before})
	}
	c := &w.s.Seen[i]
	c.MinDays = l.TLS.MinDays
	c.Looks++
	return c
}

// gone tells that nothing needs to be known of a certificate any more.
func (c *certificate) gone() bool { return c.Unseen >= unseenRounds || c.Others >= goneAfterReturn }

// shown tells that a certificate has not been replaced. One that was replaced and comes back is remembered to do so.
func (c *certificate) shown() bool { return c.Others < goneLooks || c.Returned }

// step is the last of the steps that the certificate has passed, in days; ok is false when it is valid for long.
func (c *certificate) step(at time.Time) (days int, ok bool) {
	for _, d := range append([]int{c.MinDays}, laterSteps...) {
		if d > 0 && d <= c.MinDays && c.NotAfter.Before(at.AddDate(0, 0, d)) {
			days, ok = d, true
		}
	}
	return days, ok
}

// soon tells that one of the certificates seen lately ends soon.
func (w *CertificateWatch) soon(at time.Time) bool {
	return slices.ContainsFunc(w.s.Seen, func(c certificate) bool {
		_, soon := c.step(at)
		return soon && c.shown()
	})
}

func (w *CertificateWatch) open(r *probe.Result, v probe.Verdict, c *certificate, step int) []Event {
	b := Bounds{StartsBefore: r.Started.UTC()}
	before := c.Long
	if before.IsZero() { // it was short when it came
		b.StartsBefore, before = c.First.UTC(), c.Before
	}
	if !before.IsZero() {
		b.StartsAfter = utc(before)
	}
	w.s.Incident = &Incident{ID: w.newID(b.StartsBefore), State: Open, Target: w.target, Bounds: b, StartsAt: b.StartsBefore,
		OpenedAt: utc(r.Ended), Rounds: 1, FailedRounds: 1}
	return w.tell(EventOpened, r, v, c, step)
}

func (w *CertificateWatch) update(r *probe.Result, v probe.Verdict, c *certificate, step int) []Event {
	return w.tell(EventUpdated, r, v, c, step)
}

// tell tells that a step was passed.
func (w *CertificateWatch) tell(k Kind, r *probe.Result, v probe.Verdict, c *certificate, step int) []Event {
	w.s.Step = step
	if v.Cause != probe.CauseCertExpires {
		v = probe.Expiring(r) // something else is wrong, too
	}
	v = tidy(v)
	v.Evidence = append(slices.Clone(v.Evidence), fmt.Sprintf("front at %s: less than %s left", c.Address, days(step)))
	w.s.Incident.change(r.Ended, v, "less than "+days(step)+" left")
	return []Event{w.event(k, r)}
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// resolve ends the incident. The new certificate came after the old one was last seen, and before the first look at the
// same address that showed it.
func (w *CertificateWatch) resolve(r *probe.Result) []Event {
	i := w.s.Incident
	fine := w.s.Fine
	if fine.IsZero() {
		fine = r.Started
	}
	i.setEnd(utc(w.s.Last), utc(fine))
	i.State, i.ResolvedAt = Resolved, utc(r.Ended)
	e := w.event(EventResolved, r)
	w.s.Incident, w.s.Step = nil, 0
	return []Event{e}
}

func (w *CertificateWatch) event(k Kind, r *probe.Result) Event {
	i := w.s.Incident.snapshot()
	return Event{Event: k, Time: r.Ended.UTC(), Target: w.target, Verdict: &i.Verdict, Lanes: r.Lanes, Incident: i}
}
