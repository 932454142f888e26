package probe

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// Result is everything seen in one round of one target. It is plain data: facts, no conclusion.
type Result struct {
	Target string `json:"target"`
	// Round counts the target's rounds since the start of the process.
	Round uint64 `json:"round"`
	// Due is when the round should have begun, Started when it did.
	Due     time.Time `json:"due"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// Trigger says why the round ran.
	Trigger Trigger `json:"trigger"`
	Lanes   []Lane  `json:"lanes"`
	// Late are attempts of earlier rounds that were left open and have answered or ended since the last round.
	Late []LateAnswer `json:"late,omitempty"`
	// Paths is how often packets had to be sent again on the way to each host, over the last rounds.
	Paths []Path `json:"paths,omitempty"`
	// Self is the prober's own health during the round.
	Self Self `json:"self"`
}

// Trigger is the reason for a round.
type Trigger string

// Reasons for a round.
const (
	ByCheck    Trigger = "check"    // asked for by a person
	BySchedule Trigger = "schedule" // its time had come
	ByReprobe  Trigger = "reprobe"  // the detector wants another look soon
	ByHeldOpen Trigger = "heldopen" // a held-open connection missed an answer
	ByLate     Trigger = "late"     // an attempt that was left open has ended
)

// LaneKind is one way of looking at a target.
type LaneKind string

// Kinds of lane.
const (
	LaneFront    LaneKind = "front"    // as users do
	LaneVia      LaneKind = "via"      // a hop addressed directly
	LaneBackend  LaneKind = "backend"  // bypassing the proxy
	LaneControl  LaneKind = "control"  // a TCP connect to another port of a hop's or backend's host
	LaneHeldOpen LaneKind = "heldopen" // a long-lived connection: through the front, or beside another lane (see Lane.Of)
	LaneVantage  LaneKind = "vantage"  // a host that has nothing to do with the target: is it us?
)

// Role says what stands at a lane's far end.
type Role string

// Roles of a lane's far end.
const (
	RoleFront    Role = "front"
	RoleBalancer Role = "balancer"
	RoleProxy    Role = "proxy"
	RoleBackend  Role = "backend"
	RoleGateway  Role = "gateway"
	RoleControl  Role = "control"
)

// Lane is what one lane saw in one round.
type Lane struct {
	Lane LaneKind `json:"lane"`
	// Hop is the configured name of the hop, backend or control that was looked at; empty for the front.
	Hop string `json:"hop,omitempty"`
	// Role of the far end. Of a control lane: the role of the host that it stands for.
	Role Role `json:"role,omitempty"`
	// Name is the DNS name that was asked for, if any.
	Name string `json:"name,omitempty"`
	// Address is the literal address and port of the attempt.
	Address string `json:"address,omitempty"`
	// Local is the attempt's own address and port.
	Local string `json:"local,omitempty"`
	// RequestID is sent as X-Request-Id.
	RequestID string `json:"request_id,omitempty"`
	// Addresses are all that the name resolved to.
	Addresses []string `json:"addresses,omitempty"`
	// Extra marks a further look that was made because another lane failed.
	Extra bool `json:"extra,omitempty"`
	// Look names a look that is made in another way than users go, to tell look-alikes apart; such a lane is Extra too,
	// and Lane, Hop and Role are those of the lane that it explains. Empty for every other lane.
	Look Look `json:"look,omitempty"`
	// Of is which lane a held-open connection accompanies; empty for the front's.
	Of LaneKind `json:"of,omitempty"`
	// Reaction is what the peer did in answer to a half-close, or how it ended an exchange.
	Reaction Reaction `json:"reaction,omitempty"`
	// Served is when this lane last went well from end to end, before this round; zero if it never did.
	Served time.Time `json:"served,omitzero"`
	// Hanging marks an attempt that timed out and was left open, to see when it ends.
	Hanging  bool           `json:"hanging,omitempty"`
	Stages   []Stage        `json:"stages"`
	TLS      *TLSFacts      `json:"tls,omitempty"`
	HTTP     *HTTPFacts     `json:"http,omitempty"`
	HeldOpen *HeldOpenFacts `json:"held_open,omitempty"`
}

// StageName is a step of a lane.
type StageName string

// Stages in their order.
const (
	StageResolve  StageName = "resolve"
	StageConnect  StageName = "connect"
	StageTLS      StageName = "tls"
	StageRequest  StageName = "request"
	StageResponse StageName = "response"
)

// StageNames lists the stages in their order.
var StageNames = []StageName{StageResolve, StageConnect, StageTLS, StageRequest, StageResponse}

// Outcome of a stage.
type Outcome string

// Outcomes of a stage.
const (
	OK      Outcome = "ok"
	Slow    Outcome = "slow"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped" // an earlier stage failed
	NoData  Outcome = "nodata"  // we could not look
)

// Stage is what one step of a lane saw. A stage that the lane does not have is absent.
type Stage struct {
	Stage   StageName `json:"stage"`
	Outcome Outcome   `json:"outcome"`
	// Type and Code say how it failed; empty when it did not.
	Type Type `json:"type,omitempty"`
	Code Code `json:"code,omitempty"`
	// Started is zero for a stage that did not run.
	Started  time.Time `json:"started,omitzero"`
	Duration Seconds   `json:"duration_seconds"`
	Error    string    `json:"error,omitempty"`
	// Errno is the symbolic name of the last system call's error, such as EMFILE.
	Errno string `json:"errno,omitempty"`
	// Unusual marks a slow stage that is slow by what it took before, not by what is expected of it.
	Unusual bool `json:"unusual,omitempty"`
	// ICMP is the error that a router or a host sent about this stage's packets; nil when there was none.
	ICMP *ICMP `json:"icmp,omitempty"`
	// RecordGot and RecordLength tell that the stage ended in the middle of a TLS record: so many of its bytes had come.
	RecordGot    int `json:"tls_record_got,omitempty"`
	RecordLength int `json:"tls_record_length,omitempty"`
	// Asked is how each name server did that a resolve stage asked.
	Asked []Asked `json:"asked,omitempty"`
	// TCPInfo was read at the end of the stage; nil where there is no connection or no such counter.
	TCPInfo *tcpinfo.Info `json:"tcp_info,omitempty"`
}

// Ended is when the stage was over.
func (s *Stage) Ended() time.Time { return s.Started.Add(time.Duration(s.Duration)) }

// Good tells that the stage did what it should, if slowly.
func (s *Stage) Good() bool { return s.Outcome == OK || s.Outcome == Slow }

// TLSFacts is what a handshake showed.
type TLSFacts struct {
	Version string `json:"version,omitempty"`
	Cipher  string `json:"cipher,omitempty"`
	// NotBefore and NotAfter are those of the certificate in the presented chain that ends first.
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Subject   string    `json:"subject,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	Names     []string  `json:"names,omitempty"`
	// MinDays is for how many days the certificate is expected to be valid still; 0 expects nothing.
	MinDays int `json:"min_days,omitempty"`
	// ChainLength counts the certificates that were presented.
	ChainLength int `json:"chain_length,omitempty"`
}

