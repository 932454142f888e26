package probe

import (
	"encoding/binary"
	"net/netip"

	"github.com/prometheus/procfs"
)

// defaultGateway is the IPv4 gateway of the default route with the least metric.
func defaultGateway() (gw netip.Addr, ok bool) { return gatewayIn(procfs.DefaultMountPoint) }

// gatewayIn is defaultGateway for a proc file system that is mounted elsewhere.
func gatewayIn(proc string) (gw netip.Addr, ok bool) {
	fs, err := procfs.NewFS(proc)
	if err != nil {
		return gw, false
	}
	routes, err := fs.NetRoute()
	if err != nil {
		return gw, false
	}
	best := ^uint32(0)
	for _, r := range routes {
		if r.Destination == 0 && r.Mask == 0 && r.Gateway != 0 && r.Metric < best {
			var b [4]byte
			binary.NativeEndian.PutUint32(b[:], r.Gateway)
			gw, ok, best = netip.AddrFrom4(b), true, r.Metric
		}
	}
	return gw, ok
}
