package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/whichlayer/whichlayer/config"
)

// adhoc is one service described by flags instead of a file. The flags are written down as the file would be and read
// as one, so that both follow the same rules; a mistake is then told by the name of its flag.
type adhoc struct {
	front     string
	backends  []string
	proxies   []string
	balancers []string
	controls  []string
	resolve   []string
	ca        string
	timeout   time.Duration
	status    []string
	body      string

	flags *pflag.FlagSet
	// flagOf is the flag that a key of the document came from.
	flagOf map[string]string
}

// object is a mapping of the document.
type object map[string]any

// adhocFlags are those that describe the service.
var adhocFlags = []string{"front", "backend", "proxy", "balancer", "control", "resolve", "ca", "timeout", "expect-status", "expect-body"}

func (a *adhoc) addFlags(flags *pflag.FlagSet) {
	a.flags = flags
	flags.StringVar(&a.front, "front", "", "`URL` that users reach (https, http, tls or tcp)")
	flags.StringArrayVar(&a.backends, "backend", nil, "`URL` of a backend, past the proxy; repeatable")
	flags.StringArrayVar(&a.proxies, "proxy", nil, "`HOST:PORT` of a TLS proxy, addressed directly; repeatable")
	flags.StringArrayVar(&a.balancers, "balancer", nil, "`HOST:PORT` of a balancer before the proxies; repeatable")
	flags.StringArrayVar(&a.controls, "control", nil,
		"`HOST:PORT` of a witness: another port of one of these hosts, or a host that has nothing to do with them; repeatable")
	flags.StringArrayVar(&a.resolve, "resolve", nil, "`ADDRESS` of the front, in place of asking DNS; repeatable")
	flags.StringVar(&a.ca, "ca", "", "PEM `FILE` of the trusted roots (default the system's)")
	flags.DurationVar(&a.timeout, "timeout", 0, "longest time of each stage (default that of a configuration)")
	flags.StringSliceVar(&a.status, "expect-status", nil, "good status `CODES`, with commas or repeated (default every 2xx)")
	flags.StringVar(&a.body, "expect-body", "", "`TEXT` that the body must contain")
}

// given tells that a flag of the description was used.
func (a *adhoc) given() bool {
	for _, name := range adhocFlags {
		if a.flags.Changed(name) {
			return true
		}
	}
	return false
}

// config reads the description.
func (a *adhoc) config() (*config.Config, error) {
	if a.front == "" {
		return nil, usageError{errors.New("--front is missing: the URL that users reach")}
	}
	text, err := json.Marshal(a.document()) // JSON is YAML
	if err != nil {
		return nil, fmt.Errorf("write the flags down: %w", err)
	}
	cfg, err := config.Parse("", text)
	var mistakes config.Errors
	if errors.As(err, &mistakes) {
		return nil, usageError{a.retell(mistakes)}
	}
	return cfg, err
}

// document is the file that says the same.
func (a *adhoc) document() object {
	a.flagOf = map[string]string{"timeouts": "timeout", "controls": "control"}
	const target = "targets[0]"
	t := object{"name": a.name(), "front": a.frontObject(target + ".front"), "expect": a.expectObject(target + ".expect")}
	via := a.hops(target+".via", nil, "balancer", a.balancers)
	via = a.hops(target+".via", via, "proxy", a.proxies)
	var backends []object
	for i, s := range a.backends {
		b := object{"name": numbered("backend", i, len(a.backends)), "url": literal(s)}
		a.note(fmt.Sprintf("%s.backends[%d]", target, i), "backend")
		if a.ca != "" && !strings.HasPrefix(s, "http:") && !strings.HasPrefix(s, "tcp:") {
			b["ca_file"] = literal(a.ca)
		}
		backends = append(backends, b)
	}
	via, controls := a.witnesses(target, via, backends)
	doc := object{"controls": controls, "targets": []object{t}}
	if len(via) > 0 {
		t["via"] = via
	}
	if len(backends) > 0 {
		t["backends"] = backends
	}
	if a.flags.Changed("timeout") {
		d := a.timeout.String()
		doc["timeouts"] = object{"resolve": d, "connect": d, "tls": d, "request": d, "response": d}
	}
	return doc
}

// note remembers where a value came from.
func (a *adhoc) note(key, flag string) { a.flagOf[key] = flag }

// name is the target's: the front's host.
func (a *adhoc) name() string {
	if u, err := url.Parse(a.front); err == nil && u.Hostname() != "" {
		return literal(u.Hostname())
	}
	return "front"
}

