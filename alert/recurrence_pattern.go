package alert

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A pattern is only told when outages at random times would show it, or one of its kind, with a probability below
// maxChance. The probabilities are upper bounds: where several sizes of a pattern are tried, or several places for it, they
// are added up (the union bound).
const (
	maxChance = 0.01
	// enough is how many outages it takes, and enoughDays on how many different days (for weekdays: in how many different
	// weeks) what they have in common must have happened: a bad day alone is no pattern.
	enough     = 4
	enoughDays = 3
	// oneTrouble is within how long outages are one trouble: for clock and weekday only the first one of it counts.
	oneTrouble = time.Hour
	// finest is how exactly a start counts.
	finest = time.Minute
	day24  = 24 * time.Hour
)

// patterns are what starts, in order, have in common.
func patterns(starts []time.Time, apart []time.Duration, zone *time.Location, zoneName string) []Pattern {
	out := []Pattern{}
	if len(starts) < enough {
		return out
	}
	var local []time.Time
	for i, t := range starts {
		if i == 0 || t.Sub(starts[i-1]) > oneTrouble {
			local = append(local, t.In(zone))
		}
	}
	clock := clockPattern(local, zoneName)
	if len(local) < len(starts) && clock.Text != "" {
		clock.Text += "; what began within an hour of the one before is not counted"
	}
	for _, p := range []Pattern{clock, weekdayPattern(local, zoneName), periodPattern(apart)} {
		if p.Text != "" && p.Chance <= maxChance {
			out = append(out, p)
		}
	}
	return out
}

// leastMost is three quarters, rounded up: fewer have nothing in common.
func leastMost(n int) int { return (3*n + 3) / 4 }

// clockPattern looks for the time of the day in which most began: the smallest window on the clock's circle with at least
// three quarters of them, for each such number, of which the least probable one is told. With n starts at random, one of
// the windows that begin with a start holds k of them with a probability of at most n P(Bin(n-1, width/24h) >= k-1).
func clockPattern(starts []time.Time, zone string) (best Pattern) {
	n := len(starts)
	if n < enough {
		return best
	}
	at := make([]time.Duration, n)
	for i, t := range starts {
		at[i] = sinceMidnight(t)
	}
	slices.Sort(at)
	best.Chance = 1
	sizes := n - leastMost(n) + 1
	for k := leastMost(n); k <= n; k++ {
		from, width := narrowest(at, k)
		chance := float64(sizes*n) * tail(n-1, k-1, float64(max(width, finest))/float64(day24))
		if chance < best.Chance && width <= day24/2 && daysWithin(starts, from, width) >= enoughDays {
			best = Pattern{fmt.Sprintf("%s began %s %s", ofAll(k, n), clockSpan(from, width), zone), chance}
		}
	}
	return best
}

// sinceMidnight is what a clock on the wall shows, also on a day on which it is changed.
func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}

// narrowest is the smallest window on the circle that holds k of the sorted times of a day.
func narrowest(at []time.Duration, k int) (from, width time.Duration) {
	width = day24
	for i := range at {
		last := at[(i+k-1)%len(at)]
		if i+k-1 >= len(at) {
			last += day24
		}
		if last-at[i] < width {
			from, width = at[i], last-at[i]
		}
	}
	return from, width
}

// daysWithin counts the days on which one began within a window.
func daysWithin(starts []time.Time, from, width time.Duration) int {
	days := map[string]bool{}
	for _, t := range starts {
		if since := (sinceMidnight(t) - from + day24) % day24; since <= width {
			days[t.Add(-since).Format(day)] = true
		}
	}
	return len(days)
}

// clockSpan is a window in words, rounded outwards to five minutes.
func clockSpan(from, width time.Duration) string {
	const step = 5 * time.Minute
	a := from.Truncate(step)
	b := (from + width + step).Truncate(step)
	text := func(d time.Duration) string {
		d %= day24
		return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
	}
	return text(a) + "-" + text(b)
}

