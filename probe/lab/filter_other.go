//go:build !linux

package lab

import (
	"fmt"
	"net"
	"runtime"
)

// filterImitations need Linux.
func filterImitations() []Imitation { return nil }

func refuseLarge(*net.TCPListener, int) error {
	return fmt.Errorf("sockets have no filter on %s", runtime.GOOS)
}
