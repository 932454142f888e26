package alert

import "github.com/whichlayer/whichlayer/probe"

// networkWords are for what lies between the prober and the front.
var networkWords = map[probe.Cause]Words{
	probe.CausePortDropped: {
		Happened: "the network drops packets to its port while other ports of the host answer",
		Means: "Users wait and get nothing; the host is up and reached at another port, so a packet filter drops " +
			"this one, and neither the proxy nor the backend is to blame.",
		Next: "On the host run `tcpdump -ni any tcp port 443`: if our packets do not arrive, look on the way; " +
			"if they do, look at the host's own filter with `nft list ruleset`.",
		Ask: "Ask the network team whether a rule changed for this port at the start time; show them the " +
			"capture filter.",
	},
	probe.CauseNewDropped: {
		Happened: "the network drops new connections while established ones go on",
		Means: "Who is connected is served and who comes new waits, as when a firewall's connection table is " +
			"full; the proxy and the backend are not to blame.",
		Next: "On the firewall compare the number of connections with its limit; on Linux: `sysctl " +
			"net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max`.",
		Ask: "Ask the firewall team for its number of connections, its drops and its rule changes at the start " +
			"time.",
	},
	probe.CauseEstablishedDropped: {
		Happened: "the network drops established connections while new ones work",
		Means: "Old connections hang until they are opened anew, because a firewall or balancer on the way has " +
			"forgotten them; the proxy and the backend are not to blame.",
		Next: "Look for a failover or restart of the firewall at the start time, and compare its idle timeout " +
			"with how long connections rest.",
		Ask: "Ask the firewall team whether it failed over, restarted or emptied its connection table.",
	},
	probe.CauseDataDropped: {
		Happened: "the network lets connections through but drops their data",
		Means: "Connections open and then hang, because something on the way lets the first packets pass and " +
			"drops the rest; the programs at both ends are not to blame.",
		Next: "Run `tcpdump -ni any tcp port 443` on both sides of the firewall and see where the packets with " +
			"data end.",
		Ask: "Ask the network team whether intrusion prevention or another inspection dropped these " +
			"connections; show them the ports and times of the failed probes.",
	},
	probe.CauseReturnDropped: {
		Happened: "the network drops what the server sends back",
		Means: "Our data arrives and the answer is lost on its way back, so the proxy looks frozen without being " +
			"so.",
		Next: "On the proxy's host run `tcpdump -ni any tcp port 443`: if answers leave there and do not arrive " +
			"here, it is the way back.",
		Ask: "Ask the network team whether the way back is another one, or has a rule that changed at the " +
			"start time.",
	},
	probe.CausePMTU: {
		Happened: "the network drops large packets without a word (path MTU)",
		Means: "Small packets pass and large ones vanish, so connections open and hang at the first long answer; " +
			"the proxy and the backend are not to blame.",
		Next: "Run `ping -M do -s 1472 ADDRESS` and lower the size until it answers: that size plus 28 is the " +
			"largest packet that passes.",
		Ask: "Ask the network team which tunnel or link is new, and whether something filters the ICMP message " +
			"\"fragmentation needed\".",
	},
	probe.CauseThrottled: {
		Happened: "the network lets small packets through and large ones late",
		Means: "Something on the way limits the rate, so pages come late or in drips; the proxy and the backend " +
			"are not slow.",
		Next: "Compare the speed here and close to the server: `curl -so /dev/null -w '%{speed_download}\\n' " +
			"URL`; on a Linux router look at `tc -s qdisc`.",
		Ask: "Ask the network team or the provider whether a rate limit for this port, address or line was " +
			"reached.",
	},
	probe.CauseFirewallReset: {
		Happened: "a firewall resets the connections",
		Means: "A device on the way ends connections in the server's name, so users get an error at once; the " +
			"server has not refused them.",
		Next: "On the proxy's host run `tcpdump -ni any 'tcp port 443 and tcp[tcpflags] & tcp-rst != 0'`: a " +
			"reset that arrives here and never left there was made on the way.",
		Ask: "Ask the firewall team for its log of denied and reset connections at the start time; show them " +
			"the capture filter.",
	},
	probe.CauseFirewallReject: {
		Happened: "a firewall rejects the connections",
		Means: "A router or packet filter says openly that this connection is not allowed, so the proxy and the " +
			"backend are not asked at all.",
		Next: "Run `tcpdump -ni any 'icmp or icmp6'` while you connect: the sender's address is the device that " +
			"rejects.",
		Ask: "Ask those who run that device which rule rejects this port since the start time.",
	},
	probe.CausePathDown: {
		Happened: "the path to the host is down",
		Means:    "Nothing goes to that host and back, whatever the port, so nothing can be said against its programs.",
		Next: "Run `ping ADDRESS` and `tracepath -n ADDRESS` here and in another network, and look on where the " +
			"answers end.",
		Ask: "Ask the network team about links, routes and firewalls between these two networks since the " +
			"start time.",
	},
	probe.CauseSlow: {
		Happened: "the way to the host takes much longer than it did",
		Means: "Users are served, but wait for each round trip, because packets take another way or wait in a " +
			"queue on it; the proxy and the backend are not to blame.",
		Next: "Run `tracepath -n ADDRESS` and compare the times and the hops with those of another day; " +
			"look at the load of the lines on the way.",
		Ask: "Ask the network team whether a route changed or a line is full since the start time.",
	},
	probe.CauseLoss: {
		Happened: "the network loses packets",
		Means:    "Some packets must be sent again, so some users wait a second or more; the programs are not slow.",
		Next: "Look for errors and drops on every interface of the way: `ip -s link` on hosts, the port " +
			"counters on switches.",
		Ask: "Ask the network team for error and drop counters on the way, and for links that are full.",
	},
	probe.CauseForwardProxy: {
		Happened: "the forward proxy does not connect to it",
		Means: "The way out leads through a forward proxy, which does not get through; users who do not need it " +
			"may well be served.",
		Next: "Compare `curl -v -x http://PROXY:PORT URL` with `curl -v --noproxy '*' URL`.",
		Ask:  "Ask those who run the forward proxy for its log at the start time.",
	},
	probe.CauseTimedOut: {
		Happened: "the network does not answer",
		Means:    "Packets go out and nothing comes back, so nothing can be said against the programs at the far end.",
		Next: "Run `ping ADDRESS` and `tracepath -n ADDRESS` here and in another network, and look on where the " +
			"answers end.",
		Ask: "Ask the network team what changed on this way at the start time.",
	},
	probe.CauseUnknown: {
		Happened: "something is wrong with the network",
		Means: "Something between this prober and the service fails; nothing speaks against the proxy or the " +
			"backend.",
		Next: "Run `tracepath -n ADDRESS`, and `tcpdump -ni any tcp port 443` on both ends, and compare.",
		Ask:  "Ask the network team what changed on this way at the start time; show them the capture filter.",
	},
}

