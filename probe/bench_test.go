package probe_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/lab"
)

// cpu is what this process has used, user and system.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRound compares a round of four lanes (front, backend, two controls) with a bare program that does the same
// connects, handshakes and requests. Both pay for the same servers in this process, so the ratio is of the whole.
// Compare cpu-us/round of the two in one run.
func BenchmarkRound(b *testing.B) {
	chain, err := lab.Start(b.Context(), lab.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer chain.Close()
	b.Run("whichlayer", func(b *testing.B) { benchRound(b, chain) })
	b.Run("bare-go", func(b *testing.B) { benchBare(b, chain) })
}

func benchRound(b *testing.B, chain *lab.Chain) {
	cfg, err := chain.Config("@every 1s")
	if err != nil {
		b.Fatal(err)
	}
	off := cfg.Targets[0]
	off.HeldOpen = nil
	target, err := probe.NewTarget(off, &probe.Env{DNS: cfg.DNS, Version: "bench", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		r := target.Round(context.Background(), time.Now(), probe.ByCheck)
		if v := probe.Attribute(&r, nil); v.State != probe.Up {
			b.Fatalf("%+v", v)
		}
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-us/round")
}

func benchBare(b *testing.B, chain *lab.Chain) {
	pem, err := os.ReadFile(chain.CAFile())
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, chain.NameServer().String())
	}}
	cfg := &tls.Config{ServerName: chain.Name(), RootCAs: roots}
	lanes := []func() error{
		func() error {
			if _, err := resolver.LookupNetIP(context.Background(), "ip", chain.Name()+"."); err != nil {
				return err
			}
			c, err := net.Dial("tcp", chain.Front().String())
			if err != nil {
				return err
			}
			defer c.Close()
			return bareGet(tls.Client(c, cfg), chain.Name())
		},
		func() error {
			c, err := net.Dial("tcp", chain.Backend().String())
			if err != nil {
				return err
			}
			defer c.Close()
			return bareGet(c, chain.Name())
		},
		func() error { return bareConnect(chain.Control("proxy").String()) },
		func() error { return bareConnect(chain.Control("backend").String()) },
	}
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		var wg sync.WaitGroup
		for _, lane := range lanes {
			wg.Go(func() {
				if err := lane(); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-us/round")
}

func bareConnect(to string) error {
	c, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	return c.Close()
}

func bareGet(c net.Conn, host string) error {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// BenchmarkAttribute judges a healthy round of five lanes.
func BenchmarkAttribute(b *testing.B) {
	chain, err := lab.Start(b.Context(), lab.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer chain.Close()
	cfg, err := chain.Config("@every 1s")
	if err != nil {
		b.Fatal(err)
	}
	target, err := probe.NewTarget(cfg.Targets[0], &probe.Env{DNS: cfg.DNS, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	r := target.Round(context.Background(), time.Now(), probe.ByCheck)
	b.ReportAllocs()
	for b.Loop() {
		probe.Attribute(&r, nil)
	}
}
