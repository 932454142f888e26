package alert

import "github.com/whichlayer/whichlayer/probe"

// linkWords are for what lies between the proxy and the backend, seen by nobody but the proxy.
var linkWords = map[probe.Cause]Words{
	probe.CauseLinkDown: {
		Happened: "the proxy does not reach the backend",
		Means: "Users get as far as the proxy and no further: the way from it to the backend is broken, and the network up to " +
			"the proxy is not to blame.",
		Next: "On the proxy's host run `curl -v http://BACKEND/` and `ss -tn state syn-sent`, which lists " +
			"connections that get no reply.",
		Ask: "Ask the network team whether a rule or a route between the proxy and the backend changed at the " +
			"start time.",
	},
	probe.CauseLinkRefused: {
		Happened: "the proxy's connections to the backend are refused",
		Means: "Users get as far as the proxy and are cut off there, while the backend serves when it is asked " +
			"directly: the proxy asks the wrong place or is turned away.",
		Next: "On the proxy's host run `curl -v http://BACKEND/` with the very address and port that stand in " +
			"the proxy's configuration.",
		Ask: "Ask those who run the proxy which address it connects to, and the network team whether something " +
			"rejects that.",
	},
	probe.CauseDataDropped: {
		Happened: "data between proxy and backend is dropped",
		Means: "The proxy connects to the backend and its data is lost on the way, so users wait; the proxy and " +
			"the backend are not to blame.",
		Next: "On the proxy's host look for Send-Q above 0 in `ss -tn dst BACKEND`, and for a largest packet " +
			"with `ping -M do -s 1472 BACKEND`.",
		Ask: "Ask the network team whether a device between the proxy and the backend drops these packets; " +
			"show them both addresses.",
	},
	probe.CauseSlow: {
		Happened: "the link between proxy and backend is slow",
		Means:    "Users are served late, while the backend answers in time when it is asked directly.",
		Next:     "On the proxy's host look at the round-trip times and retransmissions in `ss -tni dst BACKEND`.",
		Ask:      "Ask the network team for drops and full links between the proxy and the backend.",
	},
	probe.CauseUnknown: {
		Happened: "something is wrong with the link between proxy and backend",
		Means:    "Users get as far as the proxy and no further; the network up to the proxy is not to blame.",
		Next:     "On the proxy's host run `curl -v http://BACKEND/` and look at `ss -tn dst BACKEND`.",
		Ask:      "Ask the network team what changed between the proxy and the backend at the start time.",
	},
}

