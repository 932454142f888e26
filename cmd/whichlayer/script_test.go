package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/whichlayer/whichlayer/probe/lab"
)

// TestMain lets the scripts run this program itself: a copy of the test binary is called whichlayer there.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"whichlayer": main})
}

// TestScript runs testdata/script/*.txtar. Beside testscript's own commands they have
//
//	exits CODE PROGRAM ARGS...  run it and require the exit code
//	lab start [balancer]        a front, a proxy and a backend on loopback; writes whichlayer.yaml
//	lab break FAULT             break it, and mend it again with lab mend FAULT
//	lab refused                 set $REFUSED to an address where nothing listens
//	lab taken                   set $TAKEN to an address where somebody listens
//	await REGEXP FILE           wait until a line of the file matches
//	get PATH STATUS             ask the running daemon (its address is read from run.log) until it answers so;
//	                            the body is then in the file body
//	post PATH STATUS            the same, once, with POST
//	state DIR FILE              commit the batch in the file, as JSON, to a state directory
//	signal NAME                 send TERM, HUP, STOP, CONT or KILL to the program in the background
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("TERM", "xterm-256color")
			e.Values[chainKey{}] = new(*lab.Chain)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "lab": labCommand, "await": await, "get": get, "post": post, "signal": signalCommand, "state": stateCommand,
		},
		UpdateScripts:       *update,
		RequireExplicitExec: true,
	})
}

// patience bounds every wait of a script.
const patience = 20 * time.Second

func usage(ts *testscript.TestScript, neg bool, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "exits CODE PROGRAM ARGS...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

type chainKey struct{}

func labCommand(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 1, "lab start | lab break FAULT | lab mend FAULT | lab refused | lab taken")
	switch args[0] {
	case "start":
		startLab(ts, args[1:])
	case "refused":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv("REFUSED", l.Addr().String())
		ts.Check(l.Close())
	case "taken":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Defer(func() { _ = l.Close() })
		ts.Setenv("TAKEN", l.Addr().String())
	case "break":
		ts.Check((*running(ts)).Break(lab.Fault(args[1])))
	case "mend":
		ts.Check((*running(ts)).Mend(lab.Fault(args[1])))
	}
}

func startLab(ts *testscript.TestScript, options []string) {
	c, err := lab.Start(context.Background(), lab.Options{
		Dir: ts.MkAbs("."), Balancer: len(options) > 0 && options[0] == "balancer",
	})
	ts.Check(err)
	ts.Defer(func() {
		if err := c.Close(); err != nil {
			ts.Logf("close the lab: %v", err)
		}
	})
	*running(ts) = c
	ts.Setenv("FRONT", fmt.Sprintf("https://%s:%d/", c.Name(), c.Front().Port()))
	ts.Setenv("FRONT_IP", c.Front().Addr().String())
	ts.Setenv("BACKEND", "http://"+c.Backend().String()+"/")
	ts.Setenv("PROXY", c.Proxy().String())
	ts.Setenv("CA", c.CAFile())
	ts.Check(os.WriteFile(ts.MkAbs("whichlayer.yaml"), []byte(c.YAML("@every 1s")), 0o600))
}

// running is the script's lab; lab start puts it there.
func running(ts *testscript.TestScript) **lab.Chain { return ts.Value(chainKey{}).(**lab.Chain) }

func await(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "await REGEXP FILE")
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var text []byte
	until(ts, func() bool {
		text, _ = os.ReadFile(ts.MkAbs(args[1]))
		return re.Match(text)
	}, func() string {
		return fmt.Sprintf("%s never matched %q; it ends with\n%s", args[1], args[0], text[max(0, len(text)-1500):])
	})
}

// until asks again and again, until ok or out of patience.
func until(ts *testscript.TestScript, ok func() bool, complaint func() string) {
	end := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(end) {
			ts.Fatalf("%s", complaint())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var listening = regexp.MustCompile(`listen=(127\.0\.0\.1:\d+)`)

// ask sends one request to the daemon whose log is run.log.
func ask(ts *testscript.TestScript, method, path string) (status int, body string, err error) {
	text, err := os.ReadFile(ts.MkAbs("run.log"))
	if err != nil {
		return 0, "", err
	}
	m := listening.FindSubmatch(text)
	if m == nil {
		return 0, "", errors.New("run.log names no listening address")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+string(m[1])+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "get PATH STATUS")
	var status int
	var body string
	var err error
	until(ts, func() bool {
		status, body, err = ask(ts, http.MethodGet, args[0])
		return err == nil && strconv.Itoa(status) == args[1]
	}, func() string { return fmt.Sprintf("GET %s: %d %q, %v; want %s", args[0], status, body, err, args[1]) })
	ts.Check(os.WriteFile(ts.MkAbs("body"), []byte(body), 0o600))
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "post PATH STATUS")
	status, body, err := ask(ts, http.MethodPost, args[0])
	ts.Check(err)
	if strconv.Itoa(status) != args[1] {
		ts.Fatalf("POST %s: %d %q, want %s", args[0], status, strings.TrimSpace(body), args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs("body"), []byte(body), 0o600))
}

func signalCommand(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "signal TERM|HUP|STOP|CONT|KILL")
	sig, ok := map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "KILL": syscall.SIGKILL,
	}[args[0]]
	commands := ts.BackgroundCmds()
	if !ok || len(commands) == 0 {
		ts.Fatalf("no signal %q, or nothing runs in the background", args[0])
	}
	ts.Check(commands[len(commands)-1].Process.Signal(sig))
}
