// Package tcpinfo reads what the kernel knows of one TCP connection: what it sent, what the peer's kernel
// acknowledged, what came back, and how often a timer had to fire.
//
// It needs no privilege. On systems without TCP_INFO, [Get] returns nil and every verdict says less.
package tcpinfo

import "time"

// State is the connection's state, from include/net/tcp_states.h.
type State uint8

// States of a TCP connection (RFC 9293, 3.3.2) as Linux numbers them.
const (
	Established State = iota + 1
	SynSent
	SynRecv
	FinWait1
	FinWait2
	TimeWait
	Close
	CloseWait
	LastAck
	Listen
	Closing
)

var stateNames = [...]string{
	"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING",
}

// String is the kernel's name of the state.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "?"
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; an unknown name gives 0.
func (s *State) UnmarshalText(b []byte) error {
	*s = 0
	for i, n := range stateNames {
		if n == string(b) {
			*s = State(i)
		}
	}
	return nil
}

// Info is the part of struct tcp_info (include/uapi/linux/tcp.h) that tells who did what with our bytes. Byte counts
// include neither SYN nor FIN.
type Info struct {
	State State `json:"state"`
	// BytesSent counts payload handed to the network, retransmissions included.
	BytesSent uint64 `json:"bytes_sent"`
	// BytesAcked is what the peer's kernel has confirmed.
	BytesAcked uint64 `json:"bytes_acked"`
	// BytesReceived is the payload that came in, in order.
	BytesReceived uint64 `json:"bytes_received"`
	// NoWindow tells that the peer's kernel takes no data at present: its program does not read. Kernels before 5.4 do not
	// tell.
	NoWindow bool `json:"no_window,omitempty"`
	// NotSent is what the local kernel holds back or could not hand to the network.
	NotSent uint32 `json:"notsent_bytes"`
	// Unacked counts segments in flight.
	Unacked uint32 `json:"unacked"`
	// Sacked counts segments that arrived out of order at the peer.
	Sacked uint32 `json:"sacked"`
	// RcvOOO counts segments that arrived here out of order: something before them is missing.
	RcvOOO uint32 `json:"rcv_ooopack"`
	// SegsOut counts segments that left, the SYN included.
	SegsOut uint32 `json:"segs_out"`
	// TotalRetrans counts retransmitted segments; tail-loss probes make it positive on healthy paths too.
	TotalRetrans uint32 `json:"total_retrans"`
	// DSACKDups counts retransmissions that the peer had already received.
	DSACKDups uint32 `json:"dsack_dups"`
	// Retransmits and Backoff describe the timer that is running now.
	Retransmits uint8 `json:"retransmits"`
	Backoff     uint8 `json:"backoff"`
	// Probes counts the keep-alive and window probes in a row that nothing has answered. It is a byte, and wraps after 255.
	Probes uint8 `json:"probes"`
	// TotalRTO counts retransmission timeouts over the life of the connection; see HasTotalRTO.
	TotalRTO uint16 `json:"total_rto"`
	// HasTotalRTO is false on kernels before 6.7, which do not fill TotalRTO.
	HasTotalRTO bool `json:"has_total_rto"`
	// RTO is the current retransmission timeout in microseconds.
	RTO uint32 `json:"rto_us"`
	// RTT and MinRTT are in microseconds.
	RTT    uint32 `json:"rtt_us"`
	MinRTT uint32 `json:"min_rtt_us"`
	// LastDataRecv and LastAckRecv are ages in milliseconds; 0 when there was neither data nor an acknowledgement. The
	// answer to a keep-alive probe is an acknowledgement too.
	LastDataRecv uint32 `json:"last_data_recv_ms"`
	LastAckRecv  uint32 `json:"last_ack_recv_ms"`
	PMTU         uint32 `json:"pmtu"`
	SndMSS       uint32 `json:"snd_mss"`
}

// Timeouts is how often a retransmission timer fired because nothing was heard: the sign of loss that a healthy path
// does not show. Older kernels do not count it; there it is derived from the running timer, else from
// retransmissions that the peer did not report as duplicates.
func (i *Info) Timeouts() int {
	switch {
	case i == nil:
		return 0
	case i.HasTotalRTO:
		return int(i.TotalRTO)
	case i.Retransmits > 0:
		return int(i.Retransmits)
	case i.TotalRetrans > i.DSACKDups:
		return int(i.TotalRetrans - i.DSACKDups)
	}
	return 0
}

// AckedAll tells that everything we wrote arrived in the peer's kernel.
func (i *Info) AckedAll() bool {
	return i != nil && i.BytesAcked > 0 && i.Unacked == 0 && i.NotSent == 0
}

// Unheard tells that we sent data of which some was never confirmed although a timer has fired for it.
func (i *Info) Unheard() bool {
	return i != nil && i.State != SynSent && i.Unacked > 0 && i.Timeouts() > 0
}

// Open tells that neither side has ended the connection, as far as is known.
func (i *Info) Open() bool { return i == nil || i.State == Established }

// Waiting tells that data waits here and nothing is in flight: the peer's window is closed, or the local host refuses to
// send.
func (i *Info) Waiting() bool {
	return i != nil && i.State != SynSent && i.NotSent > 0 && i.Unacked == 0
}

// HeldBack tells that the local host refuses to send: data waits, nothing is in flight and nothing was retransmitted,
// although the peer would take it, as far as the kernel tells.
func (i *Info) HeldBack() bool { return i.Waiting() && !i.NoWindow }

// Ended tells that the connection is not there any more, or that the peer has closed its side.
func (i *Info) Ended() bool { return i != nil && i.State != Established }

// Retransmission is the current retransmission timeout.
func (i *Info) Retransmission() time.Duration { return time.Duration(i.RTO) * time.Microsecond }