func (a *adhoc) frontObject(key string) object {
	front := object{"url": literal(a.front)}
	a.note(key, "front")
	if a.ca != "" {
		front["ca_file"] = literal(a.ca)
		a.note(key+".ca_file", "ca")
	}
	if len(a.resolve) > 0 {
		front["resolve"] = literals(a.resolve)
		a.note(key+".resolve", "resolve")
	}
	return front
}

func (a *adhoc) expectObject(key string) object {
	expect := object{}
	if len(a.status) > 0 {
		expect["status"] = numbers(a.status)
		a.note(key+".status", "expect-status")
	}
	if a.body != "" {
		expect["body"] = literal(a.body)
		a.note(key+".body", "expect-body")
	}
	return expect
}

// hops adds those of one role.
func (a *adhoc) hops(key string, via []object, role string, addresses []string) []object {
	for i, s := range addresses {
		a.note(fmt.Sprintf("%s[%d]", key, len(via)), role)
		via = append(via, object{"name": numbered(role, i, len(addresses)), "role": role, "address": literal(s)})
	}
	return via
}

// witnesses gives each control to the hop or backend on its host. One on the front's own host makes a hop of that:
// a proxy at the front's address is not probed twice. Any other stands for the world at large.
func (a *adhoc) witnesses(target string, via, backends []object) (hops, controls []object) {
	controls = []object{}
	for _, s := range a.controls {
		host, _, _ := net.SplitHostPort(s)
		attached := a.attach(target+".via", via, host, s) || a.attach(target+".backends", backends, host, s)
		if front, ok := a.frontAddress(host); !attached && len(via) == 0 && ok {
			a.note(target+".via[0]", "front")
			a.note(target+".via[0].control", "control")
			via = append(via, object{"name": "proxy", "role": "proxy", "address": front, "control": literal(s)})
			attached = true
		}
		if !attached {
			controls = append(controls, object{"name": literal(s), "address": literal(s)})
		}
	}
	return via, controls
}

// attach sets the control of the first object of a list that is on the host.
func (a *adhoc) attach(key string, list []object, host, control string) bool {
	for i, o := range list {
		if _, taken := o["control"]; taken || host == "" || hostOf(o) != host {
			continue
		}
		o["control"] = literal(control)
		a.note(fmt.Sprintf("%s[%d].control", key, i), "control")
		return true
	}
	return false
}

// hostOf is the host of a hop's address or of a backend's URL.
func hostOf(o object) string {
	if address, ok := o["address"].(string); ok {
		host, _, _ := net.SplitHostPort(address)
		return host
	}
	address, _ := o["url"].(string)
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// frontAddress is host:port of the front if it is on the host.
func (a *adhoc) frontAddress(host string) (string, bool) {
	var u config.URL
	if err := u.UnmarshalText([]byte(a.front)); err != nil || host == "" {
		return "", false
	}
	at := []string{u.Hostname()}
	for _, h := range append(at, a.resolve...) {
		if h == host {
			return net.JoinHostPort(host, strconv.Itoa(int(u.PortNumber()))), true
		}
	}
	return "", false
}

// retell names the flag in place of the key and the position, each mistake once.
func (a *adhoc) retell(mistakes config.Errors) error {
	var lines []string
	seen := map[string]bool{}
	for _, m := range mistakes {
		line := m.Msg
		if flag := a.flag(m.Key); flag != "" {
			line = "--" + flag + ": " + m.Msg
		}
		if !seen[line] {
			lines = append(lines, line)
		}
		seen[line] = true
	}
	return errors.New(strings.Join(lines, "\n"))
}

// flag is the one that a key or the nearest key around it came from.
func (a *adhoc) flag(key string) string {
	for {
		if flag, ok := a.flagOf[key]; ok {
			return flag
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return ""
		}
		key = key[:cut]
	}
}

// literal keeps the reader from taking ${ for a variable: the shell has expanded what was to be expanded.
func literal(s string) string { return strings.ReplaceAll(s, "${", "$${") }

func literals(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = literal(s)
	}
	return out
}

// numbers leaves what is none to the reader of the document, which says so.
func numbers(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		if n, err := strconv.Atoi(s); err == nil {
			out[i] = n
		} else {
			out[i] = literal(s)
		}
	}
	return out
}

// numbered names the i-th of n things of a kind.
func numbered(kind string, i, n int) string {
	if n == 1 {
		return kind
	}
	return kind + "-" + strconv.Itoa(i+1)
}
