package probe

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestExpect holds expectations, as they stand in a file, against answers.
func TestExpect(t *testing.T) {
	const page = "all systems\nare ok\n"
	const doc = `{"status": "ok", "n": 3, "f": 1.5, "big": 12345678901, "yes": true, "nothing": null, "list": [{"up": true}, {"up": false}], "obj": {"b": 1, "a": 2}}`
	for _, c := range []struct {
		expect string
		status int
		body   string
		typ    Type
		text   string
	}{
		{"{}", 200, "", "", ""},
		{"{}", 204, "", "", ""},
		{"{}", 299, "", "", ""},
		{"{}", 301, "", HTTPStatus, "HTTP 301"},
		{"{}", 404, "", HTTPStatus, "HTTP 404"},
		{"{}", 503, "", HTTPStatus, "HTTP 503"},
		{"{status: [401, 302]}", 302, "", "", ""},
		{"{status: [401, 302]}", 401, "", "", ""},
		{"{status: [401, 302]}", 200, "", HTTPStatus, "HTTP 200"},
		{"{status: [500]}", 500, "", "", ""},
		{"{body: are ok}", 200, page, "", ""},
		{"{body: ARE OK}", 200, page, HTTPExpectation, `the body does not contain "ARE OK"`},
		{"{body: are ok}", 500, page, HTTPStatus, "HTTP 500"},
		{"{body_regexp: '(?m)^are .k$'}", 200, page, "", ""},
		{"{body_regexp: '^are'}", 200, page, HTTPExpectation, `the body does not match "^are"`},
		{"{body_regexp: '^$'}", 200, "", "", ""},
		{"{headers: {X-Version: '^1\\.'}}", 200, "", "", ""},
		{"{headers: {x-version: second}}", 200, "", "", ""},
		{"{headers: {X-Version: '^2'}}", 200, "", HTTPExpectation, `header X-Version does not match "^2"`},
		{"{headers: {X-Other: .}}", 200, "", HTTPExpectation, `header X-Other does not match "."`},
		{"{json: [{path: $.status}]}", 200, doc, "", ""},
		{"{json: [{path: $.status, equals: ok}]}", 200, doc, "", ""},
		{"{json: [{path: $.status, equals: down}]}", 200, doc, HTTPExpectation, `$.status is "ok", not "down"`},
		{"{json: [{path: $.n, equals: '3'}, {path: $.f, equals: '1.5'}, {path: $.big, equals: '12345678901'}]}", 200, doc, "", ""},
		{"{json: [{path: $.yes, equals: 'true'}, {path: $.nothing, equals: 'null'}, {path: $.nothing}]}", 200, doc, "", ""},
		{"{json: [{path: $.nothing, equals: ok}]}", 200, doc, HTTPExpectation, `$.nothing is "null", not "ok"`},
		{"{json: [{path: '$.list[1].up', equals: 'false'}, {path: '$.list[-2].up', equals: 'true'}]}", 200, doc, "", ""},
		{`{json: [{path: $.obj, equals: '{"a":2,"b":1}'}]}`, 200, doc, "", ""},
		{"{json: [{path: $.list, equals: x}]}", 200, doc, HTTPExpectation, `$.list is "[{\"up\":true},{\"up\":false}]", not "x"`},
		{"{json: [{path: $.status}, {path: $.other}]}", 200, doc, HTTPExpectation, "the JSON body has no $.other"},
		{"{json: [{path: $.a}]}", 200, page, HTTPExpectation, "the body is not JSON: "},
		{"{json: [{path: $.a}]}", 200, `{"a": 1`, HTTPExpectation, "the body is not JSON: "},
		{"{json: [{path: $.a}]}", 200, "", HTTPExpectation, ""},
	} {
		cfg, _ := load(t, "targets: [{name: demo, front: {url: 'http://a.example/'}, expect: %s}]", c.expect)
		resp := &http.Response{StatusCode: c.status, Header: http.Header{"X-Version": {"1.2", "second"}}}
		err := checkResponse(&cfg.Targets[0].Expect, resp, []byte(c.body))
		var f *failure
		switch {
		case c.typ == "" && err != nil:
			t.Errorf("%s of %d: %v", c.expect, c.status, err)
		case c.typ != "" && (!errors.As(err, &f) || f.typ != c.typ || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s of %d: %v, expected %s %q", c.expect, c.status, err, c.typ, c.text)
		}
	}
}

// TestExpectPerBackend: a backend has its own expectations, or those of the target.
func TestExpectPerBackend(t *testing.T) {
	t.Parallel()
	at := serveHTTP(t, nil, answerOK)
	r := newTestTarget(t, `front: {url: "http://%s/"}, expect: {body: ok}, backends: [
		{name: a, url: "http://%s/"}, {name: b, url: "http://%s/", expect: {body: other}}, {name: c, url: "http://%s/", expect: {}}]`, at, at, at, at).
		Round(t.Context(), time.Now(), ByCheck)
	for _, name := range []string{"a", "c"} {
		wantGood(t, laneNamed(t, &r, LaneBackend, name))
	}
	wantFailed(t, laneNamed(t, &r, LaneBackend, "b"), StageResponse, HTTPExpectation)
}

// TestExpectMaxDuration: a lane that takes longer than it may is slow, and the stage that took the time is.
func TestExpectMaxDuration(t *testing.T) {
	t.Parallel()
	late := func(head, body time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(head)
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			time.Sleep(body)
		}
	}
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		max  string
		want StageName
	}{
		"in time":   {late(0, 0), "10s", ""},
		"late head": {late(80*time.Millisecond, 0), "60ms", StageRequest},
		"late body": {late(0, 80*time.Millisecond), "60ms", StageResponse},
	} {
		r := newTestTarget(t, `front: {url: "http://%s/"}, expect: {max_duration: %s}`, serveHTTP(t, nil, c.h), c.max).
			Round(t.Context(), time.Now(), ByCheck)
		wantGood(t, &r.Lanes[0])
		for _, s := range r.Lanes[0].Stages {
			if slow := s.Stage == c.want; slow != (s.Outcome == Slow) {
				t.Errorf("%s: %s is %s after %v", name, s.Stage, s.Outcome, s.Duration.Std())
			}
		}
		if v := Attribute(&r, nil); (c.want == "") != (v.State == Up) {
			t.Errorf("%s: verdict %+v", name, v)
		}
	}
}

