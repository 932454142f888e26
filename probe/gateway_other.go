//go:build !linux

package probe

import "net/netip"

// defaultGateway is not looked up here; configure a control instead.
func defaultGateway() (netip.Addr, bool) { return netip.Addr{}, false }