// HTTPFacts is what a response showed.
type HTTPFacts struct {
	Status int    `json:"status"`
	Proto  string `json:"proto,omitempty"`
	Server string `json:"server,omitempty"`
	// Date is the server's clock as it told it.
	Date time.Time `json:"date,omitzero"`
	// Location of a redirect without its query; redirects are never followed.
	Location string `json:"location,omitempty"`
	// ContentLength is -1 when it was not told.
	ContentLength int64 `json:"content_length"`
	// BodyBytes counts what was read, at most the reader's limit.
	BodyBytes int64 `json:"body_bytes"`
	// Limited tells that the body was longer than we read.
	Limited bool `json:"limited,omitempty"`
}

// HeldOpenFacts is the history of a long-lived connection.
type HeldOpenFacts struct {
	// Mute tells that nothing is asked on the connection: this host's kernel asks the peer's kernel by TCP keep-alive, and
	// the requests and answers below are those. They go on while the peer's process is stopped.
	Mute bool `json:"mute,omitempty"`
	// Since is when the connection was established.
	Since time.Time `json:"since,omitzero"`
	// Answered counts requests that were answered on it.
	Answered uint64 `json:"answered"`
	// LastGoodSent and LastGoodAnswered date the last request that was answered well and in time, on this connection or
	// one before.
	LastGoodSent     time.Time `json:"last_good_sent,omitzero"`
	LastGoodAnswered time.Time `json:"last_good_answered,omitzero"`
	// GoodSince is when answers began to be good again after the last failure; zero if there was none.
	GoodSince time.Time `json:"good_since,omitzero"`
	// Pending is when the request was sent that waits for its answer; zero when none does.
	Pending time.Time `json:"pending,omitzero"`
	// Missed is when an answer first was late (the request's time, the usual duration doubled, and some slack) or was not
	// what is expected, since the last good one. The service had stopped answering as it usually does by then.
	Missed time.Time `json:"missed,omitzero"`
	// Usual is the longest of the last answers' durations before the one that is pending.
	Usual Seconds `json:"usual_seconds,omitempty"`
	// Tainted tells that the lane failed while the pending request was waiting.
	Tainted bool `json:"tainted,omitempty"`
	// Died is when the connection ended, zero while it lives or once a new one serves.
	Died time.Time `json:"died,omitzero"`
}

