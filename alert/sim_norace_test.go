//go:build !race

package alert

// simSlowly is false without the race detector.
const simSlowly = false
