package alert

import "github.com/whichlayer/whichlayer/probe"

// noneWords are for verdicts that charge nobody.
var noneWords = map[probe.Cause]Words{
	probe.CauseNone: {
		Happened: "nothing is wrong",
		Means:    "Users are served as they should be.",
		Next:     "Nothing is to be done.",
		Ask:      "Nobody needs to be asked.",
	},
	probe.CauseUnknown: {
		Happened: "which layer broke is not known",
		Means: "Users may suffer, and what was seen fits no layer better than another, so nobody is cleared and " +
			"nobody is charged.",
		Next: "Read the evidence with `whichlayer check --verbose`, and add lanes that tell more: hops, " +
			"backends, control ports.",
		Ask: "Ask each of the people concerned to look at their own part now, all at the same time.",
	},
}

// proberWords are for the prober's own trouble, of which users feel nothing.
var proberWords = map[probe.Cause]Words{
	probe.CausePaused: {
		Happened: "this prober itself did not run for a while",
		Means: "Nothing is known of the service for that time, because this program stood still: stopped, " +
			"starved, or asleep with its whole machine.",
		Next: "Look for a suspended or moved virtual machine and for a busy host: `journalctl -k --since -1h`, " +
			"`cat /proc/pressure/cpu`.",
		Ask: "Ask those who run this prober's machine whether it was paused, backed up or moved at that time.",
	},
	probe.CauseStarved: {
		Happened: "this prober gets too little CPU",
		Means: "This program runs too late and too slowly for its times to mean anything, so answers that are " +
			"slow or missing prove nothing about the service.",
		Next: "On this prober's host look at `top` and `cat /proc/pressure/cpu`, and for a limit in `systemctl " +
			"show -p CPUQuotaPerSecUSec whichlayer` or the container's settings.",
		Ask: "Ask those who run this prober's host for more CPU, or for a higher limit.",
	},
	probe.CauseBlind: {
		Happened: "this prober can look at none of its targets",
		Means: "Nothing is known of any service since then, and the reason lies with this prober or its own network: no " +
			"target is charged.",
		Next: "On this prober's host look at `ip addr`, `ip route` and `/etc/resolv.conf`, and run `whichlayer check --verbose`.",
		Ask:  "Ask those who run this prober's host and its network what changed there.",
	},
	probe.CauseReceiverRefuses: {
		Happened: "a receiver of this prober's messages refuses them",
		Means: "Incidents are still seen and kept, but those whom this receiver should tell hear nothing until its settings are " +
			"right.",
		Next: "Correct the receiver's token, address or permissions, then try it with `whichlayer drill`.",
		Ask:  "Ask those who run the receiving side (Slack, Alertmanager, the mail server, the webhook) why it refuses.",
	},
	probe.CauseStateLost: {
		Happened: "what this prober had kept cannot be read, so it begins anew",
		Means: "Past incidents and messages that were waiting are lost to this prober, and its old file was moved aside; what " +
			"happens from now on is kept.",
		Next: "Keep the file that was moved aside, and look for a full or failing disk: `dmesg -T`, `df -h`.",
		Ask:  "Ask those who run this prober's host about its disk and about a crash.",
	},
	probe.CauseStateNotKept: {
		Happened: "this prober cannot write its state",
		Means: "Probing and messages go on from memory, so that a crash now would forget the incidents that are going on and the " +
			"messages that wait.",
		Next: "Make room or repair the state directory: `df -h DIR`, `df -i DIR`, `ls -ld DIR`, `dmesg -T`.",
		Ask:  "Ask those who run this prober's host about its disk.",
	},
	probe.CauseOutOfFiles: {
		Happened: "this prober has run out of file descriptors",
		Means: "This program could not open a connection at all, so nothing is known of the service, and users " +
			"do not feel it.",
		Next: "On this prober's host compare `ls /proc/PID/fd | wc -l` with `grep 'open files' /proc/PID/limits`.",
		Ask:  "Ask those who run this prober to raise its limit of open files (`LimitNOFILE=` in systemd).",
	},
	probe.CauseOutOfPorts: {
		Happened: "this prober has run out of local ports",
		Means: "Every local port towards this address is in use, so no new probe could start; the service may be " +
			"well.",
		Next: "Count what holds them with `ss -tan dst ADDRESS | wc -l`, and compare with `sysctl " +
			"net.ipv4.ip_local_port_range`.",
		Ask: "Ask those who run this prober's host what else opens so many connections to the same address.",
	},
	probe.CauseOutOfBuffers: {
		Happened: "this prober's kernel has run out of memory for the network",
		Means:    "This host could not send, so nothing is known of the service, and users do not feel it.",
		Next: "On this prober's host look at `free -m` and `cat /proc/net/sockstat`, and for \"out of memory\" " +
			"in `dmesg -T`.",
		Ask: "Ask those who run this prober's host what uses up its memory.",
	},
	probe.CauseNoRoute: {
		Happened: "this prober has no route to it",
		Means: "This host knows no way to the service's address, so the probe never left; users elsewhere may " +
			"well be served.",
		Next: "On this prober's host run `ip route get ADDRESS` and `ip -br address`.",
		Ask:  "Ask those who run this prober's host whether an address, a route or a VPN was changed.",
	},
	probe.CauseTrust: {
		Happened: "this prober does not trust the authority that signed the certificate",
		Means: "Users may be served all the same, if their programs know an authority that this prober's " +
			"`ca_file:` or the system's store here does not hold.",
		Next: "Compare `openssl s_client -connect ADDRESS:443 -servername NAME -showcerts </dev/null` with the " +
			"file of `ca_file:`, or with the packages of root certificates here.",
		Ask: "Ask those who run the proxy whether the authority was changed on purpose, and users whether they " +
			"see a warning.",
	},
	probe.CauseNoCarrier: {
		Happened: "this prober's network interface has no link",
		Means: "The cable, the switch port or the virtual network card of this prober is gone, so nothing is " +
			"known of the service.",
		Next: "Look for NO-CARRIER or DOWN in `ip -br link`, then at the cable or at the virtual machine's " +
			"network card.",
		Ask: "Ask the network team about this prober's own switch port, not about the service.",
	},
	probe.CauseLocalFirewall: {
		Happened: "this prober's own firewall does not let the probes out",
		Means: "A packet filter on this prober's own host holds the probes back, so neither the service nor the " +
			"network is to blame.",
		Next: "On this prober's host read the rules for outgoing packets and their counters: `nft list ruleset` " +
			"or `iptables -L OUTPUT -v -n`.",
		Ask: "Ask those who run this prober's host whether its firewall or a security agent was changed.",
	},
	probe.CauseClockWrong: {
		Happened: "this prober's clock is wrong",
		Means:    "By the right time the certificate is valid, so users whose clocks are right are served.",
		Next: "On this prober's host compare `date -u` with another machine's, and look at `timedatectl` or " +
			"`chronyc tracking`.",
		Ask: "Ask those who run this prober's host why its clock is not kept right.",
	},
	probe.CauseVantageDown: {
		Happened: "this prober is cut off: its controls do not answer either",
		Means: "This prober reaches nothing, not even hosts that have nothing to do with the service, so it " +
			"cannot tell how users fare.",
		Next: "Look at the service from another place, and here at `ip -br link`, `ip route` and `ping GATEWAY`.",
		Ask:  "Ask the network team about this prober's own switch port and gateway, not about the service.",
	},
	probe.CauseResolverConfig: {
		Happened: "this host's resolv.conf names a server that does not answer",
		Means: "Probing goes on with the configured name servers, so the service is not touched, but this host itself may not " +
			"find names, and then its alerts do not get out.",
		Next: "Run `cat /etc/resolv.conf` and ask each server in it by itself: `dig @SERVER NAME`.",
		Ask: "Ask those who run this prober's host who writes its resolv.conf, and the DNS team whether that " +
			"server was taken away.",
	},
	probe.CauseStopped: {
		Happened: "this prober was being stopped",
		Means:    "This program was ending while it looked, so this look says nothing about the service.",
		Next:     "If nobody meant to stop it, read `journalctl -u whichlayer -e`.",
		Ask:      "Ask those who run this prober, if it was not you who stopped it.",
	},
	probe.CauseOwnDefect: {
		Happened: "this prober has a defect or lacks a file",
		Means: "The probe failed for a reason of its own, such as a file that could not be read, so nothing is " +
			"known of the service.",
		Next: "Run `whichlayer validate`, and read the error in `whichlayer check --verbose`.",
		Ask: "Ask those who run this prober to mend its files; if they are in order, report the error to " +
			"whichlayer's authors.",
	},
}
