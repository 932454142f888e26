package alert

import (
	"strings"

	"github.com/whichlayer/whichlayer/probe"
)

// Sentence says in one plain sentence what a verdict means for a target.
func Sentence(v probe.Verdict, target string) string {
	switch v.State {
	case probe.Up:
		return target + " is up."
	case probe.Degraded, probe.Down:
		return target + " is " + string(v.State) + ": " + what(v) + "."
	}
	if v.Layer == probe.LayerProber || v.Layer == probe.LayerNone || v.Layer == "" {
		if text, ok := happened[probe.Suspect{Layer: v.Layer, Cause: v.Cause}]; ok {
			return target + " was not looked at: " + text + "."
		}
		return target + " was not looked at: this prober could not tell."
	}
	return "nothing is known of " + target + ": " + what(v) + "."
}

// what happened, as a clause without a full stop. How sure it is shows in the words.
func what(v probe.Verdict) string {
	switch {
	case v.Confidence == probe.Ambiguous && len(v.Suspects) > 1:
		return "either " + joinOr(suspectClauses(v.Suspects))
	case v.Confidence == probe.Likely:
		return clause(v.Layer, v.Cause) + " (likely)"
	case v.Confidence == probe.Confirmed:
		return clause(v.Layer, v.Cause)
	case v.Layer == probe.LayerNone || v.Layer == "":
		return "which layer broke is not known"
	}
	return clause(v.Layer, v.Cause) + " (a guess)"
}

// suspectClauses are short, because alternatives stand in one sentence.
func suspectClauses(suspects []probe.Suspect) []string {
	out := make([]string, len(suspects))
	for i, s := range suspects {
		out[i] = layerWords(s.Layer) + " (" + causeWords(s.Cause) + ")"
	}
	return out
}

// clause is what happened in a layer.
func clause(l probe.Layer, c probe.Cause) string {
	if text, ok := happened[probe.Suspect{Layer: l, Cause: c}]; ok {
		return text
	}
	if c == probe.CauseUnknown || c == probe.CauseNone || c == "" {
		return "something is wrong with " + layerWords(l)
	}
	return layerWords(l) + " is at fault (" + causeWords(c) + ")"
}

// layerWords names a layer with its article.
func layerWords(l probe.Layer) string {
	switch l {
	case probe.LayerProber:
		return "this prober"
	case probe.LayerDNS:
		return "name resolution"
	case probe.LayerLink:
		return "the link between proxy and backend"
	case probe.LayerNone, "":
		return "an unknown layer"
	}
	return "the " + string(l)
}

// causeWords makes words of a cause's identifier.
func causeWords(c probe.Cause) string {
	if c == "" {
		c = probe.CauseUnknown
	}
	return strings.ReplaceAll(string(c), "_", " ")
}

