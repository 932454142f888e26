package tcpinfo

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// totalRTOEnd is the offset just behind tcpi_total_rto in struct tcp_info.
const totalRTOEnd = unsafe.Offsetof(unix.TCPInfo{}.Total_rto) + unsafe.Sizeof(unix.TCPInfo{}.Total_rto)

// sndWndEnd is the same of tcpi_snd_wnd.
const sndWndEnd = unsafe.Offsetof(unix.TCPInfo{}.Snd_wnd) + unsafe.Sizeof(unix.TCPInfo{}.Snd_wnd)

// infoLen is how many bytes of struct tcp_info the kernel fills; x/sys does not tell.
func infoLen(fd int) uintptr {
	var t unix.TCPInfo
	n := uint32(unsafe.Sizeof(t))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&t)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return 0
	}
	return uintptr(n)
}
