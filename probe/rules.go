package probe

// RuleSideLane is the rule by which a target is up although a lane beside the front fails.
const RuleSideLane = "side-lane-blocked"

// RuleUnusual is the rule by which a target is degraded because it serves much slower than it did before.
const RuleUnusual = "slow-unusual"

// ruleExpires is the rule by which a target is degraded because its certificate ends soon.
const ruleExpires = "certificate-expires"

// rules is the table, in the order in which it is asked. A rule's name is shown in every verdict that it made.
var rules = []rule{
	// The prober itself: what we did not see we do not charge to anybody.
	{"self-paused", judgePaused},
	{"self-starved", judgeStarved},
	{"self-errno", judgeErrno},
	{"self-no-carrier", judgeNoCarrier},
	{"self-local-firewall", judgeLocalFirewall},
	{"self-clock", judgeClock},
	{"self-resolver", judgeFormerServers},
	{"vantage-down", judgeVantage},

	// Nothing is wrong for users, or not much.
	{"self-notice", judgeNotice},
	{"up", judgeUp},
	{"dns-slow", judgeSlowDNS},
	{"loss", judgeLoss},
	{RuleUnusual, judgeUnusual},
	{"slow", judgeSlow},
	{"pool-backend", judgePoolBackend},
	{"pool-hop", judgePoolHop},
	{"held-open-dropped", judgeHeldOpenDropped},
	{ruleExpires, judgeExpiring},
	{"self-notice-beside", judgeNoticeBeside},
	{RuleSideLane, judgeSideLane},

	// The front's name.
	{"dns-wrong-address", judgeWrongAddress},
	{"dns-no-answer", judgeDNSSilent},
	{"dns-unreachable", judgeDNSUnreachable},
	{"dns-bad-answer", judgeDNSAnswer},

	// The front's TCP connect.
	{"forward-proxy", judgeForwardProxy},
	{"connect-icmp-refused", judgeICMPRefused},
	{"connect-refused", judgeRefused},
	{"connect-unreachable", judgeUnreachable},
	{"connect-silent-frozen", judgeQueueFull},
	{"connect-silent-host-up", judgePortSilent},
	{"connect-silent-host", judgeHostSilent},

	// Data on an established connection: who did what with our bytes?
	{"large-packets-lost", judgeLargeLost},
	{"no-window", judgeHeldBack},
	{"two-kernels", judgeStranger},
	{"data-not-acked", judgeDataDropped},
	{"data-hole", judgeDataHole},
	{"data-cut", judgeRecordCut},

	// The front's TLS handshake.
	{"tls-silent-acked", judgeTLSSilent},
	{"tls-certificate", judgeCertificate},
	{"tls-refused", judgeTLSRefused},
	{"tls-ended", judgeEnded},

	// The front's request and response: is it the same past the proxy?
	{"balancer-only", judgeBalancerOnly},
	{"backend-host", judgeBackendHost},
	{"backend-refused", judgeBackendRefused},
	{"backend-same", judgeBackendSame},
	{"link-silent", judgeLinkSilent},
	{"link-ended", judgeLinkEnded},
	{"proxy-status", judgeProxyStatus},
	{"front-broken-answer", judgeBrokenAnswer},
	{"front-only", judgeNoBackend},
}
