//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lockDir holds the directory for this process as long as the file is open; the kernel lets go of it when we die. The file
// names the process, for people.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			holder, _ := io.ReadAll(io.LimitReader(f, 20))
			err = fmt.Errorf("another whichlayer (process %s) uses it", strings.TrimSpace(string(holder)))
		}
		return nil, errors.Join(fmt.Errorf("lock the state directory %q: %w", dir, err), f.Close())
	}
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintln(f, os.Getpid()) // there may be no room, and nothing depends on it
	}
	return f, nil
}
