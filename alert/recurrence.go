package alert

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Limits of what is said about how outages recur. A regularity is told only when fewer than one in a hundred
// series of outages without it would show one as strong.
const (
	leastRecurrences = 4
	chanceLimit      = 0.01
	// mostOf is the share of the outages that a time of day must hold.
	mostOf = 0.75
	// steadyShare is how far each gap may be from the median of all.
	steadyShare = 0.05
)

// Recurrence is when outages began, seen together.
type Recurrence struct {
	Count int `json:"count"`
	// Gaps are from each begin to the next, in seconds: the least, the median, the most; zero below two outages.
	GapMin    float64 `json:"gap_min_seconds"`
	GapMedian float64 `json:"gap_median_seconds"`
	GapMax    float64 `json:"gap_max_seconds"`
	// Hours counts the begins by the hour of the day, Weekdays by the day, Monday first, both in the zone asked for.
	Hours    [24]int `json:"hours"`
	Weekdays [7]int  `json:"weekdays"`
	// Said are the regularities that are more than chance, as sentences.
	Said []string `json:"said"`
}

// Recurrences looks for regularities in the times at which outages began, as clocks in loc showed them.
func Recurrences(began []time.Time, loc *time.Location) Recurrence {
	began = slices.SortedFunc(slices.Values(began), time.Time.Compare)
	r := Recurrence{Count: len(began), Said: []string{}}
	var gaps []time.Duration
	for i, t := range began {
		if i > 0 {
			gaps = append(gaps, t.Sub(began[i-1]))
		}
		t = t.In(loc)
		r.Hours[t.Hour()]++
		r.Weekdays[(int(t.Weekday())+6)%7]++
	}
	if len(gaps) > 0 {
		slices.Sort(gaps)
		r.GapMin, r.GapMedian, r.GapMax = gaps[0].Seconds(), median(gaps).Seconds(), gaps[len(gaps)-1].Seconds()
	}
	for _, s := range []string{timeOfDay(began, loc), weekday(r), steady(gaps)} {
		if s != "" {
			r.Said = append(r.Said, s)
		}
	}
	return r
}

func median(sorted []time.Duration) time.Duration {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

const minutesADay = 24 * 60

// timeOfDay finds the arc of the day that holds most begins and is least likely by chance. That some arc of a share w of
// the day holds k of n begins has at most the probability n*C(n-1, k-1)*w^(k-1): one of the n begins it, k-1 others follow.
func timeOfDay(began []time.Time, loc *time.Location) string {
	n := len(began)
	if n < leastRecurrences {
		return ""
	}
	minutes := make([]float64, n)
	for i, t := range began {
		t = t.In(loc)
		minutes[i] = float64(t.Hour()*60+t.Minute()) + float64(t.Second())/60
	}
	slices.Sort(minutes)
	best, from, to, held := 1.0, 0.0, 0.0, 0
	for k := int(math.Ceil(mostOf * float64(n))); k <= n; k++ {
		for i := range minutes {
			end := minutes[(i+k-1)%n]
			if i+k-1 >= n {
				end += minutesADay
			}
			width := (end - minutes[i] + 1) / minutesADay
			if chance := float64(n) * choose(n-1, k-1) * math.Pow(width, float64(k-1)); chance < best {
				best, from, to, held = chance, minutes[i], end, k
			}
		}
	}
	if best >= chanceLimit {
		return ""
	}
	from, to = math.Floor(from/10)*10, math.Ceil((to+0.01)/10)*10
	return fmt.Sprintf("%d of %d began %s-%s %s", held, n, clock(from), clock(to), began[n-1].In(loc).Format("MST"))
}

// choose is the binomial coefficient.
func choose(n, k int) float64 {
	out := 1.0
	for i := 1; i <= k; i++ {
		out *= float64(n-k+i) / float64(i)
	}
	return out
}

func clock(minute float64) string {
	m := int(minute) % minutesADay
	return fmt.Sprintf("%02d:%02d", m/60, m%60)
}

// weekday tells that all began on one day of the week, or none at a weekend.
func weekday(r Recurrence) string {
	if r.Count < leastRecurrences {
		return ""
	}
	for i, n := range r.Weekdays {
		if n == r.Count && 7*math.Pow(1.0/7, float64(n)) < chanceLimit {
			return fmt.Sprintf("all %d on a %s", n, time.Weekday((i+1)%7))
		}
	}
	if r.Weekdays[5]+r.Weekdays[6] == 0 && math.Pow(5.0/7, float64(r.Count)) < chanceLimit {
		return fmt.Sprintf("all %d from Monday to Friday", r.Count)
	}
	return ""
}

// steady tells that outages follow each other at the same distance. Of gaps that are chance (exponential) one in thirty or
// so lies within five percent of their median, so that three that do are no chance.
func steady(sorted []time.Duration) string {
	if len(sorted) < leastRecurrences-1 {
		return ""
	}
	m := median(sorted)
	off := max(m-sorted[0], sorted[len(sorted)-1]-m)
	if m <= 0 || float64(off) > steadyShare*float64(m) {
		return ""
	}
	if round := m.Round(time.Hour); (round - m).Abs() <= off {
		off, m = off+(round-m).Abs(), round
	}
	return fmt.Sprintf("every %s, give or take %s", coarse(m), coarse(max(off, time.Second)))
}

// coarse is a duration in two units at most.
func coarse(d time.Duration) string {
	days, rest := int(d/(24*time.Hour)), d%(24*time.Hour)
	switch {
	case days >= 2 && rest < time.Hour:
		return fmt.Sprintf("%d days", days)
	case days >= 2:
		return fmt.Sprintf("%d days %d h", days, int(rest.Hours()))
	case d >= time.Hour && d%time.Hour < time.Minute:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int((d % time.Hour).Minutes()))
	case d >= time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
	return d.Round(time.Second).String()
}
