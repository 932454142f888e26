package alert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

const aDay = 24 * time.Hour

// certBench shows certificates to a watch; each round is one hour later.
type certBench struct {
	t      *testing.T
	watch  *CertificateWatch
	now    time.Time
	every  time.Duration
	events []Event
	n      int
}

func newCertBench(t *testing.T) *certBench {
	b := &certBench{t: t, now: epoch, every: time.Hour}
	b.watch = NewCertificateWatch("orders", b.newID)
	return b
}

func (b *certBench) newID(time.Time) string { b.n++; return fmt.Sprint("cert-", b.n) }

// certRound is a round in which an address shows a certificate that ends at an instant.
func certRound(at time.Time, address string, ends time.Time, minDays int) (*probe.Result, probe.Verdict) {
	r := round("orders", at, false)
	l := &r.Lanes[0]
	l.Address = address
	l.Stages = append(l.Stages, probe.Stage{Stage: probe.StageTLS, Outcome: probe.OK, Started: at})
	l.TLS = &probe.TLSFacts{NotAfter: ends, MinDays: minDays}
	v := probe.Verdict{State: probe.Up, Layer: probe.LayerNone, Cause: probe.CauseNone}
	if minDays > 0 && ends.Before(at.AddDate(0, 0, minDays)) {
		v = probe.Verdict{State: probe.Degraded, Layer: probe.LayerProxy, Cause: probe.CauseCertExpires, Confidence: probe.Likely}
	}
	return r, v
}

// look makes rounds, each from a restored watch.
func (b *certBench) look(rounds int, address string, ends time.Time) {
	b.t.Helper()
	for range rounds {
		b.take(certRound(b.now, address, ends, 14))
	}
}

func (b *certBench) take(r *probe.Result, v probe.Verdict) {
	b.t.Helper()
	b.events = append(b.events, b.watch.Observe(r, v)...)
	b.now = b.now.Add(b.every)
	data, err := b.watch.Checkpoint()
	if err != nil {
		b.t.Fatal(err)
	}
	b.watch = NewCertificateWatch("orders", b.newID)
	if err := b.watch.Restore(data); err != nil {
		b.t.Fatal(err)
	}
}

func (b *certBench) told() (out []Kind) {
	for _, e := range b.events {
		out = append(out, e.Event)
	}
	return out
}

func (b *certBench) want(kinds ...Kind) {
	b.t.Helper()
	if got := b.told(); !slices.Equal(got, kinds) {
		b.t.Fatalf("told %v, want %v", got, kinds)
	}
}

// TestCertificateSteps: people are told once at each step, and when there is a new certificate.
func TestCertificateSteps(t *testing.T) {
	b := newCertBench(t)
	ends := epoch.Add(20 * aDay)
	b.look(6*24, "10.0.0.1:443", ends)
	b.want()
	b.look(6*24, "10.0.0.1:443", ends)
	b.want(EventOpened)
	i := b.events[0].Incident
	crossed := ends.Add(-14 * aDay)
	if i.State != Open || i.StartsAfter == nil || i.StartsAfter.After(crossed) || i.StartsBefore.Before(crossed) ||
		i.StartsBefore.Sub(*i.StartsAfter) != time.Hour || i.Verdict.Cause != probe.CauseCertExpires || i.OpenedAt == nil {
		t.Errorf("%+v", i)
	}
	b.look(8*24+5, "10.0.0.1:443", ends)
	b.want(EventOpened, EventUpdated, EventUpdated)
	for n, want := range []string{"less than 14 days left", "less than 7 days left", "less than 1 day left"} {
		e := b.events[n]
		if got := e.Verdict.Evidence; len(got) == 0 || !strings.HasSuffix(got[len(got)-1], want) || e.Verdict.State != probe.Degraded {
			t.Errorf("step %d: %+v", n, e.Verdict)
		}
		if n := len(e.Incident.Timeline); n == 0 || e.Incident.Timeline[n-1].Reason != want {
			t.Errorf("step %d: %+v", n, e.Incident.Timeline)
		}
	}
	last := b.now.Add(-time.Hour)
	b.look(goneLooks+1, "10.0.0.1:443", ends.Add(90*aDay))
	b.want(EventOpened, EventUpdated, EventUpdated, EventResolved)
	i = b.events[3].Incident
	if i.ID != b.events[0].Incident.ID || !i.EndsAfter.Equal(last) || i.EndsBefore.Sub(last) != time.Hour || i.ResolvedAt == nil || b.watch.Incident() != nil {
		t.Errorf("%+v", i)
	}
}

