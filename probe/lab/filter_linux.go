package lab

import (
	"context"
	"crypto/tls"
	"net"

	"golang.org/x/sys/unix"
)

// filterImitations let the proxy's own kernel drop what the path could drop: a socket filter needs no privilege.
func filterImitations() []Imitation {
	none, some := 0, 600
	return []Imitation{
		{Name: "takes-no-data", Box: true, refuses: &none, serve: func(_ context.Context, c *conn, _ *tls.Certificate) { drain(c) }},
		{Name: "takes-no-large-segment", Box: true, refuses: &some, serve: func(ctx context.Context, c *conn, cert *tls.Certificate) {
			serveOnce(ctx, c, cert)
		}},
	}
}

// refuseLarge makes the kernel drop segments with more than n bytes on a listening socket and on what it accepts from now
// on. The filter sees the TCP header first, whose length in words stands in the upper half of its byte 12.
func refuseLarge(ln *net.TCPListener, n int) error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 12},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf0},
		{Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: 2},
		{Code: unix.BPF_MISC | unix.BPF_TAX},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_ALU | unix.BPF_SUB | unix.BPF_X},
		{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, Jf: 1, K: uint32(n)},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
	}
	return control(ln, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
}
