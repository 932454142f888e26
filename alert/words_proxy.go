package alert

import "github.com/whichlayer/whichlayer/probe"

// proxyWords are for the program that ends TLS, and for its host as far as it is the program's. What can be seen from
// outside stands in [boxWords].
var proxyWords = map[probe.Cause]Words{
	probe.CauseProcessDead: {
		Happened: "the proxy refuses connections: its process is not running",
		Means: "Users get an error at once; the network and the proxy's host work, since the host itself gives " +
			"the refusal, and the backend is not asked at all.",
		Next: "On the proxy's host run `systemctl status SERVICE`, `journalctl -u SERVICE -e`, and `ss -ltn " +
			"'sport = :443'` to see whether anything listens.",
		Ask: "Ask those who run the proxy whether it was stopped, has crashed or was killed for want of memory " +
			"(`dmesg -T`).",
	},
	probe.CauseFrozen: {
		Happened: "the proxy is frozen: its kernel accepts connections, its process does not answer",
		Means: "Users connect and wait in vain; the network and the host's kernel work, since they take our " +
			"bytes, and the backend is not asked at all.",
		Next: "On the proxy's host see whether Recv-Q grows in `ss -ltn 'sport = :443'`, and what the process " +
			"waits for: `cat /proc/PID/wchan`, `grep State /proc/PID/status`.",
		Ask: "Ask those who run the proxy what it waits for (a full disk, a log that nobody reads, a stopped " +
			"process) before they restart it.",
	},
	probe.CauseQueueFull: {
		Happened: "the proxy is frozen: its queue of new connections is full",
		Means: "The program takes no connections, so its kernel drops new ones: it looks like a firewall and is " +
			"none, and the backend is not asked at all.",
		Next: "On the proxy's host see whether Recv-Q is above Send-Q in `ss -ltn 'sport = :443'` and whether " +
			"`nstat -az TcpExtListenOverflows` grows.",
		Ask: "Ask those who run the proxy what it waits for (`cat /proc/PID/wchan`) before they restart it, " +
			"and whether it gets more new connections than usual.",
	},
	probe.CauseRefusesClients: {
		Happened: "the proxy closes new connections at once",
		Means: "The program lives and sends users away: a limit of clients or of open files is reached, or an " +
			"access list turns them down; the network is not to blame.",
		Next: "Read the proxy's log at the start time, and compare `ls /proc/PID/fd | wc -l` with `grep 'open " +
			"files' /proc/PID/limits`.",
		Ask: "Ask those who run the proxy which limit was reached, or which access list was changed.",
	},
	probe.CauseNotAccepting: {
		Happened: "the proxy lives but takes no new connections",
		Means: "Who is connected is served and who comes new waits; the network, the host and the backend are " +
			"not to blame.",
		Next: "On the proxy's host see whether Recv-Q grows in `ss -ltn 'sport = :443'`, then look at `top -H " +
			"-p PID` and at `ls /proc/PID/fd | wc -l` against its limit.",
		Ask: "Ask those who run the proxy whether a limit of connections, threads or open files was reached.",
	},
	probe.CauseNotRelaying: {
		Happened: "the proxy completes the TLS handshake but relays nothing",
		Means: "Users connect, ask and get nothing, while the backend serves when it is asked directly; the " +
			"network up to the proxy is not to blame.",
		Next: "On the proxy's host look at its connections to the backend: `ss -tn dst BACKEND`; SYN-SENT means " +
			"that it does not get through, CLOSE-WAIT that it does not let go.",
		Ask: "Ask those who run the proxy which backend it uses, and what its log says of it at the start time.",
	},
	probe.CausePartial: {
		Happened: "one of several proxies fails",
		Means: "Only users whom the balancer sends to this proxy suffer; its fellows, the backend and the " +
			"network are not to blame.",
		Next: "Look at the one proxy that the evidence names, and ask the balancer whether it still sends users " +
			"there.",
		Ask: "Ask those who run the balancer to take this proxy out, and those who run the proxy what is " +
			"different on it.",
	},
	probe.CauseSlow: {
		Happened: "the proxy is slow",
		Means:    "Users are served late, because the proxy itself takes that long; the network and the backend are not to blame.",
		Next: "On the proxy's host look at `top -H -p PID`, `cat /proc/pressure/cpu` and Recv-Q in `ss -ltn " +
			"'sport = :443'`.",
		Ask: "Ask those who run the proxy whether it has more to do than usual, or less CPU.",
	},
	probe.CauseUnknown: {
		Happened: "something is wrong with the proxy",
		Means: "The proxy does not do its part, and what exactly cannot be seen from here; the network up to it " +
			"is not to blame.",
		Next: "On the proxy's host run `systemctl status SERVICE`, `journalctl -u SERVICE -e` and `ss -ltn " +
			"'sport = :443'`.",
		Ask: "Ask those who run the proxy what its log says, or does not say, at the start time.",
	},
}
