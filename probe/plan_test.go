package probe

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lines shows a plan as words: kind/hop of the lanes that run always, stand-ins in brackets.
func (p *plan) lines() (out []string) {
	for _, s := range append([]*laneSpec{p.front}, p.lanes...) {
		out = append(out, s.key()+" "+string(s.role))
	}
	for _, s := range p.standIn {
		out = append(out, "("+s.key()+" "+string(s.role)+")")
	}
	return out
}

const balancerAndProxy = `via: [
	{name: f5, role: balancer, address: "192.0.2.10:443"},
	{name: stunnel, role: proxy, address: "192.0.2.11:443"}]`

func TestPlanLanes(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"front alone": {`front: {url: "https://a.example/"}`, []string{"front/ front"}},
		"TLS front, clear backend: the front is the proxy": {
			`front: {url: "https://a.example/"}, backend: {url: "http://192.0.2.20/"}`,
			[]string{"front/ proxy", "backend/backend backend"}},
		"both speak TLS: nobody knows": {
			`front: {url: "https://a.example/"}, backend: {url: "https://192.0.2.20/"}`,
			[]string{"front/ front", "backend/backend backend"}},
		"both are clear": {
			`front: {url: "http://a.example/"}, backend: {url: "http://192.0.2.20/"}`,
			[]string{"front/ front", "backend/backend backend"}},
		"a mail proxy": {
			`front: {url: "tls://a.example:993"}, backend: {url: "tcp://192.0.2.20:143"}`,
			[]string{"front/ proxy", "backend/backend backend"}},
		"hops that may be elsewhere": {
			`front: {url: "https://a.example/"}, ` + balancerAndProxy,
			[]string{"front/ front", "via/f5 balancer", "via/stunnel proxy"}},
		"one expected address": {
			`front: {url: "https://a.example/", addresses: ["192.0.2.10"]}, ` + balancerAndProxy,
			[]string{"front/f5 balancer", "via/stunnel proxy", "(via/f5 balancer)"}},
		"two expected addresses": {
			`front: {url: "https://a.example/", addresses: ["192.0.2.10", "192.0.2.11"]}, ` + balancerAndProxy,
			[]string{"front/ front", "via/f5 balancer", "via/stunnel proxy"}},
		"an expected range": {
			`front: {url: "https://a.example/", addresses: ["192.0.2.0/28"]}, ` + balancerAndProxy,
			[]string{"front/ front", "via/f5 balancer", "via/stunnel proxy"}},
		"one address and a range": {
			`front: {url: "https://a.example/", addresses: ["192.0.2.10", "192.0.2.64/28"]}, ` + balancerAndProxy,
			[]string{"front/ front", "via/f5 balancer", "via/stunnel proxy"}},
		"pinned: no name that could fail": {
			`front: {url: "https://a.example/", resolve: ["192.0.2.10"]}, ` + balancerAndProxy,
			[]string{"front/f5 balancer", "via/stunnel proxy"}},
		"pinned to two": {
			`front: {url: "https://a.example/", resolve: ["192.0.2.10", "192.0.2.11"]}, ` + balancerAndProxy,
			[]string{"front/ front", "via/f5 balancer", "via/stunnel proxy"}},
		"pinned to two, of which ip_version leaves one": {
			`front: {url: "https://a.example/", resolve: ["192.0.2.10", "2001:db8::1"], ip_version: 4}, ` + balancerAndProxy,
			[]string{"front/f5 balancer", "via/stunnel proxy"}},
		"a literal address": {
			`front: {url: "https://192.0.2.10/"}, ` + balancerAndProxy,
			[]string{"front/f5 balancer", "via/stunnel proxy"}},
		"a literal IPv6 address": {
			`front: {url: "https://[2001:db8::1]/"}, via: [{name: s, role: proxy, address: "[2001:db8::1]:443"}]`,
			[]string{"front/s proxy"}},
		"the same address and another port": {
			`front: {url: "https://192.0.2.10:8443/"}, ` + balancerAndProxy,
			[]string{"front/ front", "via/f5 balancer", "via/stunnel proxy"}},
		"the same name": {
			`front: {url: "https://a.example/"}, via: [{name: s, role: proxy, address: "a.example:443"}]`,
			[]string{"front/s proxy", "(via/s proxy)"}},
		"no hop, but the address is known": {
			`front: {url: "https://a.example/", addresses: ["192.0.2.10"]}, backend: {url: "http://192.0.2.20/"}`,
			[]string{"front/ proxy", "backend/backend backend", "(via/front proxy)"}},
		"controls, each port once": {
			`front: {url: "https://192.0.2.10/"},
			via: [{name: f5, role: balancer, address: "192.0.2.10:443", control: "192.0.2.10:22"},
				{name: s1, role: proxy, address: "192.0.2.11:443", control: "192.0.2.11:22"},
				{name: s2, role: proxy, address: "192.0.2.11:444", control: "192.0.2.11:22"}],
			backends: [{name: a, url: "http://192.0.2.11:80", control: "192.0.2.11:22"},
				{name: b, url: "http://192.0.2.20:80", control: "192.0.2.20:22"}]`,
			[]string{"front/f5 balancer", "via/s1 proxy", "via/s2 proxy", "backend/a backend", "backend/b backend",
				"control/f5 balancer", "control/s1 proxy", "control/b backend"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := newTestTarget(t, "%s", c.text).plan.lines()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlanRefusesWhatLeavesNoAddress(t *testing.T) {
	cfg, env := load(t, `targets: [{name: demo, front: {url: "https://a.example/", resolve: ["2001:db8::1"]}}]`)
	cfg.Targets[0].Front.IPVersion = 4
	if _, err := NewTarget(cfg.Targets[0], env); err == nil || !strings.Contains(err.Error(), `target "demo": front: none of the addresses`) {
		t.Errorf("got %v", err)
	}
}

// TestPlanHopsKeepTheFront: what is said to a hop is what users say to the front.
func TestPlanHopsKeepTheFront(t *testing.T) {
	p := newTestTarget(t, `front: {url: "https://a.example/health?x=1", request: {host: h.example, headers: {A: b}}},
		via: [{name: s, role: proxy, address: "192.0.2.11:8443", proxy_protocol: v2}, {name: n, role: proxy, address: "s.example:443"}]`).plan
	s, n := p.lanes[0], p.lanes[1]
	if s.host != "h.example" || s.tls.ServerName != "a.example" || s.ep.URL.RequestURI() != "/health?x=1" || s.ep.Request.Headers["A"] != "b" {
		t.Errorf("hop: %+v", s)
	}
	if s.name != "" || len(s.addrs) != 1 || s.port != 8443 || s.ep.ProxyProtocol != "v2" {
		t.Errorf("hop: %+v", s)
	}
	if n.name != "s.example" || n.addrs != nil || n.port != 443 || n.ep.ProxyProtocol != "" {
		t.Errorf("hop by name: %+v", n)
	}
}

// seen is what an HTTP server was asked.
type seen struct {
	Method, URI, Host, Body string
	Header                  map[string]string
}

// recorder notes what it is asked, without what the prober adds to every request.
type recorder struct {
	mu  sync.Mutex
	all []seen
	ids []string
}

func (r *recorder) handle(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	s := seen{Method: q.Method, URI: q.RequestURI, Host: q.Host, Body: string(body), Header: map[string]string{}}
	for k, v := range q.Header {
		if !slices.Contains([]string{"X-Request-Id", "Traceparent", "User-Agent", "Accept", "Accept-Encoding", "Connection"}, k) {
			s.Header[k] = strings.Join(v, ",")
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.ids = append(r.all, s), append(r.ids, q.Header.Get("X-Request-Id"))
}

func (r *recorder) last(t *testing.T) seen {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		t.Fatal("nobody asked")
	}
	return r.all[len(r.all)-1]
}

// TestPlanRequests asks a front and a backend and holds what arrived at both against what the configuration says.
func TestPlanRequests(t *testing.T) {
	t.Parallel()
	type header = map[string]string
	for name, c := range map[string]struct {
		path, front, backendPath, backend string
		wantFront, wantBackend            seen
	}{
		"nothing said": {
			path:        "/health?deep=1",
			wantFront:   seen{"GET", "/health?deep=1", "FRONT", "", header{}},
			wantBackend: seen{"GET", "/health?deep=1", "FRONT", "", header{}},
		},
		"all said by the front": {
			path: "/", front: `, request: {method: POST, body: "a=1", host: www.example, headers: {X-A: b}, basic_auth: {username: u, password: "${P}"}}`,
			wantFront:   seen{"POST", "/", "www.example", "a=1", header{"X-A": "b", "Content-Length": "3", "Authorization": "Basic dTpzZWNyZXQtb2YtUA=="}},
			wantBackend: seen{"POST", "/", "www.example", "a=1", header{"X-A": "b", "Content-Length": "3", "Authorization": "Basic dTpzZWNyZXQtb2YtUA=="}},
		},
		"all said by the backend": {
			path: "/a", front: `, request: {method: PUT, body: x, host: www.example, headers: {X-A: b, Accept: text/html}, bearer_token: "${F}"}`,
			backendPath: "/b", backend: `, request: {method: HEAD, host: app.example, headers: {X-B: c}, bearer_token: "${B}"}`,
			wantFront:   seen{"PUT", "/a", "www.example", "x", header{"X-A": "b", "Content-Length": "1", "Authorization": "Bearer secret-of-F"}},
			wantBackend: seen{"HEAD", "/b", "app.example", "", header{"X-B": "c", "Authorization": "Bearer secret-of-B"}},
		},
		"an empty body has a length": {
			path: "/", front: `, request: {method: POST}`,
			wantFront:   seen{"POST", "/", "FRONT", "", header{"Content-Length": "0"}},
			wantBackend: seen{"POST", "/", "FRONT", "", header{"Content-Length": "0"}},
		},
		"a backend with a query of its own": {
			path: "/a", backendPath: "/?b=1",
			wantFront:   seen{"GET", "/a", "FRONT", "", header{}},
			wantBackend: seen{"GET", "/?b=1", "FRONT", "", header{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var atFront, atBackend recorder
			front, backend := serveHTTP(t, nil, atFront.handle), serveHTTP(t, nil, atBackend.handle)
			target := newTestTarget(t, `front: {url: "http://%s%s"%s}, backend: {url: "http://%s%s"%s}`,
				front, c.path, c.front, backend, c.backendPath, c.backend)
			r := target.Round(t.Context(), time.Now(), ByCheck)
			for i := range r.Lanes {
				wantGood(t, &r.Lanes[i])
			}
			for _, s := range []*seen{&c.wantFront, &c.wantBackend} {
				s.Host = strings.ReplaceAll(s.Host, "FRONT", front.String())
			}
			if diff := cmp.Diff(c.wantFront, atFront.last(t)); diff != "" {
				t.Error("front:", diff)
			}
			if diff := cmp.Diff(c.wantBackend, atBackend.last(t)); diff != "" {
				t.Error("backend:", diff)
			}
			if id := r.Lanes[0].RequestID; len(id) != 32 || id != atFront.ids[0] {
				t.Errorf("request id %q, the server saw %v", id, atFront.ids)
			}
		})
	}
}

// TestPlanHeaderOfOurs: a configured header replaces one that we would send.
func TestPlanHeaderOfOurs(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	front := serveHTTP(t, nil, func(_ http.ResponseWriter, q *http.Request) { got <- q.Header })
	wantGood(t, lookAt(t, `front: {url: "http://%s/", request: {headers: {user-agent: curl, Accept: text/plain}}}`, front))
	h := <-got
	if h.Get("User-Agent") != "curl" || len(h["User-Agent"]) != 1 || h.Get("Accept") != "text/plain" || h.Get("Connection") != "close" || h.Get("Traceparent") == "" {
		t.Errorf("got %v", h)
	}
}
