package probe

// Attribute concludes from one round, and from the earlier rounds of the same incident (oldest first, may be empty),
// which layer broke. It is pure: no clock, no I/O.
func Attribute(now *Result, past []*Result) Verdict { return Verdict{} }
