package probe

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// ownPort tells whether a lane's own address is one of loopback with a port.
func ownPort(t *testing.T, local string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(local)
	if err != nil || !a.Addr().IsLoopback() || a.Port() == 0 {
		t.Errorf("local address %q: %v", local, err)
	}
	return a
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	at := closedPort(t)
	l := lookAt(t, `front: {url: "http://%s/"}`, at)
	s := wantFailed(t, l, StageConnect, TCPRefused)
	if s.Errno != "ECONNREFUSED" || s.Error != "connection refused" || l.Address != at.String() || s.Started.IsZero() || s.Duration <= 0 {
		t.Errorf("%+v %+v", l, s)
	}
	if s.TCPInfo == nil || s.TCPInfo.State != tcpinfo.Close || s.TCPInfo.BytesSent != 0 {
		t.Errorf("the kernel's view of a refused connect: %+v", s.TCPInfo)
	}
	ownPort(t, l.Local)
	if len(l.Stages) != 3 || l.Stages[1].Outcome != Skipped || l.Stages[2].Outcome != Skipped {
		t.Errorf("stages after the failed one: %+v", l.Stages)
	}
}

// TestConnectSilent: the kernel drops SYNs because the accept queue is full.
func TestConnectSilent(t *testing.T) {
	t.Parallel()
	l := lookAt(t, `front: {url: "http://%s/"}, timeouts: {connect: 150ms}`, addrOf(neverAccepting(t, "127.0.0.1:0")))
	s := wantFailed(t, l, StageConnect, TCPTimedOut)
	if s.TCPInfo == nil || s.TCPInfo.State != tcpinfo.SynSent || s.TCPInfo.BytesAcked != 0 {
		t.Errorf("the kernel's view of a silent connect: %+v", s.TCPInfo)
	}
	if took := s.Duration.Std(); took < 150*time.Millisecond || took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	ownPort(t, l.Local)
	if l.Hanging {
		t.Error("left open although nobody watches")
	}
}

// TestConnectLate: an attempt that was left open says when it came through.
func TestConnectLate(t *testing.T) {
	t.Parallel()
	full := neverAccepting(t, "127.0.0.1:0")
	target := newTestTarget(t, `front: {url: "http://%s/"}, timeouts: {connect: 50ms}`, addrOf(full))
	run(t, target)
	bad := target.Round(t.Context(), time.Now(), ByCheck)
	wantFailed(t, &bad.Lanes[0], StageConnect, TCPTimedOut)
	if !bad.Lanes[0].Hanging {
		t.Fatal("not left open")
	}
	if again := target.left.takeLate(); again != nil {
		t.Errorf("ended already: %+v", again)
	}
	thawed := time.Now()
	serveOn(t, full, silence) // the kernel repeats the SYN after a second
	if by := <-target.Wake(); by != ByLate {
		t.Errorf("woken by %s", by)
	}
	late := target.left.takeLate()
	if len(late) != 1 || !late[0].OK || late[0].Stage != StageConnect || late[0].Round != bad.Round || late[0].Local != bad.Lanes[0].Local || late[0].Ended.Before(thawed) {
		t.Errorf("late: %+v, of %+v", late, bad.Lanes[0])
	}
}

// TestConnectFromSource probes from an address of its own, and from one that is not ours.
func TestConnectFromSource(t *testing.T) {
	t.Parallel()
	peer := make(chan string, 1)
	at := serveHTTP(t, nil, func(_ http.ResponseWriter, q *http.Request) { peer <- q.RemoteAddr })
	l := lookAt(t, `front: {url: "http://%s/", source: 127.0.0.9}`, at)
	wantGood(t, l)
	if got := <-peer; got != l.Local || ownPort(t, got).Addr() != netip.MustParseAddr("127.0.0.9") {
		t.Errorf("the server saw %s, we say %s", got, l.Local)
	}

	r := newTestTarget(t, `front: {url: "http://%s/", source: 192.0.2.77}`, at).Round(t.Context(), time.Now(), ByCheck)
	s := wantFailed(t, &r.Lanes[0], StageConnect, SelfNoRoute)
	if s.Errno != "EADDRNOTAVAIL" || !strings.Contains(s.Error, "source address") {
		t.Errorf("%+v", s)
	}
	if v := Attribute(&r, nil); v.State != Unknown || v.Layer != LayerProber {
		t.Errorf("verdict %+v", v)
	}
}

