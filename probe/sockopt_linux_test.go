package probe

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// extendedError is a struct sock_extended_err (linux/errqueue.h) with the offender's address behind it.
func extendedError(origin, typ, code byte, from string) []byte {
	b := []byte{0, 0, 0, 0, origin, typ, code, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	a, err := netip.ParseAddr(from)
	switch {
	case err != nil:
		return append(b, 0, 0, 0, 0, 0, 0, 0, 0) // AF_UNSPEC
	case a.Is4():
		b = binary.NativeEndian.AppendUint16(b, unix.AF_INET)
		return append(append(append(b, 0, 0), a.AsSlice()...), 0, 0, 0, 0, 0, 0, 0, 0)
	}
	b = binary.NativeEndian.AppendUint16(b, unix.AF_INET6)
	return append(append(append(b, 0, 0, 0, 0, 0, 0), a.AsSlice()...), 0, 0, 0, 0)
}

func TestExtendedError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		want *ICMP
	}{
		"prohibited":   {extendedError(unix.SO_EE_ORIGIN_ICMP, 3, 13, "10.0.0.1"), &ICMP{Type: 3, Code: 13, From: "10.0.0.1"}},
		"by IPv6":      {extendedError(unix.SO_EE_ORIGIN_ICMP6, 1, 4, "2001:db8::1"), &ICMP{Type: 1, Code: 4, From: "2001:db8::1", V6: true}},
		"mapped":       {extendedError(unix.SO_EE_ORIGIN_ICMP, 11, 0, "::ffff:10.0.0.1"), &ICMP{Type: 11, From: "10.0.0.1"}},
		"our own":      {extendedError(unix.SO_EE_ORIGIN_LOCAL, 0, 0, ""), &ICMP{Local: true}},
		"from nowhere": {extendedError(unix.SO_EE_ORIGIN_ICMP, 3, 1, ""), &ICMP{Type: 3, Code: 1}},
		"no address":   {extendedError(unix.SO_EE_ORIGIN_ICMP, 3, 1, "")[:16], &ICMP{Type: 3, Code: 1}},
		"a timestamp":  {extendedError(unix.SO_EE_ORIGIN_TIMESTAMPING, 0, 0, ""), nil},
		"no origin":    {extendedError(unix.SO_EE_ORIGIN_NONE, 3, 1, "10.0.0.1"), nil},
		"cut off":      {extendedError(unix.SO_EE_ORIGIN_ICMP, 3, 1, "")[:15], nil},
		"nothing":      {nil, nil},
		"half IPv6":    {extendedError(unix.SO_EE_ORIGIN_ICMP6, 1, 0, "2001:db8::1")[:39], &ICMP{Type: 1, V6: true}},
		"half IPv4":    {extendedError(unix.SO_EE_ORIGIN_ICMP, 3, 1, "10.0.0.1")[:23], &ICMP{Type: 3, Code: 1}},
	} {
		if diff := cmp.Diff(c.want, readExtendedError(c.data)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// FuzzExtendedError reads what a kernel might put into the error queue: an ICMP error with a valid sender or none, or
// nothing, and never a panic.
func FuzzExtendedError(f *testing.F) {
	for _, from := range []string{"", "10.0.0.1", "2001:db8::1", "fe80::1"} {
		for _, origin := range []byte{unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6, unix.SO_EE_ORIGIN_LOCAL, unix.SO_EE_ORIGIN_ZEROCOPY} {
			f.Add(extendedError(origin, 3, 1, from))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := readExtendedError(data)
		if e == nil {
			return
		}
		if len(data) < 16 || e.Type != data[5] || e.Code != data[6] || e.Local && e.V6 {
			t.Fatalf("%+v of %x", e, data)
		}
		if _, err := netip.ParseAddr(e.From); e.From != "" && err != nil {
			t.Fatalf("%+v of %x: %v", e, data, err)
		}
	})
}

// TestErrorsAreForgotten: an established connection survives ICMP errors as users' connections do.
func TestErrorsAreForgotten(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln := listenAt(t, address)
		serveOn(t, ln, silence)
		_, a := lookRound(t, `front: {url: "tcp://%s"}`, ln.Addr())
		if pending, ok := a.connect(); !ok || pending != nil {
			t.Fatalf("%+v", a.lane)
		}
		err := a.raw.Control(func(fd uintptr) {
			four, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR)
			six, err6 := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVERR)
			if errors.Join(err) != nil || four != 0 || err6 == nil && six != 0 {
				t.Errorf("%s: %d %d, %v", address, four, six, err)
			}
		})
		if err != nil {
			t.Error(err)
		}
		a.close()
	}
}
