//go:build !unix

package lab

import (
	"fmt"
	"net"
	"runtime"
)

func setBacklog(*net.TCPListener, int) error {
	return fmt.Errorf("a backlog cannot be set on %s", runtime.GOOS)
}

func setBuffer(*net.TCPListener, int) error {
	return fmt.Errorf("a receive buffer cannot be set on a listening socket on %s", runtime.GOOS)
}