// joinOr lists alternatives: "a", "a or b", "a, b or c".
func joinOr(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// happened says for a layer and a cause what happened, as a clause.
var happened = map[probe.Suspect]string{
	{Layer: probe.LayerProber, Cause: probe.CausePaused}:         "this prober itself did not run for a while",
	{Layer: probe.LayerProber, Cause: probe.CauseOutOfFiles}:     "this prober has run out of file descriptors",
	{Layer: probe.LayerProber, Cause: probe.CauseOutOfPorts}:     "this prober has run out of local ports",
	{Layer: probe.LayerProber, Cause: probe.CauseOutOfBuffers}:   "this prober's kernel has run out of memory for the network",
	{Layer: probe.LayerProber, Cause: probe.CauseNoRoute}:        "this prober has no route to it",
	{Layer: probe.LayerProber, Cause: probe.CauseLocalFirewall}:  "this prober's own firewall does not let the probes out",
	{Layer: probe.LayerProber, Cause: probe.CauseClockWrong}:     "this prober's clock is wrong",
	{Layer: probe.LayerProber, Cause: probe.CauseVantageDown}:    "this prober is cut off: its controls do not answer either",
	{Layer: probe.LayerProber, Cause: probe.CauseStopped}:        "this prober was being stopped",
	{Layer: probe.LayerProber, Cause: probe.CauseOwnDefect}:      "this prober has a defect or lacks a file",
	{Layer: probe.LayerProber, Cause: probe.CauseResolverConfig}: "this host's resolv.conf names a server that does not answer",
	{Layer: probe.LayerProber, Cause: probe.CauseStarved}:        "this prober gets too little CPU",
	{Layer: probe.LayerProber, Cause: probe.CauseNoCarrier}:      "this prober's network interface has no link",

	{Layer: probe.LayerDNS, Cause: probe.CauseNameNotResolved}: "its name does not resolve",
	{Layer: probe.LayerDNS, Cause: probe.CauseServerFailure}:   "the name server answers with an error",
	{Layer: probe.LayerDNS, Cause: probe.CauseRefused}:         "the name server refuses the question",
	{Layer: probe.LayerDNS, Cause: probe.CauseTimedOut}:        "no name server answers",
	{Layer: probe.LayerDNS, Cause: probe.CauseWrongAddress}:    "its name resolves to an address that is not expected",
	{Layer: probe.LayerDNS, Cause: probe.CauseInvalidAnswer}:   "the name server's answer is not valid",

	{Layer: probe.LayerNetwork, Cause: probe.CausePortDropped}:        "the network drops packets to its port while other ports of the host answer",
	{Layer: probe.LayerNetwork, Cause: probe.CauseNewDropped}:         "the network drops new connections while established ones go on",
	{Layer: probe.LayerNetwork, Cause: probe.CauseEstablishedDropped}: "the network drops established connections while new ones work",
	{Layer: probe.LayerNetwork, Cause: probe.CauseDataDropped}:        "the network lets connections through but drops their data",
	{Layer: probe.LayerNetwork, Cause: probe.CauseReturnDropped}:      "the network drops what the server sends back",
	{Layer: probe.LayerNetwork, Cause: probe.CausePMTU}:               "the network drops large packets without a word (path MTU)",
	{Layer: probe.LayerNetwork, Cause: probe.CauseFirewallReset}:      "a firewall resets the connections",
	{Layer: probe.LayerNetwork, Cause: probe.CauseFirewallReject}:     "a firewall rejects the connections",
	{Layer: probe.LayerNetwork, Cause: probe.CausePathDown}:           "the path to the host is down",
	{Layer: probe.LayerNetwork, Cause: probe.CauseLoss}:               "the network loses packets",
	{Layer: probe.LayerNetwork, Cause: probe.CauseThrottled}:          "the network lets small packets through and large ones late",
	{Layer: probe.LayerNetwork, Cause: probe.CauseForwardProxy}:       "the forward proxy does not connect to it",
	{Layer: probe.LayerNetwork, Cause: probe.CauseTimedOut}:           "the network does not answer",

	{Layer: probe.LayerHost, Cause: probe.CauseHostDown}: "the host is down or unreachable",

	{Layer: probe.LayerBalancer, Cause: probe.CauseProcessDead}:    "the balancer refuses connections: its process is not running",
	{Layer: probe.LayerBalancer, Cause: probe.CauseFrozen}:         "the balancer is frozen: its kernel accepts connections, its process does not answer",
	{Layer: probe.LayerBalancer, Cause: probe.CauseQueueFull}:      "the balancer is frozen: its queue of new connections is full",
	{Layer: probe.LayerBalancer, Cause: probe.CauseRefusesClients}: "the balancer closes new connections at once",
	{Layer: probe.LayerBalancer, Cause: probe.CauseNotAccepting}:   "the balancer lives but takes no new connections",
	{Layer: probe.LayerBalancer, Cause: probe.CauseNotRelaying}:    "the balancer takes connections but relays nothing",
	{Layer: probe.LayerBalancer, Cause: probe.CauseSlow}:           "the balancer is slow",

	{Layer: probe.LayerProxy, Cause: probe.CauseProcessDead}:    "the proxy refuses connections: its process is not running",
	{Layer: probe.LayerProxy, Cause: probe.CauseFrozen}:         "the proxy is frozen: its kernel accepts connections, its process does not answer",
	{Layer: probe.LayerProxy, Cause: probe.CauseQueueFull}:      "the proxy is frozen: its queue of new connections is full",
	{Layer: probe.LayerProxy, Cause: probe.CauseRefusesClients}: "the proxy closes new connections at once",
	{Layer: probe.LayerProxy, Cause: probe.CauseNotAccepting}:   "the proxy lives but takes no new connections",
	{Layer: probe.LayerProxy, Cause: probe.CausePartial}:        "one of several proxies fails",
	{Layer: probe.LayerProxy, Cause: probe.CauseNoAnswer}:       "the proxy takes requests and does not answer them",
	{Layer: probe.LayerProxy, Cause: probe.CauseCertExpired}:    "the proxy's certificate has expired or is not valid yet",
	{Layer: probe.LayerProxy, Cause: probe.CauseCertExpires}:    "the proxy's certificate ends soon",
	{Layer: probe.LayerProxy, Cause: probe.CauseCertName}:       "the proxy's certificate is for another name",
	{Layer: probe.LayerProxy, Cause: probe.CauseCertAuthority}:  "the proxy's certificate is signed by an unknown authority",
	{Layer: probe.LayerProxy, Cause: probe.CauseCertInvalid}:    "the proxy's certificate is not valid",
	{Layer: probe.LayerProxy, Cause: probe.CauseTLSRefused}:     "the proxy refuses the TLS handshake",
	{Layer: probe.LayerProxy, Cause: probe.CauseNotTLS}:         "the proxy's port does not speak TLS",
	{Layer: probe.LayerProxy, Cause: probe.CauseNotRelaying}:    "the proxy completes the TLS handshake but relays nothing",
	{Layer: probe.LayerProxy, Cause: probe.CauseCloses}:         "the proxy closes connections without an answer",
	{Layer: probe.LayerProxy, Cause: probe.CauseErrorStatus}:    "the proxy answers with an error status",
	{Layer: probe.LayerProxy, Cause: probe.CauseSlow}:           "the proxy is slow",

	{Layer: probe.LayerLink, Cause: probe.CauseLinkDown}:    "the proxy does not reach the backend",
	{Layer: probe.LayerLink, Cause: probe.CauseLinkRefused}: "the proxy's connections to the backend are refused",
	{Layer: probe.LayerLink, Cause: probe.CauseDataDropped}: "data between proxy and backend is dropped",

	{Layer: probe.LayerBackend, Cause: probe.CauseProcessDead}:   "the backend refuses connections: its process is not running",
	{Layer: probe.LayerBackend, Cause: probe.CauseHostDown}:      "the backend's host is down or unreachable",
	{Layer: probe.LayerBackend, Cause: probe.CauseFrozen}:        "the backend is frozen: its kernel accepts connections, its process does not answer",
	{Layer: probe.LayerBackend, Cause: probe.CauseQueueFull}:     "the backend is frozen: its queue of new connections is full",
	{Layer: probe.LayerBackend, Cause: probe.CauseCloses}:        "the backend closes connections without an answer",
	{Layer: probe.LayerBackend, Cause: probe.CauseErrorStatus}:   "the backend answers with an error status",
	{Layer: probe.LayerBackend, Cause: probe.CauseSlow}:          "the backend is slow",
	{Layer: probe.LayerBackend, Cause: probe.CauseBodyStalled}:   "the backend begins its answer and does not end it",
	{Layer: probe.LayerBackend, Cause: probe.CauseBodyTruncated}: "the backend's answer is cut short",
	{Layer: probe.LayerBackend, Cause: probe.CauseWrongContent}:  "the backend's answer is not what is expected",
	{Layer: probe.LayerBackend, Cause: probe.CauseNotHTTP}:       "the backend does not speak HTTP",
	{Layer: probe.LayerBackend, Cause: probe.CausePartial}:       "one of several backends fails",
	{Layer: probe.LayerBackend, Cause: probe.CauseNoAnswer}:      "the backend takes requests and does not answer them in time",
	{Layer: probe.LayerBackend, Cause: probe.CauseTimedOut}:      "the backend does not answer in time",
}
