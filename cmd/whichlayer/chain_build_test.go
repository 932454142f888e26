//go:build linux

package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// The addresses of a chain, the same in each: they exist in its own namespaces only.
const (
	gatewayIP  = "10.90.1.1"
	balancerIP = "10.90.2.2"
	proxyIP    = "10.90.3.2"
	backendIP  = "10.90.4.2"
	namesIP    = "10.90.5.53"
	linkIP     = "10.90.6.2" // the backend's address on the link to the proxy
	frontName  = "front.chain.test"
	vipName    = "vip.chain.test"
)

// suite is what all chains of a run share.
type suite struct {
	binary string
	ca     *authority
	seq    atomic.Int32
}

// chain is a client, a firewall, a balancer (haproxy), a proxy (stunnel) and a backend (nginx), with a name server:
//
//	cli --- fw --+-- lb   haproxy :443 -> px:443
//	             +-- px   stunnel :443 -> be:80 over a link of their own
//	             +-- be   nginx :80
//	             +-- dns
type chain struct {
	t                        *testing.T
	suite                    *suite
	dir                      string
	cli, fw, lb, px, be, dns *host
	stunnel, nginx, haproxy  *daemon
	names                    *nameServer
	app                      *slowApp
	slack                    *fakeSlack
}

// newChain builds a chain whose every part serves. It is taken down when the test ends.
func newChain(t *testing.T, s *suite) *chain {
	t.Helper()
	c := &chain{t: t, suite: s, dir: t.TempDir(), app: new(slowApp), slack: new(fakeSlack)}
	c.wire(s.seq.Add(1))
	c.names = &nameServer{names: map[string]net.IP{frontName + ".": net.ParseIP(proxyIP), vipName + ".": net.ParseIP(balancerIP)}}
	c.names.serve(c.dns, namesIP+":53")
	serveHTTP(c.be, "127.0.0.1:9000", c.app)
	serveHTTP(c.cli, "127.0.0.1:9001", c.slack)
	for _, h := range []*host{c.fw, c.lb, c.px, c.be} {
		h.greet()
	}
	c.write("ca.pem", s.ca.root())
	c.write("slack.token", []byte("xoxb-chain\n"))
	c.certificate(time.Now().Add(24*time.Hour), frontName, vipName)
	c.nginx = c.startNginx()
	c.stunnel = c.startStunnel()
	c.haproxy = c.start(c.lb, "haproxy", "-db", "-f", c.config("haproxy.cfg", nil))
	c.lb.awaitPort(balancerIP + ":443")
	return c
}

