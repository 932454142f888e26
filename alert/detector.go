package alert

import "time"

// Parameters of the cumulative sum. Each symbol adds the logarithm of how much likelier it is in an outage that fails
// half of the probes than on a quiet path that fails one in 120: ln(0.5/0.0083) and ln(0.5/0.9917), rounded. In
// simulation the threshold gives 0.08 false alarms a year, and misses no outage of 5 minutes in which half of the
// probes fail.
const (
	failWeight = 4.09
	// degradedWeight is that of a round in which users were served after packets had been sent again. Any path has such
	// rounds now and then; only more than one in five of them speak for trouble that lasts.
	degradedWeight = 1.2
	goodWeight     = 0.35 // subtracted
	scoreThreshold = 15
	scoreCap       = scoreThreshold + 4.1 // or a long outage would take long to forget
	suspectSpan    = 800 * time.Millisecond
	suspectCount   = 2
)

// Detector decides by a one-sided cumulative sum (Page, Biometrika 1954) when failures are more than bad luck. It is
// plain data; the zero value is ready.
type Detector struct {
	// Score is the sum, between 0 and its cap.
	Score float64
	// Failures counts those since the score left 0, Consecutive those without a success between.
	Failures    int
	Consecutive int
	// Since is when the first of them began to fail, FirstBad and LastBad when the first and the last had failed.
	Since, FirstBad, LastBad time.Time
}

// Good takes a success.
func (d *Detector) Good() {
	d.Consecutive = 0
	if d.Score -= goodWeight; d.Score <= 0 {
		*d = Detector{}
	}
}

// Bad takes a failure: when the attempt that failed began, and when it had failed. Served tells that users were served
// all the same.
func (d *Detector) Bad(began, failed time.Time, served bool) {
	if d.Failures == 0 {
		d.Since, d.FirstBad = began, failed
	}
	d.LastBad = failed
	d.Failures++
	d.Consecutive++
	weight := failWeight
	if served {
		weight = degradedWeight
	}
	d.Score = min(d.Score+weight, scoreCap)
}

// Quiet tells that nothing speaks for an outage.
func (d *Detector) Quiet() bool { return d.Score == 0 }

// Suspicious tells that machines should be set in motion: a second failure, about a second after the first or right
// after it.
func (d *Detector) Suspicious() bool {
	return d.Failures >= suspectCount && (d.Consecutive >= suspectCount || d.LastBad.Sub(d.FirstBad) >= suspectSpan)
}

// Certain tells that people should be told: the sum is over the threshold and the evidence spans at least confirm.
func (d *Detector) Certain(confirm time.Duration) bool {
	return d.Score >= scoreThreshold && d.LastBad.Sub(d.Since) >= confirm
}
