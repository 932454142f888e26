//go:build !unix

package probe

import (
	"syscall"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// dupFD has no second descriptor here; a failed connect then tells less.
type dupFD struct{}

func (*dupFD) take(syscall.RawConn) error    { return nil }
func (*dupFD) peek() (*tcpinfo.Info, string) { return nil, "" }
func (*dupFD) icmp() *ICMP                   { return nil }
func (*dupFD) release()                      {}
