package probe

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// segments is a listener that tells the largest segment that the kernel may send on each connection.
type segments struct {
	*net.TCPListener
	sizes chan int
}

func (s segments) Accept() (net.Conn, error) {
	c, err := s.AcceptTCP()
	if err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	err = raw.Control(func(fd uintptr) {
		n, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG)
		s.sizes <- n
	})
	return c, err
}

// TestSmallSegments: both kernels send small segments only, and users' way does not.
func TestSmallSegments(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln := segments{listenAt(t, address), make(chan int, 10)}
		serveHTTPOn(t, ln, p.server("demo.test"), answerOK)
		r, a := lookRound(t, `front: {url: "https://demo.test:%d/", resolve: [%q], ca_file: %q}`,
			addrOf(ln).Port(), addrOf(ln).Addr(), p.caFile)
		l := r.lookSmall(a, LookSmallSegments)()
		wantGood(t, &l)
		if l.Look != LookSmallSegments || l.HTTP == nil || l.HTTP.Status != 200 {
			t.Errorf("%+v", l)
		}
		if ours, theirs := l.stage(StageTLS).TCPInfo.SndMSS, <-ln.sizes; ours > smallSegment || theirs > smallSegment || ours == 0 {
			t.Errorf("%s: segments of %d bytes from here, %d from there", address, ours, theirs)
		}
		users := r.attempt(r.t.plan.front)
		wantGood(t, users)
		if ours, theirs := users.stage(StageTLS).TCPInfo.SndMSS, <-ln.sizes; ours <= smallSegment || theirs <= smallSegment {
			t.Errorf("%s, users' way: segments of %d bytes from here, %d from there", address, ours, theirs)
		}
	}
}

// TestSmallHello: the ClientHello fits into one small packet, serves for a handshake, and nothing comes behind that.
func TestSmallHello(t *testing.T) {
	t.Parallel()
	hellos := make(chan int, 10)
	mute := serve(t, func(c net.Conn) {
		head := make([]byte, recordHeader)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		hellos <- recordHeader + int(binary.BigEndian.Uint16(head[3:]))
		silence(c)
	})
	r, a := lookRound(t, `timeouts: {tls: 100ms}, front: {url: "https://%s/"}`, mute)
	r.lookSmall(a, LookSmallHello)()
	r.attempt(r.t.plan.front)
	if small, users := <-hellos, <-hellos; small >= smallSegment || users <= smallSegment {
		t.Errorf("a ClientHello of %d bytes, users' has %d", small, users)
	}

	p := newPKI(t)
	good := play(t, p.server("demo.test"), "tls", "<\n") // hangs up on a request
	r, a = lookRound(t, `front: {url: "https://demo.test:%d/", resolve: ["127.0.0.1"], ca_file: %q}`, good.Port(), p.caFile)
	l := r.lookSmall(a, LookSmallHello)()
	wantGood(t, &l)
	if len(l.Stages) != 2 || l.TLS == nil || l.Look != LookSmallHello {
		t.Errorf("%+v", l)
	}
	if r, a := lookRound(t, `front: {url: "http://%s/"}`, good); r.lookSmall(a, LookSmallHello) != nil {
		t.Error("there is no ClientHello without TLS")
	}
}