// TestConnectSourceFamily: with a source only addresses of its family are probed, and controls are, whatever they have.
func TestConnectSourceFamily(t *testing.T) {
	t.Parallel()
	six, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("SKIPPED: no IPv6 on loopback:", err)
	}
	serveOn(t, six, silence)
	at := serveHTTP(t, nil, answerOK)
	target := newTestTarget(t, `front: {url: "http://a.example:%d/", resolve: ["::1", "127.0.0.1"], source: 127.0.0.1},
		via: [{name: p, role: proxy, address: "127.0.0.7:1", control: "%s"}]`, at.Port(), addrOf(six))
	for range 3 {
		r := target.Round(t.Context(), time.Now(), ByCheck)
		wantGood(t, laneNamed(t, &r, LaneFront, ""))
		wantGood(t, laneNamed(t, &r, LaneControl, "p"))
	}
}

// TestConnectProxyProtocol reads our own addresses out of the header that came first.
func TestConnectProxyProtocol(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]byte{"v1": 1, "v2": 2} {
		ln := &proxyproto.Listener{Listener: listenAt(t, "127.0.0.1:0"), ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			return proxyproto.REQUIRE, nil
		}}
		got := make(chan *proxyproto.Header, 1)
		serveOn(t, ln, func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				t.Error(err)
			}
			got <- c.(*proxyproto.Conn).ProxyHeader()
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		})
		l := lookAt(t, `front: {url: "http://%s/", proxy_protocol: %s}`, addrOf(ln), version)
		wantGood(t, l)
		h := <-got
		if h.Version != want || h.SourceAddr.String() != l.Local || h.DestinationAddr.String() != l.Address || h.Command != proxyproto.PROXY {
			t.Errorf("%s: header %+v, lane from %s to %s", version, h, l.Local, l.Address)
		}
	}
}