// TestCertificateOddAnswer: one round that shows another certificate is nothing, in both directions.
func TestCertificateOddAnswer(t *testing.T) {
	b := newCertBench(t)
	long, soon := epoch.Add(90*aDay), epoch.Add(5*aDay)
	b.look(5, "10.0.0.1:443", long)
	b.look(1, "10.0.0.1:443", soon)
	b.look(5, "10.0.0.1:443", long)
	b.want()
	b = newCertBench(t)
	b.look(5, "10.0.0.1:443", soon)
	b.look(1, "10.0.0.1:443", long)
	b.look(5, "10.0.0.1:443", soon)
	b.want(EventOpened)
	if i := b.events[0].Incident; i.StartsAfter != nil || !i.StartsBefore.Equal(epoch) {
		t.Errorf("it was so from the begin: %+v", i.Bounds)
	}
}

// TestCertificateOfTwoAddresses: the one that ends first counts, and all must be renewed.
func TestCertificateOfTwoAddresses(t *testing.T) {
	b := newCertBench(t)
	b.every = 10 * time.Second
	first, second, long := epoch.Add(10*aDay), epoch.Add(6*aDay), epoch.Add(90*aDay)
	for range 5 {
		b.look(1, "10.0.0.1:443", first)
		b.look(1, "10.0.0.2:443", second)
	}
	b.want(EventOpened, EventUpdated)
	for range 20 {
		b.look(1, "10.0.0.1:443", long)
		b.look(1, "10.0.0.2:443", second)
	}
	b.want(EventOpened, EventUpdated)
	for range 5 {
		b.look(1, "10.0.0.1:443", long)
		b.look(1, "10.0.0.2:443", long)
	}
	b.want(EventOpened, EventUpdated, EventResolved)
}

// TestCertificateBehindOneAddress: two boxes share an address, one with an old certificate. It is told once.
func TestCertificateBehindOneAddress(t *testing.T) {
	b := newCertBench(t)
	b.every = 10 * time.Second
	soon, long := epoch.Add(5*aDay), epoch.Add(90*aDay)
	for n := range 600 {
		if n*2654435761>>7&3 == 0 {
			b.look(1, "10.0.0.1:443", soon)
		} else {
			b.look(1, "10.0.0.1:443", long)
		}
	}
	opened := 0
	for _, k := range b.told() {
		if k == EventOpened {
			opened++
		}
	}
	if opened == 0 || opened > 2 || b.watch.Incident() == nil {
		t.Fatalf("told %v", b.told())
	}
	b.look(goneAfterReturn+2, "10.0.0.1:443", long)
	if b.watch.Incident() != nil {
		t.Error("not over")
	}
}

// TestCertificateBesideTrouble: what else is wrong does not hide it, and rounds without a certificate change nothing.
func TestCertificateBesideTrouble(t *testing.T) {
	b := newCertBench(t)
	soon := epoch.Add(5 * aDay)
	for range 3 {
		r, _ := certRound(b.now, "10.0.0.1:443", soon, 14)
		b.take(r, probe.Verdict{State: probe.Degraded, Layer: probe.LayerBackend, Cause: probe.CauseSlow})
	}
	b.want(EventOpened)
	if v := b.events[0].Verdict; v.Cause != probe.CauseCertExpires || v.Layer == "" || len(v.Suspects) != 1 || len(v.Evidence) != 2 {
		t.Errorf("%+v", v)
	}
	for range 10 {
		r, _ := certRound(b.now, "10.0.0.1:443", epoch.Add(90*aDay), 14)
		b.take(r, probe.Verdict{State: probe.Unknown, Layer: probe.LayerProber, Cause: probe.CauseClockWrong})
		b.take(round("orders", b.now, true), down(probe.LayerProxy, probe.CauseProcessDead, probe.Confirmed))
	}
	b.want(EventOpened)
	if e := b.watch.Close(b.now, "gone"); len(e) != 1 || e[0].Event != EventDismissed || e[0].Incident.Reason != "gone" || b.watch.Close(b.now, "gone") != nil {
		t.Errorf("%+v", e)
	}
}

