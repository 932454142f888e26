package alert

import "github.com/whichlayer/whichlayer/probe"

// dnsWords are for the front's name. What stands behind the name is innocent in all of them.
var dnsWords = map[probe.Cause]Words{
	probe.CauseNameNotResolved: {
		Happened: "its name does not resolve",
		Means: "Users do not find the service, because the name server says that the name has no address; " +
			"everything behind the name may be well.",
		Next: "Ask each name server by itself with `dig @SERVER NAME`, and follow the name from the top with " +
			"`dig +trace NAME`.",
		Ask: "Ask the DNS team whether the record was changed or removed, or the domain has expired, and when.",
	},
	probe.CauseServerFailure: {
		Happened: "the name server answers with an error",
		Means: "The name server is reached and cannot answer, so users do not find the service; the network to " +
			"it and the service itself are not to blame.",
		Next: "Compare `dig @SERVER NAME` with `dig +cd @SERVER NAME`: if only the second works, a DNSSEC " +
			"signature is wrong.",
		Ask: "Ask the DNS team to read that server's log at the start time.",
	},
	probe.CauseRefused: {
		Happened: "the name server refuses the question",
		Means: "The name server's host is reached, but no program listens there or it does not serve this " +
			"network; everything behind the name may be well.",
		Next: "Run `dig @SERVER NAME` here and on another host, and on the name server `ss -lnu 'sport = :53'`.",
		Ask:  "Ask the DNS team whether the server runs and whether its access list still has this network.",
	},
	probe.CauseTimedOut: {
		Happened: "no name server answers",
		Means: "Users who ask the same name servers do not find the service; everything behind the name may be " +
			"well.",
		Next: "Ask each name server by itself, over UDP and over TCP: `dig @SERVER NAME`, `dig +tcp @SERVER NAME`.",
		Ask: "Ask the DNS team whether the server is up, and the network team whether something blocks port 53 " +
			"on the way to it.",
	},
	probe.CauseWrongAddress: {
		Happened: "its name resolves to an address that is not expected",
		Means: "Users are led to another machine than the expected one, so the usual proxy and backend are not " +
			"to blame.",
		Next: "Compare `dig @SERVER NAME` at each name server with `addresses:` in the configuration.",
		Ask:  "Ask the DNS team who changed the record and when; if the move was meant, correct `addresses:`.",
	},
	probe.CauseInvalidAnswer: {
		Happened: "the name server's answer is not valid",
		Means: "What comes back is no proper answer to the question: the name server is broken, or a box on the " +
			"way interferes; the service itself is not to blame.",
		Next: "Record one exchange with `tcpdump -ni any -w dns.pcap port 53` while you run `dig @SERVER NAME`.",
		Ask:  "Ask the DNS team about that server, and the network team whether a device inspects or rewrites DNS.",
	},
	probe.CauseSlow: {
		Happened: "its name resolves, but late",
		Means:    "Users wait for the name before anything else begins; the service itself is not slow.",
		Next: "Compare the \"Query time\" of `dig @SERVER NAME` at each server in resolv.conf, the first one " +
			"above all.",
		Ask: "Ask the DNS team whether one of the servers is down or overloaded.",
	},
	probe.CauseUnknown: {
		Happened: "something is wrong with name resolution",
		Means:    "Users may not find the service; everything behind the name may be well.",
		Next:     "Ask each name server by itself with `dig @SERVER NAME`, and read the error in the evidence.",
		Ask:      "Ask the DNS team what changed at the start time.",
	},
}
