package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unknownKey is the message for a key that no one reads.
func unknownKey(key string, known []string) string {
	known = slices.Sorted(slices.Values(known))
	return "unknown key " + quote(key) + didYouMean(key, known) + " (known: " + strings.Join(known, ", ") + ")"
}

// didYouMean is the suggestion of a near word, empty when there is none.
func didYouMean(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Nearest is the known word closest to what somebody wrote, empty when none is close.
func Nearest(word string, known []string) string { return nearest(word, known) }

// nearest is the known word closest to what was written, empty when none is close.
func nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	word = strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	best, least := "", max(1, len(word)/3)+1
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with a neighbour to turn a into b
// (Damerau and Levenshtein, optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// quote shows foreign text in a message: escaped, and not longer than a line.
func quote(s string) string {
	const most = 120
	if len(s) > most {
		return fmt.Sprintf("%q... (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
	}
	return fmt.Sprintf("%q", s)
}
