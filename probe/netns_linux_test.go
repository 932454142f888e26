package probe

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace tells that the test is to go on, because it runs in a namespace of its own.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const child = "WHICHLAYER_TEST_NAMESPACE"
	if os.Getenv(child) == t.Name() {
		return true
	}
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root, for network namespaces")
	}
	for _, program := range []string{"ip", "nft", "sysctl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: needs %s: %v", program, err)
		}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), child+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// namespace is a network namespace: our own, or one that only a thread of this process is in.
type namespace struct {
	t    *testing.T
	work chan func() // nil: our own
	path string
}

// newNamespace makes one that ends with the test.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	n := &namespace{t: t, work: make(chan func())}
	entered := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		entered <- err
		for f := range n.work {
			f()
		}
	}()
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(n.work) })
	n.prepare()
	return n
}

// prepare brings loopback up, and spares IPv6 the second in which it looks for others with its addresses.
func (n *namespace) prepare() {
	n.t.Helper()
	n.run("ip link set lo up", "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
}

// do calls f inside; sockets that it makes and programs that it starts belong there.
func (n *namespace) do(f func()) {
	if n.work == nil {
		f()
		return
	}
	done := make(chan struct{})
	n.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// run runs commands inside.
func (n *namespace) run(commands ...string) {
	n.t.Helper()
	for _, c := range commands {
		n.pipe("", strings.Fields(c)...)
	}
}

func (n *namespace) pipe(in string, command ...string) {
	n.t.Helper()
	var out []byte
	var err error
	n.do(func() {
		cmd := exec.CommandContext(n.t.Context(), command[0], command[1:]...)
		cmd.Stdin = strings.NewReader(in)
		out, err = cmd.CombinedOutput()
	})
	if err != nil {
		n.t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, out, in)
	}
}

// filter puts rules in place of those of before, in the hook through which packets go: forward of a router, output of what
// sends them.
func (n *namespace) filter(hook string, rules ...string) {
	n.t.Helper()
	n.pipe(fmt.Sprintf("table inet test\ndelete table inet test\ntable inet test {\nchain c {\ntype filter hook %s priority 0\n%s\n}\n}\n",
		hook, strings.Join(rules, "\n")), "nft", "-f", "-")
}

// listen listens inside and serves until the test ends.
func (n *namespace) listen(address string, handle func(net.Conn)) *net.TCPListener {
	n.t.Helper()
	var ln net.Listener
	var err error
	n.do(func() { ln, err = net.Listen("tcp", address) })
	if err != nil {
		n.t.Fatal(err)
	}
	serveOn(n.t, ln, handle)
	return ln.(*net.TCPListener)
}
