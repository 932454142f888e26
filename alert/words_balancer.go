package alert

import "github.com/whichlayer/whichlayer/probe"

// balancerWords are for what spreads users over proxies or backends. It is often an appliance, on which commands of
// Linux may be missing or tell half of the truth. What can be seen from outside stands in [boxWords].
var balancerWords = map[probe.Cause]Words{
	probe.CauseProcessDead: {
		Happened: "the balancer refuses connections: its process is not running",
		Means: "Users get an error at once; the network works, since the balancer's address gives the refusal, " +
			"and nothing speaks against what stands behind it.",
		Next: "On the balancer look whether the virtual server is enabled and whether it has any member that it " +
			"takes for alive; on Linux: `ss -ltn 'sport = :443'`.",
		Ask: "Ask those who run the balancer whether it was stopped, failed over, or has marked all members as " +
			"down.",
	},
	probe.CauseFrozen: {
		Happened: "the balancer is frozen: its kernel accepts connections, its process does not answer",
		Means: "Users connect and wait in vain; the network works, since our bytes are taken, and what stands " +
			"behind the balancer is not asked at all.",
		Next: "On the balancer look at its CPU, its memory and its count of connections; on Linux: `ss -ltn " +
			"'sport = :443'`, `cat /proc/PID/wchan`.",
		Ask: "Ask those who run the balancer what it waits for, and to write that down before they restart it " +
			"or fail over.",
	},
	probe.CauseQueueFull: {
		Happened: "the balancer is frozen: its queue of new connections is full",
		Means:    "The balancer takes no connections, so new ones are dropped: it looks like a firewall and is none.",
		Next: "On the balancer compare the count of connections with its limit; on Linux see whether `nstat -az " +
			"TcpExtListenOverflows` grows.",
		Ask: "Ask those who run the balancer whether it has reached a limit or stands still.",
	},
	probe.CauseRefusesClients: {
		Happened: "the balancer closes new connections at once",
		Means: "The balancer lives and sends users away: it has nobody behind it to pass them to, or has reached " +
			"a limit; the network is not to blame.",
		Next: "On the balancer look at the state of each member behind the virtual server, and at its health " +
			"checks.",
		Ask: "Ask those who run the balancer which members it takes for dead and since when, and those who run " +
			"the proxies whether that is so.",
	},
	probe.CauseNotAccepting: {
		Happened: "the balancer lives but takes no new connections",
		Means: "Who is connected is served and who comes new waits: a limit of connections is reached or the " +
			"part that accepts is stuck; the proxies and the backend are not to blame.",
		Next: "On the balancer compare the count of connections, and of new ones a second, with its limits and " +
			"its licence.",
		Ask: "Ask those who run the balancer which limit was reached at the start time.",
	},
	probe.CauseNotRelaying: {
		Happened: "the balancer takes connections but relays nothing",
		Means: "Users connect, ask and get nothing, while everything behind the balancer serves when it is asked " +
			"directly.",
		Next: "On the balancer look at its connections to the members, and at its way to them; on Linux: `ss " +
			"-tn dst MEMBER`.",
		Ask: "Ask those who run the balancer what changed in its pool, its rules or its own addresses (SNAT) " +
			"at the start time.",
	},
	probe.CausePartial: {
		Happened: "one of several balancers fails",
		Means: "Only users who come to this balancer suffer; its fellows and all that stands behind them are not " +
			"to blame.",
		Next: "Look at the one balancer that the evidence names, and at what sends users to it: DNS or a shared " +
			"address.",
		Ask: "Ask those who run the balancers to take this one out, and what is different on it.",
	},
	probe.CauseSlow: {
		Happened: "the balancer is slow",
		Means: "Users are served late, while what stands behind the balancer answers in time when it is asked " +
			"directly.",
		Next: "On the balancer look at its CPU, its count of connections and the answer times of its members.",
		Ask:  "Ask those who run the balancer whether it has more to do than usual.",
	},
	probe.CauseUnknown: {
		Happened: "something is wrong with the balancer",
		Means: "The balancer does not do its part, and what exactly cannot be seen from here; the network up to " +
			"it is not to blame.",
		Next: "On the balancer look at the virtual server, the state of its members and its log at the start time.",
		Ask:  "Ask those who run the balancer what changed at the start time.",
	},
}