// forwardProxy is a proxy that opens tunnels for those who bring the right credentials.
func forwardProxy(t *testing.T, credentials string) netip.AddrPort {
	return serve(t, func(c net.Conn) {
		q, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		if q.Method != http.MethodConnect || q.Host != q.RequestURI || q.Header.Get("Proxy-Authorization") != credentials {
			io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nno!\n")
			return
		}
		far, err := net.Dial("tcp", q.RequestURI)
		if err != nil {
			io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			return
		}
		defer far.Close()
		io.WriteString(c, "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
		go func() {
			io.Copy(far, c)
			far.Close()
		}()
		io.Copy(c, far)
	})
}

const forwardText = `front: {url: "http://%s/", forward_proxy: {address: "%s"%s}}, timeouts: {connect: %s}`

func TestConnectThroughForwardProxy(t *testing.T) {
	t.Parallel()
	at := serveHTTP(t, nil, answerOK)
	const right = "Basic dTpzZWNyZXQtb2YtUA=="
	auth := `, basic_auth: {username: u, password: "${P}"}`
	wantGood(t, lookAt(t, forwardText, at, forwardProxy(t, ""), "", "10s"))
	wantGood(t, lookAt(t, forwardText, at, forwardProxy(t, right), auth, "10s"))

	for name, c := range map[string]struct {
		proxy netip.AddrPort
		to    netip.AddrPort
		wait  string
		want  string
	}{
		"wrong credentials": {forwardProxy(t, "Basic other"), at, "10s", "the forward proxy answered 407 Proxy Authentication Required"},
		"no such target":    {forwardProxy(t, right), closedPort(t), "10s", "the forward proxy answered 502 Bad Gateway"},
		"garbage":           {serve(t, say("\x00\x01\x02 what?\r\n\r\n")), at, "10s", "the answer to CONNECT is not HTTP"},
		"endless":           {serve(t, say("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 20<<10))), at, "10s", "head longer than 16384 bytes"},
		"closes":            {play(t, nil, "<\r\n\r\n", "close"), at, "10s", "read the answer to CONNECT: EOF"},
		"silent":            {serve(t, silence), at, "100ms", "no answer in 100ms"},
		"dead":              {closedPort(t), at, "10s", "connect to the forward proxy 127.0.0.1:"},
	} {
		r := newTestTarget(t, forwardText, c.to, c.proxy, auth, c.wait).Round(t.Context(), time.Now(), ByCheck)
		s := wantFailed(t, &r.Lanes[0], StageConnect, ForwardProxyFailed)
		if name == "wrong credentials" && strings.Contains(s.Error, "secret") {
			t.Errorf("%s: the error shows the password: %s", name, s.Error)
		}
		if !strings.Contains(s.Error, c.want) {
			t.Errorf("%s: %q, expected %q", name, s.Error, c.want)
		}
		if v := Attribute(&r, nil); v.Layer != LayerNetwork || v.Cause != CauseForwardProxy {
			t.Errorf("%s: verdict %+v", name, v)
		}
	}
}

// TestConnectOutOfFiles makes rounds in a process that may open no more files.
func TestConnectOutOfFiles(t *testing.T) {
	t.Parallel()
	const child = "WHICHLAYER_TEST_OUT_OF_FILES"
	if at := os.Getenv(child); at != "" {
		target := newTestTarget(t, `front: {url: "http://%s/"}, backend: {url: "http://%s/"}`, at, at)
		target.Round(t.Context(), time.Now(), ByCheck) // the runtime opens its own files before
		free, err := os.Open(os.DevNull)               // gets the lowest number that is free
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(free.Fd())
		free.Close()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			t.Fatal(err)
		}
		r := target.Round(t.Context(), time.Now(), ByCheck)
		json.NewEncoder(os.Stdout).Encode(r)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestConnectOutOfFiles$", "-test.v")
	cmd.Env = append(os.Environ(), child+"="+serveHTTP(t, nil, answerOK).String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r Result
	_, text, _ := strings.Cut(string(out), "{")
	if err := json.NewDecoder(strings.NewReader("{" + text)).Decode(&r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if s := wantFailed(t, &r.Lanes[0], StageConnect, SelfOutOfFiles); s.Errno != "EMFILE" {
		t.Errorf("%+v", s)
	}
	if v := Attribute(&r, nil); v.State != Unknown || v.Layer != LayerProber || v.Cause != CauseOutOfFiles || v.Confidence != Confirmed {
		t.Errorf("verdict %+v", v)
	}
}

// TestConnectDescriptors: neither good nor failed connects keep a descriptor.
func TestConnectDescriptors(t *testing.T) {
	before := openFiles(t)
	func() {
		good := newTestTarget(t, `front: {url: "http://%s/"}`, serveHTTP(t, nil, answerOK))
		refused := newTestTarget(t, `front: {url: "http://%s/"}`, closedPort(t))
		proxied := newTestTarget(t, forwardText, closedPort(t), closedPort(t), "", "1s")
		alien := newTestTarget(t, `front: {url: "http://%s/", source: 192.0.2.77}`, closedPort(t))
		for range 20 {
			for _, target := range []*Target{good, refused, proxied, alien} {
				target.Round(t.Context(), time.Now(), ByCheck)
			}
		}
	}()
	// The server closes its side a moment later; one listener and the poller may have been opened.
	eventually(t, "descriptors are closed", func() bool { return openFiles(t) <= before+6 })
}
