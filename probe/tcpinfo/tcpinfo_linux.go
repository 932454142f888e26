package tcpinfo

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Get reads TCP_INFO of a connection; nil if the kernel does not give it.
func Get(c syscall.RawConn) *Info {
	var info *Info
	if c.Control(func(fd uintptr) { info = GetFD(int(fd)) }) != nil {
		return nil
	}
	return info
}

// GetFD is Get for a file descriptor.
func GetFD(fd int) *Info {
	t, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return nil
	}
	acked := t.Bytes_acked
	if acked > 0 && State(t.State) != SynSent {
		acked-- // the kernel counts the SYN of a connection that was opened from here, as ours are
	}
	received := t.Bytes_received
	if s := State(t.State); received > 0 && (s == CloseWait || s == LastAck || s == Closing) {
		received-- // and the peer's FIN
	}
	minRTT, lastRecv, lastAck := t.Min_rtt, t.Last_data_recv, t.Last_ack_recv
	if minRTT == ^uint32(0) {
		minRTT = 0 // no sample yet
	}
	if t.Bytes_received == 0 {
		lastRecv = 0 // the kernel counts from the boot then
	}
	if t.Bytes_acked == 0 {
		lastAck = 0
	}
	return &Info{
		State: State(t.State), BytesSent: t.Bytes_sent, BytesAcked: acked, BytesReceived: received,
		NoWindow: tells().sndWnd && t.Snd_wnd == 0 && State(t.State) == Established,
		NotSent:  t.Notsent_bytes, Unacked: t.Unacked, Sacked: t.Sacked, RcvOOO: t.Rcv_ooopack, SegsOut: t.Segs_out,
		TotalRetrans: t.Total_retrans, DSACKDups: t.Dsack_dups, Retransmits: t.Retransmits, Backoff: t.Backoff, Probes: t.Probes,
		TotalRTO: t.Total_rto, HasTotalRTO: tells().totalRTO, RTO: t.Rto, RTT: t.Rtt, MinRTT: minRTT,
		LastDataRecv: lastRecv, LastAckRecv: lastAck, PMTU: t.Pmtu, SndMSS: t.Snd_mss,
	}
}

// fields are those of struct tcp_info that only newer kernels fill.
type fields struct{ totalRTO, sndWnd bool }

// tells is which fields the kernel fills: the option's length reaches that far. The length is asked of the kernel instead
// of comparing versions, because distributions backport.
var tells = sync.OnceValue(func() fields {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fields{}
	}
	defer unix.Close(fd)
	n := infoLen(fd)
	return fields{totalRTO: n >= totalRTOEnd, sndWnd: n >= sndWndEnd}
})
