package probe

import (
	"maps"
	"slices"
)

// Type says how a stage failed. The names are those of W3C Network Error Logging, extended by its own rule
// (a dot and a further word); the list is closed.
type Type string

// Code is HAProxy's short code for the same, known to people from its health checks.
type Code string

// Types of failure.
const (
	DNSNotResolved     Type = "dns.name_not_resolved" // NXDOMAIN, or no address of the wanted kind
	DNSTimedOut        Type = "dns.timed_out"         // no server answered
	DNSFailed          Type = "dns.failed"            // SERVFAIL and every other bad response code
	DNSRefused         Type = "dns.refused"           // REFUSED
	DNSUnreachable     Type = "dns.unreachable"       // the server's port or host is unreachable
	DNSInvalid         Type = "dns.response.invalid"  // not a DNS message, or not an answer to our question
	DNSAddressChanged  Type = "dns.address_changed"   // resolved, but to an address outside the expected set
	TCPTimedOut        Type = "tcp.timed_out"
	TCPRefused         Type = "tcp.refused"
	TCPReset           Type = "tcp.reset"
	TCPUnreachable     Type = "tcp.address_unreachable"
	TCPFailed          Type = "tcp.failed"
	ForwardProxyFailed Type = "tcp.forward_proxy" // the forward proxy could not be reached, or did not CONNECT
	TLSTimedOut        Type = "tls.timed_out"
	TLSClosed          Type = "tls.closed"
	TLSReset           Type = "tls.reset"
	TLSAlert           Type = "tls.alert"
	TLSProtocol        Type = "tls.protocol.error"
	TLSStartTLS        Type = "tls.starttls" // the clear-text prologue did not lead to TLS
	TLSCertDate        Type = "tls.cert.date_invalid"
	TLSCertName        Type = "tls.cert.name_invalid"
	TLSCertAuthority   Type = "tls.cert.authority_invalid"
	TLSCertInvalid     Type = "tls.cert.invalid"
	HTTPTimedOut       Type = "http.timed_out"
	HTTPClosed         Type = "http.closed"
	HTTPReset          Type = "http.reset"
	HTTPInvalid        Type = "http.response.invalid"
	HTTPStatus         Type = "http.status"
	HTTPBodyStalled    Type = "http.body_stalled"
	HTTPBodyTruncated  Type = "http.body_truncated"
	HTTPExpectation    Type = "http.expectation"
	AppTimedOut        Type = "app.timed_out" // of a dialogue, as are the next three
	AppClosed          Type = "app.closed"
	AppReset           Type = "app.reset"
	AppExpectation     Type = "app.expectation"
	SelfOutOfFiles     Type = "self.out_of_files"   // EMFILE, ENFILE
	SelfOutOfPorts     Type = "self.out_of_ports"   // EADDRNOTAVAIL
	SelfOutOfBuffers   Type = "self.out_of_buffers" // ENOBUFS, ENOMEM
	SelfNoRoute        Type = "self.no_route"       // no way out: no route, or no address of ours to go from
	SelfDenied         Type = "self.denied"         // EPERM, EACCES: a local policy
	SelfPaused         Type = "self.paused"         // this process did not run
	SelfStopped        Type = "self.stopped"        // this process is ending
	SelfFailed         Type = "self.failed"         // a defect or a missing file of our own
)

// codes maps every type to HAProxy's word for it; DNS has none there.
var codes = map[Type]Code{
	DNSNotResolved: "", DNSTimedOut: "", DNSFailed: "", DNSRefused: "", DNSUnreachable: "", DNSInvalid: "", DNSAddressChanged: "",
	TCPTimedOut: "L4TOUT", TCPRefused: "L4CON", TCPReset: "L4CON", TCPUnreachable: "L4CON", TCPFailed: "L4CON", ForwardProxyFailed: "L4CON",
	TLSTimedOut: "L6TOUT", TLSClosed: "L6RSP", TLSReset: "L6RSP", TLSAlert: "L6RSP", TLSProtocol: "L6RSP", TLSStartTLS: "L6RSP",
	TLSCertDate: "L6RSP", TLSCertName: "L6RSP", TLSCertAuthority: "L6RSP", TLSCertInvalid: "L6RSP",
	HTTPTimedOut: "L7TOUT", HTTPClosed: "L7RSP", HTTPReset: "L7RSP", HTTPInvalid: "L7RSP", HTTPStatus: "L7STS",
	HTTPBodyStalled: "L7TOUT", HTTPBodyTruncated: "L7RSP", HTTPExpectation: "L7RSP",
	AppTimedOut: "L7TOUT", AppClosed: "L7RSP", AppReset: "L7RSP", AppExpectation: "L7RSP",
	SelfOutOfFiles: "SOCKERR", SelfOutOfPorts: "SOCKERR", SelfOutOfBuffers: "SOCKERR", SelfNoRoute: "SOCKERR", SelfDenied: "SOCKERR",
	SelfPaused: "SOCKERR", SelfStopped: "SOCKERR", SelfFailed: "SOCKERR",
}

// Code is HAProxy's short code for the type.
func (t Type) Code() Code { return codes[t] }

// Known tells whether the type is of the closed list.
func (t Type) Known() bool { _, ok := codes[t]; return ok }

// Types lists the types of failure, sorted.
func Types() []Type { return slices.Sorted(maps.Keys(codes)) }

// Self tells that the failure is the prober's own.
func (t Type) Self() bool { return len(t) > 5 && t[:5] == "self." }

