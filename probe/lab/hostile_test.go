package lab_test

import (
	"bufio"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe/lab"
)

// TestTricksPlay sees each trick send what it should, and end when its client leaves.
func TestTricksPlay(t *testing.T) {
	c := start(t, lab.Options{})
	cfg := trust(t, c)
	silent := map[string]bool{"silence": true, "never-reads": true}
	for _, trick := range lab.Tricks() {
		for _, overTLS := range []bool{false, true} {
			h, err := c.StartHostile(trick, overTLS)
			if trick.Below && overTLS {
				if err == nil {
					t.Errorf("%s was started over TLS", trick.Name)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			with := cfg
			if !overTLS {
				with = nil
			}
			n := taste(t, h, with)
			if (n == 0) != silent[trick.Name] {
				t.Errorf("%s (TLS %v) sent %d bytes", trick.Name, overTLS, n)
			}
			h.Close() // waits for the handler: a trick that does not end hangs here
		}
	}
}

func taste(t *testing.T, h *lab.Hostile, cfg *tls.Config) int64 {
	t.Helper()
	cl, w := call(t, h.Addr(), cfg)
	if w != "" {
		t.Fatal(w)
	}
	defer cl.Close()
	if err := cl.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(cl, "GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, io.LimitReader(cl, 100<<10))
	return n
}

func TestGzipBomb(t *testing.T) {
	c := start(t, lab.Options{})
	for _, trick := range lab.Tricks() {
		if trick.Name != "gzip-bomb" {
			continue
		}
		h, err := c.StartHostile(trick, false)
		if err != nil {
			t.Fatal(err)
		}
		cl, _ := call(t, h.Addr(), nil)
		if _, err := io.WriteString(cl, "GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(cl), nil)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, io.LimitReader(z, 64<<20))
		if n != 64<<20 || err != nil {
			t.Errorf("the bomb gave %d bytes, %v", n, err)
		}
		return
	}
	t.Error("there is no gzip bomb")
}
