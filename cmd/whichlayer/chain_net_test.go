//go:build linux

package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nsPrefix begins the names of all network namespaces of these tests; the process id follows.
const nsPrefix = "wl-e2e-"

// host is one machine of a chain: a network namespace with a link to the firewall.
type host struct {
	t  *testing.T
	ns string
}

// newHost makes a namespace that is gone again when the test ends.
func newHost(t *testing.T, ns string) *host {
	t.Helper()
	h := &host{t: t, ns: ns}
	h.ip("netns", "add", ns)
	t.Cleanup(func() { removeNamespace(ns) })
	h.ip("-n", ns, "link", "set", "lo", "up")
	return h
}

// removeNamespace ends what still runs in a namespace and deletes it.
func removeNamespace(ns string) {
	out, _ := exec.Command(program("ip"), "netns", "pids", ns).Output()
	for _, f := range strings.Fields(string(out)) {
		// Our own threads are listed too when one is inside at this moment.
		if pid, err := strconv.Atoi(f); err == nil && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	_ = exec.Command(program("ip"), "netns", "del", ns).Run()
	_ = os.RemoveAll(filepath.Join("/etc/netns", ns))
}

// removeStale removes the namespaces of test processes that were killed before they could clean up.
func removeStale() {
	found, _ := filepath.Glob("/run/netns/" + nsPrefix + "*")
	for _, path := range found {
		ns := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(ns, nsPrefix), "-")
		n, err := strconv.Atoi(pid)
		if err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			removeNamespace(ns)
		}
	}
}

// program finds a command also where an ordinary user's PATH does not look.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join("/usr/sbin", name)
}

// ip runs the ip command outside of the namespace.
func (h *host) ip(args ...string) {
	h.t.Helper()
	if out, err := exec.Command(program("ip"), args...).CombinedOutput(); err != nil {
		h.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// links runs several ip commands, one a line, in the namespace.
func (h *host) links(lines ...string) { h.t.Helper(); h.pipe(lines, "ip", "-batch", "-") }

// nft loads rules in the namespace's packet filter.
func (h *host) nft(lines ...string) { h.t.Helper(); h.pipe(lines, "nft", "-f", "-") }

func (h *host) pipe(lines []string, name string, args ...string) {
	h.t.Helper()
	cmd := h.command(name, args...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("%s: %s: %v\n%s\n%s", h.ns, name, err, strings.Join(lines, "\n"), out)
	}
}

// command prepares a command that will run in the namespace, with the namespace's own /etc/resolv.conf, in a process
// group of its own.
func (h *host) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(program("ip"), append([]string{"netns", "exec", h.ns, program(name)}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// enter calls f on a thread that is inside the namespace: sockets that f makes belong there for good, whoever uses them.
func (h *host) enter(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine instead of going back to the pool from elsewhere.
		runtime.LockOSThread()
		ns, err := os.Open(filepath.Join("/run/netns", h.ns))
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter %s: %w", h.ns, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// listen makes a TCP listener in the namespace that is closed when the test ends.
func (h *host) listen(address string) net.Listener {
	h.t.Helper()
	var l net.Listener
	err := h.enter(func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	return l
}

// greet answers connections on port 22 with a line, as a host's ssh server would: the control port.
func (h *host) greet() {
	l := h.listen(":22")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-chain\r\n")
			c.Close()
		}
	}()
}

// dial opens a connection from the namespace to a literal address.
func (h *host) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.enter(func() error {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// awaitPort returns when something accepts connections at the address.
func (h *host) awaitPort(address string) {
	h.t.Helper()
	h.eventually(address, func(ctx context.Context) error {
		c, err := h.dial(ctx, "tcp4", address)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// eventually tries until f succeeds: for the outside programs that do not say when they are ready.
func (h *host) eventually(what string, f func(context.Context) error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 15*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			h.t.Fatalf("%s: %s: %v", h.ns, what, err)
		case <-tick.C:
		}
	}
}

// tail is the end of a file, for the log of a failed test.
func tail(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	if n := len(b) - 4000; n > 0 {
		b = b[n:]
	}
	return bytes.TrimSpace(b)
}
