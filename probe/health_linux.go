package probe

import (
	"time"

	"golang.org/x/sys/unix"
)

func readClocks() reading {
	var ts unix.Timespec
	now := time.Now()
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return reading{now: now, boot: time.Since(processStart)}
	}
	return reading{now: now, boot: time.Duration(ts.Nano())}
}

var processStart = time.Now()
