package probe

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ohler55/ojg"
	"github.com/ohler55/ojg/oj"

	"github.com/whichlayer/whichlayer/config"
)

// checkResponse holds a response against what is expected of it; the first thing that is wrong is returned.
func checkResponse(e *config.Expect, resp *http.Response, body []byte) error {
	if !statusExpected(e, resp.StatusCode) {
		return fail(HTTPStatus, "HTTP %d%s", resp.StatusCode, expectedStatus(e))
	}
	for name, re := range e.Headers {
		if v, ok := resp.Header[http.CanonicalHeaderKey(name)]; !ok || !slices.ContainsFunc(v, re.MatchString) {
			return fail(HTTPExpectation, "header %s does not match %q", name, re)
		}
	}
	if e.Body != "" && !strings.Contains(string(body), e.Body) {
		return fail(HTTPExpectation, "the body does not contain %q", e.Body)
	}
	if e.BodyRegexp != nil && !e.BodyRegexp.Match(body) {
		return fail(HTTPExpectation, "the body does not match %q", e.BodyRegexp)
	}
	return checkJSON(e.JSON, body)
}

func statusExpected(e *config.Expect, status int) bool {
	if len(e.Status) == 0 {
		return status/100 == 2
	}
	return slices.Contains(e.Status, status)
}

// expectedStatus says which status codes are expected when the configuration names them.
func expectedStatus(e *config.Expect) string {
	if len(e.Status) == 0 {
		return ""
	}
	return ", expected " + strings.Trim(fmt.Sprint(e.Status), "[]")
}

func checkJSON(checks []config.JSONCheck, body []byte) error {
	if len(checks) == 0 {
		return nil
	}
	doc, err := oj.Parse(body)
	if err != nil {
		return fail(HTTPExpectation, "the body is not JSON: %s", clip(err.Error(), 100))
	}
	for _, c := range checks {
		values := c.Path.Get(doc)
		if len(values) == 0 {
			return fail(HTTPExpectation, "the JSON body has no %s", c.Path)
		}
		if text := jsonText(values[0]); c.Equals != "" && text != c.Equals {
			return fail(HTTPExpectation, "%s is %q, not %q", c.Path, clip(text, 60), c.Equals)
		}
	}
	return nil
}

// jsonText is a value as JSON writes it, a string without its quotes.
func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return oj.JSON(v, &ojg.Options{Sort: true})
}
