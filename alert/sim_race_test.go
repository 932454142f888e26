//go:build race

package alert

// simSlowly tells that the race detector makes everything some twenty times slower.
const simSlowly = true