// backendWords are for the application and its host. The network and the proxy in front are innocent in all of them.
var backendWords = map[probe.Cause]Words{
	probe.CauseProcessDead: {
		Happened: "the backend refuses connections: its process is not running",
		Means: "Users reach the proxy and get an error from it; the network, the proxy and the backend's host " +
			"work, since the host itself gives the refusal.",
		Next: "On the backend's host run `systemctl status SERVICE`, `journalctl -u SERVICE -e` and `ss -ltn " +
			"'sport = :PORT'`.",
		Ask: "Ask the application team whether it was stopped, deployed, or killed for want of memory (`dmesg " +
			"-T`).",
	},
	probe.CauseHostDown: {
		Happened: "the backend's host is down or unreachable",
		Means: "Nothing on the backend's machine answers, so users reach the proxy and get an error from it; the " +
			"proxy is not to blame.",
		Next: "Look at the machine's console or its hypervisor, and on its router for the machine's neighbour " +
			"entry: `ip neigh show ADDRESS`.",
		Ask: "Ask those who run the backend's host whether it was restarted, moved or lost its power or its link.",
	},
	probe.CauseFrozen: {
		Happened: "the backend is frozen: its kernel accepts connections, its process does not answer",
		Means: "Users reach the proxy and wait in vain for the application; the network, the proxy and the " +
			"backend's kernel work.",
		Next: "On the backend's host see whether Recv-Q grows in `ss -ltn 'sport = :PORT'`, and what the " +
			"process waits for: `cat /proc/PID/wchan`, `grep State /proc/PID/status`.",
		Ask: "Ask the application team for a thread dump before they restart it, and what it waits for: a " +
			"database, a lock, a full disk, garbage collection.",
	},
	probe.CauseQueueFull: {
		Happened: "the backend is frozen: its queue of new connections is full",
		Means: "The application takes no connections, so its kernel drops new ones: it looks like a firewall and " +
			"is none; the proxy is not to blame.",
		Next: "On the backend's host see whether Recv-Q is above Send-Q in `ss -ltn 'sport = :PORT'` and " +
			"whether `nstat -az TcpExtListenOverflows` grows.",
		Ask: "Ask the application team whether all its workers are busy, and with what.",
	},
	probe.CauseNoAnswer: {
		Happened: "the backend takes requests and does not answer them in time",
		Means:    "Users reach the application and it does not answer; the network and the proxy are not to blame.",
		Next: "Ask it directly with `curl -v http://BACKEND/PATH`, and look at its busy workers and at what " +
			"they wait for.",
		Ask: "Ask the application team for a thread dump, and whether a database or a service that it needs is " +
			"slow.",
	},
	probe.CauseTimedOut: {
		Happened: "the backend does not answer in time",
		Means:    "Users reach the application and it does not answer; the network and the proxy are not to blame.",
		Next: "Ask it directly with `curl -v http://BACKEND/PATH`, and look at its busy workers and at what " +
			"they wait for.",
		Ask: "Ask the application team whether a database or a service that it needs is slow.",
	},
	probe.CauseSlow: {
		Happened: "the backend is slow",
		Means: "Users are served late, because the application itself takes that long; the network and the proxy " +
			"are not to blame.",
		Next: "Measure it directly: `curl -so /dev/null -w 'first byte %{time_starttransfer} all " +
			"%{time_total}\\n' http://BACKEND/PATH`.",
		Ask: "Ask the application team whether its load, its database or its last deployment makes it slow.",
	},
	probe.CauseErrorStatus: {
		Happened: "the backend answers with an error status",
		Means: "Users get an error page that the application itself has made; the network and the proxy only " +
			"pass it on.",
		Next: "Ask it directly with `curl -v http://BACKEND/PATH`, and read the application's error log at the " +
			"start time.",
		Ask: "Ask the application team what was deployed or changed, and whether a database or a service that " +
			"it needs is gone.",
	},
	probe.CauseCloses: {
		Happened: "the backend closes connections without an answer",
		Means: "Users get an error from the proxy, because the application hangs up on it; the network is not to " +
			"blame.",
		Next: "Ask it directly with `curl -v http://BACKEND/PATH`, and look for crashes: `journalctl -u SERVICE " +
			"-e`, `dmesg -T`.",
		Ask: "Ask the application team whether workers crash, restart or reach a limit.",
	},
	probe.CauseBodyStalled: {
		Happened: "the backend begins its answer and does not end it",
		Means:    "Users see half a page and wait; the network and the proxy pass on what there is.",
		Next:     "Ask it directly with `curl -v http://BACKEND/PATH -o /dev/null` and see at which size it stops.",
		Ask: "Ask the application team what it waits for in the middle of an answer: a database, a file, " +
			"another service.",
	},
	probe.CauseBodyTruncated: {
		Happened: "the backend's answer is cut short",
		Means: "Users get a part of the page; the backend ends it too early when it is asked directly, too, so " +
			"the proxy is not to blame.",
		Next: "Ask it directly with `curl -v http://BACKEND/PATH -o /dev/null`, which says how many bytes are " +
			"missing.",
		Ask: "Ask the application team whether workers crash, or reach a time limit, in the middle of an answer.",
	},
	probe.CauseWrongContent: {
		Happened: "the backend's answer is not what is expected",
		Means: "Users get an answer, and a wrong one, from the application itself; the network and the proxy " +
			"only pass it on.",
		Next: "Compare `curl -s http://BACKEND/PATH` with `expect:` in the configuration.",
		Ask: "Ask the application team what was deployed; if the answer was changed on purpose, correct " +
			"`expect:`.",
	},
	probe.CauseNotHTTP: {
		Happened: "the backend does not speak HTTP",
		Means: "Another program answers on the backend's port, or another protocol than expected; the network " +
			"and the proxy are not to blame.",
		Next: "Read the first bytes with `curl -v --http0.9 http://BACKEND/ --output - | head -c 200`, and see " +
			"who listens: `ss -ltnp 'sport = :PORT'`.",
		Ask: "Ask the application team what was started or changed on this port.",
	},
	probe.CausePartial: {
		Happened: "one of several backends fails",
		Means: "Only users who are sent to this backend suffer; its fellows, the proxy and the network are not " +
			"to blame.",
		Next: "Look at the one backend that the evidence names, and whether the proxy or balancer still sends " +
			"users there.",
		Ask: "Ask those who run the balancer to take this backend out, and the application team what is " +
			"different on it.",
	},
	probe.CauseUnknown: {
		Happened: "something is wrong with the backend",
		Means:    "The application does not do its part, and what exactly cannot be seen from here.",
		Next: "Ask it directly with `curl -v http://BACKEND/PATH`, and run `systemctl status SERVICE` and " +
			"`journalctl -u SERVICE -e` on its host.",
		Ask: "Ask the application team what its log says at the start time.",
	},
}
