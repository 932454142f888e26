package probe

// socketOptions are what a look asks of its socket before it connects. None of them needs a privilege; zero leaves an
// option alone.
type socketOptions struct {
	// ttl of what we send: a router at that distance answers instead of the host.
	ttl int
	// minTTL of what we accept: what comes from further away is dropped by our kernel (RFC 5082).
	minTTL int
	// maxSegment bounds the segments of both directions, in bytes (RFC 9293, 3.7.1).
	maxSegment int
}