// Causes by layer. One word may name the same mechanism in several layers.
const (
	CauseNone               Cause = "none"
	CauseUnknown            Cause = "unknown"
	CausePaused             Cause = "paused"
	CauseOutOfFiles         Cause = "out_of_files"
	CauseOutOfPorts         Cause = "out_of_ports"
	CauseOutOfBuffers       Cause = "out_of_buffers"
	CauseNoRoute            Cause = "no_route"
	CauseLocalFirewall      Cause = "local_firewall"
	CauseClockWrong         Cause = "clock_wrong"
	CauseVantageDown        Cause = "vantage_down"
	CauseStopped            Cause = "stopped"
	CauseResolverConfig     Cause = "resolver_config" // the system's resolv.conf names a dead server
	CauseStarved            Cause = "starved"         // too little CPU to tell the times of others
	CauseNoCarrier          Cause = "no_carrier"      // our network interface has no link
	CauseTrust              Cause = "trust_store"     // the certificates that we trust are not those that users trust
	CauseOwnDefect          Cause = "own_defect"
	CauseBlind              Cause = "blind"            // no target can be looked at
	CauseReceiverRefuses    Cause = "receiver_refuses" // a receiver of our messages takes none
	CauseStateLost          Cause = "state_lost"       // what an earlier process kept cannot be read
	CauseStateNotKept       Cause = "state_not_kept"   // nothing can be written to the state directory
	CauseNameNotResolved    Cause = "name_not_resolved"
	CauseServerFailure      Cause = "server_failure"
	CauseRefused            Cause = "refused"
	CauseTimedOut           Cause = "timed_out"
	CauseWrongAddress       Cause = "wrong_address"
	CauseInvalidAnswer      Cause = "invalid_answer"
	CausePortDropped        Cause = "port_dropped"
	CauseNewDropped         Cause = "new_connections_dropped"
	CauseEstablishedDropped Cause = "established_dropped"
	CauseDataDropped        Cause = "data_dropped"
	CauseReturnDropped      Cause = "return_path_dropped"
	CausePMTU               Cause = "pmtu_black_hole"
	CauseFirewallReset      Cause = "firewall_reset"
	CauseFirewallReject     Cause = "firewall_reject"
	CausePathDown           Cause = "path_down"
	CauseLoss               Cause = "loss"
	CauseThrottled          Cause = "throttled" // small packets pass, large ones come late: a policer
	CauseForwardProxy       Cause = "forward_proxy"
	CauseHostDown           Cause = "host_down"
	CauseProcessDead        Cause = "process_dead"
	CauseFrozen             Cause = "frozen"
	CauseQueueFull          Cause = "accept_queue_full"
	CauseRefusesClients     Cause = "refuses_clients"
	CauseNotAccepting       Cause = "not_accepting"
	CauseNoAnswer           Cause = "no_answer"
	CauseCertExpired        Cause = "certificate_expired"
	CauseCertExpires        Cause = "certificate_expires"
	CauseCertName           Cause = "certificate_wrong_name"
	CauseCertAuthority      Cause = "certificate_unknown_authority"
	CauseCertInvalid        Cause = "certificate_invalid"
	CauseTLSRefused         Cause = "tls_refused"
	CauseNotTLS             Cause = "not_tls"
	CauseLinkDown           Cause = "link_down"
	CauseLinkRefused        Cause = "link_refused"
	CauseNotRelaying        Cause = "not_relaying"
	CauseCloses             Cause = "closes_without_answer"
	CauseErrorStatus        Cause = "error_status"
	CauseSlow               Cause = "slow"
	CauseBodyStalled        Cause = "body_stalled"
	CauseBodyTruncated      Cause = "body_truncated"
	CauseWrongContent       Cause = "wrong_content"
	CauseNotHTTP            Cause = "not_http"
	CausePartial            Cause = "one_of_several"
)

// Causes lists the causes, in the order of the layers in which they are most at home.
var Causes = []Cause{
	CauseNone, CauseUnknown, CausePaused, CauseOutOfFiles, CauseOutOfPorts, CauseOutOfBuffers, CauseNoRoute,
	CauseLocalFirewall, CauseClockWrong, CauseVantageDown, CauseStopped, CauseResolverConfig, CauseStarved,
	CauseNoCarrier, CauseTrust, CauseOwnDefect, CauseBlind, CauseReceiverRefuses, CauseStateLost, CauseStateNotKept,
	CauseNameNotResolved, CauseServerFailure, CauseRefused, CauseTimedOut,
	CauseWrongAddress, CauseInvalidAnswer, CausePortDropped, CauseNewDropped, CauseEstablishedDropped,
	CauseDataDropped, CauseReturnDropped, CausePMTU, CauseFirewallReset, CauseFirewallReject, CausePathDown,
	CauseLoss, CauseThrottled, CauseForwardProxy, CauseHostDown, CauseProcessDead, CauseFrozen, CauseQueueFull,
	CauseRefusesClients, CauseNotAccepting, CauseNoAnswer, CauseCertExpired, CauseCertExpires, CauseCertName,
	CauseCertAuthority, CauseCertInvalid, CauseTLSRefused, CauseNotTLS, CauseLinkDown, CauseLinkRefused,
	CauseNotRelaying, CauseCloses, CauseErrorStatus, CauseSlow, CauseBodyStalled, CauseBodyTruncated,
	CauseWrongContent, CauseNotHTTP, CausePartial,
}