// TestResponseFacts: what an answer showed is kept, bounded, whatever was expected of it.
func TestResponseFacts(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 11, 22, 14, 3, 7, 0, time.UTC)
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want *HTTPFacts
		typ  Type
	}{
		"redirect, not followed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1/"+strings.Repeat("x", 300))
			w.Header().Set("Server", "a\xffb")
			w.WriteHeader(http.StatusFound)
		}, &HTTPFacts{Status: 302, Proto: "HTTP/1.1", Server: "a?b", Location: clip("http://192.0.2.1/"+strings.Repeat("x", 300), 200)}, HTTPStatus},
		"unknown length": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "one")
			w.(http.Flusher).Flush()
			io.WriteString(w, "two")
		}, &HTTPFacts{Status: 200, Proto: "HTTP/1.1", ContentLength: -1, BodyBytes: 6}, ""},
		"interim answers": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			w.WriteHeader(http.StatusNoContent)
		}, &HTTPFacts{Status: 204, Proto: "HTTP/1.1"}, ""},
		"too many interim answers": {func(w http.ResponseWriter, _ *http.Request) {
			for range maxInterim + 1 {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}, nil, HTTPInvalid},
		"a long body is judged by its beginning": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2000000")
			w.Write([]byte(strings.Repeat("x", 2000000)))
		}, &HTTPFacts{Status: 200, Proto: "HTTP/1.1", ContentLength: 2000000, BodyBytes: bodyLimit, Limited: true}, ""},
		"a compressed body is not unpacked": {func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Encoding", q.Header.Get("Accept-Encoding"))
			io.WriteString(w, "abc")
		}, &HTTPFacts{Status: 200, Proto: "HTTP/1.1", ContentLength: 3, BodyBytes: 3}, ""},
	} {
		l := lookAt(t, `front: {url: "http://%s/"}`, serveHTTP(t, nil, func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Date", date.Format(http.TimeFormat))
			c.h(w, q)
		}))
		if c.typ == "" {
			wantGood(t, l)
		} else {
			wantFailed(t, l, StageResponse, c.typ)
		}
		if c.want != nil {
			c.want.Date = date
		}
		if diff := cmp.Diff(c.want, l.HTTP); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestResponseEnds: the ways in which an answer can end early.
func TestResponseEnds(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
	for name, c := range map[string]struct {
		steps []string
		stage StageName
		typ   Type
	}{
		"silent":                {[]string{"<\r\n\r\n"}, StageRequest, HTTPTimedOut},
		"closed at once":        {[]string{"<\r\n\r\n", "close"}, StageRequest, HTTPClosed},
		"reset at once":         {[]string{"<\r\n\r\n", "reset"}, StageRequest, HTTPReset},
		"half a status line":    {[]string{"<\r\n\r\n", ">HTTP/1.1 2", "close"}, StageResponse, HTTPClosed},
		"half a head, silent":   {[]string{"<\r\n\r\n", ">HTTP/1.1 200 OK\r\nA: b"}, StageResponse, HTTPBodyStalled},
		"no HTTP":               {[]string{"<\r\n\r\n", ">220 mail.example ESMTP\r\n"}, StageResponse, HTTPInvalid},
		"body stalled":          {[]string{"<\r\n\r\n", ">" + head + "abc"}, StageResponse, HTTPBodyStalled},
		"body cut":              {[]string{"<\r\n\r\n", ">" + head + "abc", "close"}, StageResponse, HTTPBodyTruncated},
		"body reset":            {[]string{"<\r\n\r\n", ">" + head + "abc", "reset"}, StageResponse, HTTPReset},
		"a bad chunk":           {[]string{"<\r\n\r\n", ">HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}, StageResponse, HTTPInvalid},
		"endless head":          {[]string{"<\r\n\r\n", ">HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", headLimit)}, StageResponse, HTTPInvalid},
		"whole, and stays open": {[]string{"<\r\n\r\n", ">" + head + "ok ok ok "}, "", ""},
		"until it closes":       {[]string{"<\r\n\r\n", ">HTTP/1.0 200 OK\r\n\r\nok", "close"}, "", ""},
	} {
		l := lookAt(t, `front: {url: "http://%s/"}, timeouts: {request: 150ms, response: 150ms}`, play(t, nil, c.steps...))
		if c.typ == "" {
			wantGood(t, l)
			continue
		}
		if s := wantFailed(t, l, c.stage, c.typ); t.Failed() {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestWithoutQuery(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "/login": "/login", "https://sso.test/?token=secret#x": "https://sso.test/", "/a#b?c": "/a",
	} {
		if got := withoutQuery(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
