package probe

import (
	"net"
	"net/netip"
	"slices"
)

// deadLinks are the interfaces through which this host would send to any of the addresses, if all of them are up and have
// no carrier. An interface that leads elsewhere may well be without a cable, and nothing is sent to find out.
func deadLinks(to []netip.AddrPort) (names []string) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, a := range to {
		i := slices.IndexFunc(interfaces, func(i net.Interface) bool { return holds(i, sourceFor(a)) })
		if i < 0 || interfaces[i].Flags&net.FlagUp == 0 || interfaces[i].Flags&net.FlagRunning != 0 {
			return nil
		}
		if !slices.Contains(names, interfaces[i].Name) {
			names = append(names, interfaces[i].Name)
		}
	}
	return names
}

// sourceFor is the address from which this host's kernel sends to another; a connected datagram socket tells.
func sourceFor(to netip.AddrPort) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
}

// holds tells that an address is one of the interface's own.
func holds(i net.Interface, a netip.Addr) bool {
	addrs, err := i.Addrs()
	return err == nil && a.IsValid() && slices.ContainsFunc(addrs, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr().Unmap() == a
	})
}