// utc is a copy whose times are in UTC.
func (f HeldOpenFacts) utc() HeldOpenFacts {
	for _, t := range []*time.Time{&f.Since, &f.LastGoodSent, &f.LastGoodAnswered, &f.GoodSince, &f.Pending, &f.Missed, &f.Died} {
		if !t.IsZero() {
			*t = t.UTC()
		}
	}
	return f
}

// LateAnswer is the fate of an attempt that had timed out and was left open.
type LateAnswer struct {
	Lane  LaneKind  `json:"lane"`
	Hop   string    `json:"hop,omitempty"`
	Round uint64    `json:"round"`
	Stage StageName `json:"stage"`
	Local string    `json:"local,omitempty"`
	// Started is when the stage began, Ended when it answered or failed.
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// OK tells that the stage completed: slow, not lost.
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Self is the prober's own health during a round.
type Self struct {
	// Late is by how much the round began after it was due.
	Late Seconds `json:"late_seconds"`
	// Gaps are times that overlap the round in which this process did not run.
	Gaps []Gap `json:"gaps,omitempty"`
	// Recent are such times that ended in the minute before the round.
	Recent []Gap `json:"recent_gaps,omitempty"`
	// Starved is for how long in sum, within the round, this process was ready to run and did not, gaps not counted.
	Starved Seconds `json:"starved_seconds,omitempty"`
	// ClockStep is by how much the wall clock was set during the round.
	ClockStep Seconds `json:"clock_step_seconds,omitempty"`
	// Links are network interfaces of this host that should carry packets and have no carrier. They are looked at only when
	// the front fails.
	Links []string `json:"links_without_carrier,omitempty"`
	// Resolver tells that the system's own resolver does not answer while the configured name servers do; nil when it does,
	// or when it is the one that is used anyway.
	Resolver *ResolverTrouble `json:"resolver,omitempty"`
	// Others is whether unrelated targets fail at the same time; nil when nothing is known of them. Looked at only when the
	// front fails.
	Others *OtherTargets `json:"other_targets,omitempty"`
}

// OtherTargets is how the fronts of other targets do at the connect stage while this target's front fails. Those of one
// network (IPv4 /24, IPv6 /64) count once.
type OtherTargets struct {
	Targets int `json:"targets"`
	Failing int `json:"failing"`
}

// ResolverTrouble is what is wrong with the resolver that this host's other programs use.
type ResolverTrouble struct {
	// Servers are those of resolv.conf.
	Servers []string `json:"servers"`
	// Name was asked for.
	Name  string    `json:"name"`
	Type  Type      `json:"type"`
	Error string    `json:"error"`
	Since time.Time `json:"since"`
}

// Gap is a time in which we did not look.
type Gap struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
}

