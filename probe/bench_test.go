package probe_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
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

// labPlan is what a client must know of a chain that runs in another process.
type labPlan struct {
	YAML, CA, Name, DNS, Front, Backend string
	Controls                            []string
}

const labEnv = "WHICHLAYER_BENCH_LAB"

// TestMain lets this binary be the chain that BenchmarkRound probes, so that its servers' work is not counted.
func TestMain(m *testing.M) {
	if os.Getenv(labEnv) != "" {
		if err := serveLab(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveLab tells its plan on stdout and serves until stdin is closed.
func serveLab() error {
	chain, err := lab.Start(context.Background(), lab.Options{})
	if err != nil {
		return err
	}
	defer chain.Close()
	err = json.NewEncoder(os.Stdout).Encode(labPlan{
		YAML: chain.YAML("@every 1s"), CA: chain.CAFile(), Name: chain.Name(), DNS: chain.NameServer().String(),
		Front: chain.Front().String(), Backend: chain.Backend().String(),
		Controls: []string{chain.Control("proxy").String(), chain.Control("backend").String()},
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startLab runs a chain in a process of its own until the benchmark ends.
func startLab(b *testing.B) (p labPlan) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), labEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if err := json.NewDecoder(out).Decode(&p); err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkRound compares a round of four lanes (front, backend, two controls) with a bare program that does the same
// look-up, connects, handshakes and requests at once. The servers run in another process; compare cpu-us/round of the
// two in one run.
func BenchmarkRound(b *testing.B) {
	plan := startLab(b)
	for range 2 { // twice, so that a drift of the machine shows
		b.Run("bare-go", func(b *testing.B) { benchBare(b, &plan) })
		b.Run("whichlayer", func(b *testing.B) { benchRound(b, &plan) })
	}
}

func benchRound(b *testing.B, plan *labPlan) {
	cfg, err := config.Parse("lab.yaml", []byte(plan.YAML))
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

func benchBare(b *testing.B, plan *labPlan) {
	pem, err := os.ReadFile(plan.CA)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, plan.DNS)
	}}
	cfg := &tls.Config{ServerName: plan.Name, RootCAs: roots}
	lanes := []func() error{
		func() error {
			if _, err := resolver.LookupNetIP(context.Background(), "ip", plan.Name+"."); err != nil {
				return err
			}
			c, err := net.Dial("tcp", plan.Front)
			if err != nil {
				return err
			}
			defer c.Close()
			return bareGet(tls.Client(c, cfg), plan.Name)
		},
		func() error {
			c, err := net.Dial("tcp", plan.Backend)
			if err != nil {
				return err
			}
			defer c.Close()
			return bareGet(c, plan.Name)
		},
		func() error { return bareConnect(plan.Controls[0]) },
		func() error { return bareConnect(plan.Controls[1]) },
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

// BenchmarkAttribute judges a healthy round of five lanes (front, proxy, backend, two control ports), beside each of which
// a held-open connection answers.
func BenchmarkAttribute(b *testing.B) {
	r := healthyRound(b)
	if v := probe.Attribute(&r, nil); v.State != probe.Up || v.Rule != "up" || len(r.Lanes) != 10 {
		b.Fatalf("%+v\n%+v", v, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		probe.Attribute(&r, nil)
	}
}

// healthyRound looks at a chain with a balancer until all connections that are held open have answered.
func healthyRound(b *testing.B) (r probe.Result) {
	b.Helper()
	chain, err := lab.Start(b.Context(), lab.Options{Balancer: true})
	if err != nil {
		b.Fatal(err)
	}
	defer chain.Close()
	cfg, err := chain.Config("@every 1s")
	if err != nil {
		b.Fatal(err)
	}
	cfg.Targets[0].Via[0].Control = nil // the balancer's
	target, err := probe.NewTarget(cfg.Targets[0], &probe.Env{DNS: cfg.DNS, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- target.Run(ctx) }()
	for end := time.Now().Add(10 * time.Second); len(r.Lanes) < 10 && time.Now().Before(end); {
		r = target.Round(ctx, time.Now(), probe.ByCheck)
	}
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return r
}