// weekdayPattern looks at the days on which something began: most on one day of the week, all on weekends, or all on
// working days.
func weekdayPattern(starts []time.Time, zone string) (best Pattern) {
	var counts [7]int
	weeks := map[string]bool{}
	n := 0
	for i, t := range starts {
		if i > 0 && t.Format(day) == starts[i-1].Format(day) {
			continue
		}
		n++
		counts[fromMonday(t)]++
		year, week := t.ISOWeek()
		weeks[fmt.Sprint(year, week)] = true
	}
	best.Chance = 1
	if n < enough || len(weeks) < enoughDays {
		return best
	}
	try := func(k int, share, places float64, text string) {
		if chance := 3 * places * tail(n, k, share); chance < best.Chance {
			best = Pattern{text, chance}
		}
	}
	for d, k := range counts {
		if k >= leastMost(n) {
			try(k, 1./7, 7, fmt.Sprintf("%s on %ss (%s)", ofAllDays(k, n), time.Weekday((d+1)%7), zone))
		}
	}
	switch weekend := counts[5] + counts[6]; weekend {
	case n:
		try(n, 2./7, 1, "all on weekends ("+zone+")")
	case 0:
		try(n, 5./7, 1, "all on weekdays, none on a weekend ("+zone+")")
	}
	return best
}

// periodPattern looks for a regular distance from one start to the next: the smallest range that holds at least three
// quarters of all distances, and at least three. Of starts at random any k distances divide their sum S like a stick that is
// broken at random: all of them lie in some range of a width W with the probability (k-1)! (W/S)^(k-1), and there are
// C(n, k) choices of k.
func periodPattern(sorted []time.Duration) (best Pattern) {
	n := len(sorted)
	best.Chance = 1
	least := max(enough-1, leastMost(n))
	for k := least; k <= n; k++ {
		for i := 0; i+k <= n; i++ {
			lo, hi := sorted[i], sorted[i+k-1]
			middle, slack := lo+(hi-lo)/2, max((hi-lo+1)/2, finest)
			if middle < 4*slack {
				continue
			}
			share := float64(2*slack) / float64(sumOf(sorted[i:i+k]))
			chance := float64(n-least+1) * choose(n, k) * math.Gamma(float64(k)) * math.Pow(share, float64(k-1))
			if chance < best.Chance {
				best = Pattern{periodText(middle, slack, k, n), chance}
			}
		}
	}
	return best
}

func sumOf(all []time.Duration) (sum time.Duration) {
	for _, d := range all {
		sum += d
	}
	return sum
}

// periodText is a period in whole hours, where those lie within what it varies by.
func periodText(middle, slack time.Duration, k, n int) string {
	if off := (middle - middle.Round(time.Hour)).Abs(); off <= slack {
		middle, slack = middle.Round(time.Hour), slack+off
	}
	text := "every " + About(middle) + ", give or take " + About(slack)
	if k < n {
		text = fmt.Sprintf("%s, %d of %d times", text, k, n)
	}
	return text
}

// About is a duration for people: to the minute below two days, to the hour beyond.
func About(d time.Duration) string {
	if d >= 2*day24 {
		d = d.Round(time.Hour)
		text := fmt.Sprintf("%d days", d/day24)
		if h := d % day24 / time.Hour; h > 0 {
			text += fmt.Sprintf(" %d h", h)
		}
		return text
	}
	d = d.Round(time.Minute)
	var parts []string
	if h := d / time.Hour; h > 0 {
		parts = append(parts, fmt.Sprintf("%d h", h))
	}
	if m := d % time.Hour / time.Minute; m > 0 || len(parts) == 0 {
		parts = append(parts, fmt.Sprintf("%d min", m))
	}
	return strings.Join(parts, " ")
}

func ofAll(k, n int) string {
	if k == n {
		return fmt.Sprintf("all %d", n)
	}
	return fmt.Sprintf("%d of %d", k, n)
}

func ofAllDays(k, n int) string {
	if k == n {
		return "all"
	}
	return fmt.Sprintf("%d of %d days with one", k, n)
}

// tail is P(Bin(n, p) >= k).
func tail(n, k int, p float64) (sum float64) {
	for i := k; i <= n; i++ {
		sum += choose(n, i) * math.Pow(p, float64(i)) * math.Pow(1-p, float64(n-i))
	}
	return min(sum, 1)
}

// choose is n over k.
func choose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(a - b - c)
}
