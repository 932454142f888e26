//go:build !linux

package tcpinfo

import "syscall"

// Get returns nil: this system has no TCP_INFO that we read.
func Get(syscall.RawConn) *Info { return nil }

// GetFD returns nil.
func GetFD(int) *Info { return nil }