// wire makes the hosts and their links, routes and empty packet filters.
func (c *chain) wire(seq int32) {
	c.t.Helper()
	at := func(name string) *host {
		return newHost(c.t, fmt.Sprintf("%s%d-%d-%s", nsPrefix, os.Getpid(), seq, name))
	}
	c.cli, c.fw, c.lb, c.px, c.be, c.dns = at("cli"), at("fw"), at("lb"), at("px"), at("be"), at("dns")
	for i, h := range []*host{c.cli, c.lb, c.px, c.be, c.dns} {
		end := 2
		if h == c.dns {
			end = 53
		}
		c.attach(h, i+1, end)
	}
	// Large segments are cut before they enter a link, so that packets are as long as on a wire.
	c.px.links(fmt.Sprintf("link add back type veth peer name back netns %s", c.be.ns), "link set back gso_max_segs 1 up",
		"addr add 10.90.6.1/24 dev back")
	c.be.links("link set back gso_max_segs 1 up", "addr add "+linkIP+"/24 dev back")
	c.fw.pipe(nil, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	for _, h := range []*host{c.fw, c.be} {
		h.nft("table inet faults {", "chain forward { type filter hook forward priority 0; }",
			"chain input { type filter hook input priority 0; }", "}")
	}
	dir := filepath.Join("/etc/netns", c.cli.ns)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver "+namesIP+"\n"), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// attach links a host to the firewall as 10.90.net.end.
func (c *chain) attach(h *host, network, end int) {
	c.t.Helper()
	dev := fmt.Sprintf("net%d", network)
	c.fw.links(fmt.Sprintf("link add %s type veth peer name eth0 netns %s", dev, h.ns),
		fmt.Sprintf("link set %s gso_max_segs 1 up", dev), fmt.Sprintf("addr add 10.90.%d.1/24 dev %s", network, dev))
	h.links("link set eth0 gso_max_segs 1 up", fmt.Sprintf("addr add 10.90.%d.%d/24 dev eth0", network, end),
		fmt.Sprintf("route add default via 10.90.%d.1", network))
}

func (c *chain) startNginx() *daemon {
	c.t.Helper()
	d := c.start(c.be, "nginx", "-c", c.config("nginx.conf", nil), "-e", filepath.Join(c.dir, "nginx.log"))
	c.be.awaitPort(backendIP + ":80")
	return d
}

func (c *chain) startStunnel() *daemon {
	c.t.Helper()
	d := c.start(c.px, "stunnel4", c.config("stunnel.conf", nil))
	c.px.awaitPort(proxyIP + ":443")
	return d
}

// certificate gives the proxy another certificate file.
func (c *chain) certificate(end time.Time, names ...string) {
	c.t.Helper()
	b, err := c.suite.ca.issue(end, names...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("proxy.pem", b)
}

// reload makes stunnel read its certificate again and waits until it has.
func (c *chain) reload() {
	c.t.Helper()
	path := filepath.Join(c.dir, "stunnel.log")
	loaded := func() int { b, _ := os.ReadFile(path); return bytes.Count(b, []byte("Configuration successful")) }
	before := loaded()
	c.stunnel.signal(syscall.SIGHUP)
	c.px.eventually("stunnel's reload", func(context.Context) error {
		if loaded() == before {
			return errors.New("no new configuration in its log")
		}
		return nil
	})
}

// config fills in a file of testdata/chain and gives its path.
func (c *chain) config(name string, data map[string]any) string {
	c.t.Helper()
	all := map[string]any{"Dir": c.dir, "Gateway": gatewayIP, "Balancer": balancerIP, "Proxy": proxyIP, "Backend": backendIP, "Link": linkIP}
	for k, v := range data {
		all[k] = v
	}
	tmpl, err := template.New(name).Option("missingkey=error").ParseFiles(filepath.Join("testdata", "chain", name))
	if err != nil {
		c.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, all); err != nil {
		c.t.Fatal(err)
	}
	return c.write(name, b.Bytes())
}

func (c *chain) write(name string, b []byte) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *chain) remove(name string) {
	c.t.Helper()
	if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
		c.t.Fatal(err)
	}
}

// get asks the front as a user's program would, without whichlayer: is the chain as the test believes?
func (c *chain) get(name string) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.suite.ca.root())
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return c.cli.dial(ctx, "udp4", namesIP+":53")
	}}
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		ips, err := resolver.LookupIP(ctx, "ip4", name)
		if err != nil {
			return nil, err
		}
		return c.cli.dial(ctx, "tcp4", net.JoinHostPort(ips[0].String(), "443"))
	}
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{
		DialContext: dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get("https://" + name + "/healthz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(b), "chain-ok") {
		return fmt.Errorf("%s: %q", resp.Status, b)
	}
	return nil
}

// daemon is a real server that runs on a host.
type daemon struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a server until the test ends. Its output is shown when the test fails.
func (c *chain) start(h *host, name string, args ...string) *daemon {
	c.t.Helper()
	out, err := os.OpenFile(filepath.Join(c.dir, name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer out.Close()
	d := &daemon{cmd: h.command(name, args...), done: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr = out, out
	if err := d.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { defer close(d.done); _ = d.cmd.Wait() }()
	c.t.Cleanup(func() {
		d.stop()
		if c.t.Failed() {
			c.t.Logf("%s said:\n%s", name, tail(out.Name()))
		}
	})
	return d
}

// signal goes to the server and its workers.
func (d *daemon) signal(sig syscall.Signal) { _ = syscall.Kill(-d.cmd.Process.Pid, sig) }

// stop kills the server, frozen or not, and waits for its end.
func (d *daemon) stop() {
	select {
	case <-d.done:
	default:
		d.signal(syscall.SIGKILL)
		<-d.done
	}
}