// hostWords are for the machine on which the front's program runs.
var hostWords = map[probe.Cause]Words{
	probe.CauseHostDown: {
		Happened: "the host is down or unreachable",
		Means: "The machine itself does not answer on any port, so all that runs on it is gone; its programs and " +
			"the backend are not to blame.",
		Next: "Look at the machine's console or its hypervisor, and on its router for the machine's neighbour " +
			"entry: `ip neigh show ADDRESS`.",
		Ask: "Ask those who run the host whether it was restarted, moved or lost its power or its link at the " +
			"start time.",
	},
	probe.CauseFirewallReject: {
		Happened: "the host's own firewall rejects the connections",
		Means: "The machine is up and its own packet filter turns this port away, so the proxy and the backend " +
			"are not asked at all.",
		Next: "On the host read the rules for incoming packets and their counters: `nft list ruleset` or " +
			"`iptables -L INPUT -v -n`.",
		Ask: "Ask those who run the host whether its firewall was changed at the start time.",
	},
	probe.CauseFrozen: {
		Happened: "the host's kernel answers and none of its programs does",
		Means: "All programs of the machine may be stuck, not just one: it has no memory, or waits for a disk; the " +
			"network and the backend are not to blame.",
		Next: "Look at the machine's console; if a command still runs there, read `cat /proc/pressure/io " +
			"/proc/pressure/memory` and `dmesg -T`.",
		Ask: "Ask those who run the host or its storage what happened at the start time.",
	},
	probe.CauseUnknown: {
		Happened: "something is wrong with the host",
		Means:    "The machine at that address does not do its part; the network up to it is not to blame.",
		Next:     "Look at the machine's console, and at `dmesg -T` and `ip -br link` on it.",
		Ask:      "Ask those who run the host what changed at the start time.",
	},
}
