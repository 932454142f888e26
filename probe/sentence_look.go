package probe

import "fmt"

// lookSentence says what a look in another way than users go showed.
func lookSentence(l *Lane) string {
	s := &l.Stages[len(l.Stages)-1]
	took := seconds(s.Duration.Std())
	who := lookedAt(l)
	switch l.Look {
	case LookHalfClose:
		return halfCloseSentence(l, who, took)
	case LookSmallSegments:
		return smallSentence(l, who+" with segments of at most 536 bytes")
	case LookSmallHello:
		return smallSentence(l, who+" with a ClientHello that fits into one packet") + alertWords(l.Reaction)
	case LookExchange:
		return exchangeSentence(l, who)
	case LookFirstHop, LookFirstHopBeside:
		return fmt.Sprintf("SYN to %s that goes no further than the first router: %s", l.Address, firstHopWords(s, took))
	case LookFarReset:
		return farResetSentence(l, who)
	case LookBurst:
		return burstSentence(l, who)
	case LookDNSOverTCP, LookSystemResolver, LookOtherName, LookFormerServers:
		return dnsLookSentence(l, took)
	}
	return ""
}

// alertWords say what became of a handshake that stalled and was told to end.
func alertWords(r Reaction) string {
	switch r {
	case ReactionNone:
		return "; it is not ended at our alert"
	case ReactionClosed, ReactionReset:
		return "; its process lives, it " + r.does() + " at our alert"
	}
	return ""
}

// lookedAt names the lane that a look explains.
func lookedAt(l *Lane) string {
	c := *l
	c.Extra, c.Look = false, ""
	return title(&c)
}

func halfCloseSentence(l *Lane, who, took string) string {
	switch l.Reaction {
	case ReactionNone:
		return fmt.Sprintf("%s, a fresh connection half-closed at once: no reaction of its process in %s", who, took)
	case ReactionClosed, ReactionReset, ReactionData:
		return fmt.Sprintf("%s, a fresh connection half-closed at once: its process lives, it %s within %s", who, l.Reaction.does(), took)
	}
	return who + ", a fresh connection to half-close: " + l.outcome()
}

// does says what a living process does.
func (r Reaction) does() string {
	switch r {
	case ReactionClosed:
		return "closes"
	case ReactionReset:
		return "resets it"
	}
	return "says something"
}

func smallSentence(l *Lane, who string) string {
	if s := failedStage(l); s != nil {
		return fmt.Sprintf("%s: fails too, %s: %s", who, s.Stage, s.Error)
	}
	return good(who, l)
}

func exchangeSentence(l *Lane, who string) string {
	small, large := l.stage(StageRequest), l.stage(StageResponse)
	switch {
	case small == nil:
		return who + ": " + l.outcome()
	case l.Reaction == ReactionClosed:
		return who + ": closes the connection when it is spoken to"
	case l.Reaction == ReactionReset:
		return who + ": resets the connection when it is spoken to"
	case !small.Good():
		return who + ": a few bytes are " + small.Error
	case large != nil && !large.Good():
		return who + ": a few bytes arrive, a packet of 1400 is " + large.Error
	}
	return who + ": a few bytes and a packet of 1400 arrive"
}

func firstHopWords(s *Stage, took string) string {
	switch {
	case s.ICMP.timeExceeded():
		return fmt.Sprintf("answered by %s in %s, so this host lets it out", s.ICMP.From, took)
	case s.Good():
		return "connected: no router is between"
	case s.Type == TCPTimedOut:
		return "no answer in " + took
	}
	return s.Error
}

func farResetSentence(l *Lane, who string) string {
	above, exactly := failedStage(l), &l.Stages[len(l.Stages)-1]
	switch {
	case above == nil || above.Outcome == NoData:
		return ""
	case above.Type == TCPRefused:
		return who + ", with packets of the host itself ignored for their TTL: still refused, by a nearer box"
	case above.Type == TLSReset:
		return who + ", with packets of the host itself ignored for their TTL: still reset, by a nearer box"
	case above.Type != TCPTimedOut && above.Type != TLSTimedOut:
		return ""
	case exactly.Type == TCPRefused:
		return who + ", with packets of the host itself ignored for their TTL: no refusal, so it is the host's own"
	case exactly.Type == TLSReset:
		return who + ", with packets of the host itself ignored for their TTL: no reset, so it is the host's own"
	}
	return who + ", with packets ignored whose TTL is lower than that of the host's: no reset any more, so another box sends it"
}

func burstSentence(l *Lane, who string) string {
	n := 0
	for i := range l.Stages {
		if !l.Stages[i].Good() || l.Stages[i].TCPInfo.Timeouts() > 0 {
			n++
		}
	}
	return fmt.Sprintf("%s: %d of %d further connects needed a SYN sent again", who, n, len(l.Stages))
}

func dnsLookSentence(l *Lane, took string) string {
	who := l.Look.question() + " (" + l.Address + "): "
	if s := failedStage(l); s != nil {
		return who + s.Error + " after " + took
	}
	return who + "answered in " + took
}

// question says what a look asked a name server.
func (k Look) question() string {
	switch k {
	case LookDNSOverTCP:
		return "the same question over TCP"
	case LookSystemResolver:
		return "the same question to the system's resolver"
	case LookOtherName:
		return "another question to the same server"
	}
	return "the same question to the servers of before"
}