// Path is how the way to one address and port did over the last rounds, as far as this host's kernel knows.
type Path struct {
	Address string `json:"address"`
	// Names tells that questions to a name server are counted, not connections.
	Names bool `json:"names,omitempty"`
	// Since is when the oldest of the attempts began.
	Since time.Time `json:"since"`
	// Tries counts connections, or questions to a name server; Resent those on which something had to be sent again because
	// nothing was heard.
	Tries  int `json:"tries"`
	Resent int `json:"resent"`
	// Clean is when the last attempt began that went without, before the first one that did not; zero if there is none.
	Clean time.Time `json:"clean,omitzero"`
}

// ICMP is an error message from the way or from the far end: RFC 792, RFC 4443.
type ICMP struct {
	Type uint8 `json:"type"`
	Code uint8 `json:"code"`
	// From is who sent it; empty when the kernel does not say.
	From string `json:"from,omitempty"`
	// V6 tells the ICMPv6 numbering from that of ICMP.
	V6 bool `json:"v6,omitempty"`
	// Local tells that this host's own kernel made it.
	Local bool `json:"local,omitempty"`
}

// Look is one way of looking that tells look-alikes apart.
type Look string

// Looks that are made in a round whose front fails or stalls.
const (
	LookHalfClose      Look = "half_close"      // a fresh connection that we close on our side at once: a living process closes too
	LookSmallSegments  Look = "small_segments"  // with a small TCP_MAXSEG: does it work when no packet is large?
	LookSmallHello     Look = "small_hello"     // with a ClientHello that fits into one segment
	LookFarReset       Look = "far_reset"       // refuses packets from nearer than the host (IP_MINTTL): whose reset was it?
	LookFirstHop       Look = "first_hop"       // a SYN that the first router must answer, because its TTL ends there
	LookFirstHopBeside Look = "first_hop_other" // the same to another port: does this host let only one of them out?
	LookExchange       Look = "exchange"        // a few bytes to the control port, then a packet of full size
	LookBurst          Look = "burst"           // several connects for loss
	LookDNSOverTCP     Look = "dns_tcp"         // the same question over TCP
	LookSystemResolver Look = "system_resolver" // the same question to the servers of resolv.conf
	LookOtherName      Look = "other_name"      // another question to the same server
	LookFormerServers  Look = "former_servers"  // the same question to the servers that resolv.conf named when it went well
)

// Reaction is what a peer does when we have closed our side of a connection.
type Reaction string

// Reactions to a half-close.
const (
	ReactionNone   Reaction = "none" // the kernel may have acknowledged it, the process did nothing
	ReactionClosed Reaction = "closed"
	ReactionReset  Reaction = "reset"
	ReactionData   Reaction = "data" // it said something and kept its side open
)

// utc is a copy whose times are in UTC and comparable with those of other processes.
func (g Gap) utc() Gap { return Gap{From: g.From.UTC(), To: g.To.UTC(), Reason: g.Reason} }

// Seconds is a time.Duration that JSON shows as decimal seconds.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("%.40q is not a number of seconds", b)
	}
	ns := math.Round(f * float64(time.Second)) // what was written comes back to the nanosecond
	if math.Abs(ns) >= 1<<62 {
		return fmt.Errorf("%g seconds are out of range", f)
	}
	*s = Seconds(ns)
	return nil
}

// Std is the standard library's form.
func (s Seconds) Std() time.Duration { return time.Duration(s) }