// TestCertificateAddressThatLeaves: an address that the name no longer leads to keeps nothing open.
func TestCertificateAddressThatLeaves(t *testing.T) {
	b := newCertBench(t)
	b.every = 10 * time.Second
	b.look(3, "10.0.0.1:443", epoch.Add(5*aDay))
	b.look(unseenRounds+2, "10.0.0.2:443", epoch.Add(90*aDay))
	b.want(EventOpened, EventResolved)
	for n := range 2 * maxCertificates {
		b.look(1, fmt.Sprint("10.0.1.", n), epoch.Add(90*aDay))
	}
	if n := len(b.watch.s.Seen); n > maxCertificates {
		t.Errorf("%d certificates", n)
	}
}

// TestTrackerIgnoresExpiry: a certificate that ends soon is no outage, and does not swallow the start of one.
func TestTrackerIgnoresExpiry(t *testing.T) {
	tr := NewTracker("orders", defaultDetect, func(time.Time) string { return "id" })
	now := epoch
	for range 100 {
		r, v := certRound(now, "10.0.0.1:443", epoch.Add(5*aDay), 14)
		if step := tr.Observe(r, v); len(step.Events) > 0 || step.Next != 0 {
			t.Fatalf("%+v", step)
		}
		now = now.Add(10 * time.Second)
	}
	lastGood := now.Add(-10 * time.Second)
	var opened *Incident
	for range 20 {
		for _, e := range tr.Observe(round("orders", now, true), down(probe.LayerProxy, probe.CauseProcessDead, probe.Confirmed)).Events {
			if e.Event == EventOpened {
				opened = e.Incident
			}
		}
		now = now.Add(2 * time.Second)
	}
	if opened == nil || !opened.StartsAfter.Equal(lastGood) {
		t.Errorf("%+v", opened)
	}
}

// TestCertificateRefuses: foreign bytes are an error, and nothing of them is taken.
func TestCertificateRefuses(t *testing.T) {
	w := NewCertificateWatch("orders", nil)
	tracker, _ := NewTracker("orders", defaultDetect, nil).Checkpoint()
	with := func(state string) string {
		return `{"whichlayer":"certificates","format":1,"target":"orders","state":` + state + `}`
	}
	if err := w.Restore([]byte(with(`{"Seen":[]}`))); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{``, `{}`, string(tracker), with(`null`), with(`{"Seen":[{"Looks":-1}]}`), with(`{"Seen":[{"MinDays":1000000000}]}`),
		with(`{"Incident":{"id":"x","state":"suspect","target":"orders"}}`), with(`{"Seen":[` + strings.Repeat("{},", maxCertificates) + `{}]}`)} {
		if err := w.Restore([]byte(bad)); err == nil {
			t.Errorf("taken: %.100s", bad)
		}
	}
}

func FuzzRestoreCertificates(f *testing.F) {
	w := NewCertificateWatch("orders", func(time.Time) string { return "id" })
	for range 3 {
		w.Observe(certRound(epoch, "10.0.0.1:443", epoch.Add(aDay), 14))
	}
	data, err := w.Checkpoint()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		w := NewCertificateWatch("orders", func(time.Time) string { return "id" })
		if w.Restore(data) != nil {
			return
		}
		for n := range 10 {
			w.Observe(certRound(epoch.Add(time.Duration(n)*time.Hour), "10.0.0.1:443", epoch.Add(time.Duration(n/5)*90*aDay), 14))
		}
		if _, err := w.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	})
}
