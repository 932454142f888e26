package tcpinfo

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHasTotalRTO holds what the kernel says of its struct against its version: 6.7 added the field.
func TestHasTotalRTO(t *testing.T) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	release := unix.ByteSliceToString(u.Release[:])
	if _, err := fmt.Sscanf(strings.ReplaceAll(release, ".", " "), "%d %d", &major, &minor); err != nil {
		t.Fatal(release, err)
	}
	has := tells().totalRTO
	if newer := major > 6 || major == 6 && minor >= 7; newer && !has {
		t.Errorf("kernel %s, and no tcpi_total_rto", release)
	}
	if major < 5 && has {
		t.Errorf("kernel %s, and tcpi_total_rto", release)
	}
	near, far := pair(t)
	send(t, near, far, 1)
	if i := get(t, near); i.HasTotalRTO != has {
		t.Errorf("%+v", i)
	}
	if n := infoLen(-1); n != 0 {
		t.Errorf("of no socket: %d bytes", n)
	}
}
