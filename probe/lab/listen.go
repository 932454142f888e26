package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
)

// Ports come from below the ranges from which kernels take the ports of outgoing connections (from 32768 on Linux,
// from 49152 elsewhere). A killed process' port then stays free until its restart, however many probes are made.
const (
	firstPort = 20000
	ports     = 12000
)

func listenFree(ip netip.Addr) (*net.TCPListener, error) {
	for range 200 {
		ln, err := listen(freePort(ip))
		if err == nil {
			return ln, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no free port on %s after 200 tries", ip)
}

// listen makes a plain TCP socket: one of Multipath TCP, which Go takes where it can, lacks some options.
func listen(addr netip.AddrPort) (*net.TCPListener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	ln, err := c.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

func freePort(ip netip.Addr) netip.AddrPort {
	return netip.AddrPortFrom(ip, uint16(firstPort+rand.IntN(ports)))
}

// loopback is 127.0.0.n where the system has it (Linux has them all), else 127.0.0.1 (macOS).
func loopback(n byte) netip.Addr {
	ip := netip.AddrFrom4([4]byte{127, 0, 0, n})
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip.AsSlice()})
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if err := ln.Close(); err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return ip
}
