package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// selector is a metric that a PromQL expression reads, and what it asks of its labels.
type selector struct {
	metric   string
	matchers []matcher
}

type matcher struct{ label, op, value string }

// selectors finds what an expression reads, and the labels by which it groups or joins. It knows only as much of
// PromQL as that needs; the server's own parser sees the expressions in another test.
func selectors(expr string) (reads []selector, labels []string, err error) {
	p := promQL{rest: expr}
	for tok := p.next(); tok != ""; tok = p.next() {
		switch {
		case !isName(tok):
			if tok == "{" {
				return nil, nil, fmt.Errorf("a selector without a metric before %q", p.rest)
			}
		case slices.Contains([]string{"by", "without", "on", "ignoring", "group_left", "group_right"}, tok):
			labels = append(labels, p.labels()...)
		case slices.Contains([]string{"and", "or", "unless", "bool", "offset", "inf", "nan", "Inf", "NaN"}, tok):
		case slices.Contains([]string{"(", "by", "without"}, p.peek()): // a function or an aggregation
		default:
			s := selector{metric: tok}
			if p.peek() == "{" {
				s.matchers = p.matchers()
			}
			reads = append(reads, s)
		}
	}
	return reads, labels, p.err
}

// promQL splits an expression into tokens.
type promQL struct {
	rest string
	err  error
}

func (p *promQL) next() string {
	p.rest = strings.TrimLeft(p.rest, " \n\t")
	if p.rest == "" {
		return ""
	}
	n := 1
	switch c := p.rest[0]; {
	case c == '"' || c == '\'':
		end := strings.IndexByte(p.rest[1:], c)
		if end < 0 {
			p.err = fmt.Errorf("an unclosed string: %s", p.rest)
			end = len(p.rest) - 2
		}
		n = end + 2
	case c == '$' || c >= '0' && c <= '9' || isName(p.rest[:1]):
		for n < len(p.rest) && (isName(p.rest[n:n+1]) || p.rest[n] >= '0' && p.rest[n] <= '9' || p.rest[n] == '.') {
			n++
		}
	case len(p.rest) > 1 && (p.rest[1] == '=' || p.rest[1] == '~') && strings.IndexByte("=!<>", c) >= 0:
		n = 2
	}
	tok := p.rest[:n]
	p.rest = p.rest[n:]
	return tok
}

func (p *promQL) peek() string {
	q := *p
	return q.next()
}

// labels reads (a, b); nothing when there is no parenthesis.
func (p *promQL) labels() (out []string) {
	if p.peek() != "(" {
		return nil
	}
	for tok := p.next(); tok != ")" && tok != ""; tok = p.next() {
		if isName(tok) {
			out = append(out, tok)
		}
	}
	return out
}

// matchers reads {a="b", c!="d"}.
func (p *promQL) matchers() (out []matcher) {
	for tok := p.next(); tok != "}" && tok != ""; tok = p.next() {
		if isName(tok) {
			out = append(out, matcher{label: tok, op: p.next(), value: strings.Trim(p.next(), `"'`)})
		}
	}
	return out
}

func isName(s string) bool {
	c := s[0]
	return c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func TestSelectors(t *testing.T) {
	for _, c := range []struct {
		expr   string
		reads  []selector
		labels []string
	}{
		{`up`, []selector{{metric: "up"}}, nil},
		{`time() - max(a_b{x="$y", z=~"q.*"}) > 2 * 86400`,
			[]selector{{"a_b", []matcher{{"x", "=", "$y"}, {"z", "=~", "q.*"}}}}, nil},
		{`histogram_quantile(0.5, sum by (le, t) (rate(h_bucket{i="a"}[$__rate_interval])))`,
			[]selector{{"h_bucket", []matcher{{"i", "=", "a"}}}}, []string{"le", "t"}},
		{`x and on (instance) (max_over_time(y{l!="none"}[5m] @ end()) > 0) or absent(z{s=""})`,
			[]selector{{metric: "x"}, {"y", []matcher{{"l", "!=", "none"}}}, {"z", []matcher{{"s", "=", ""}}}}, []string{"instance"}},
		{`a * on (t) group_left (v) b`, []selector{{metric: "a"}, {metric: "b"}}, []string{"t", "v"}},
	} {
		reads, labels, err := selectors(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
		}
		if diff := cmp.Diff(c.reads, reads, cmp.AllowUnexported(selector{}, matcher{})); diff != "" {
			t.Errorf("%s reads (-want +got):\n%s", c.expr, diff)
		}
		if diff := cmp.Diff(c.labels, labels); diff != "" {
			t.Errorf("%s groups by (-want +got):\n%s", c.expr, diff)
		}
	}
	for _, bad := range []string{`{a="b"}`, `rate(x{y="z)`} {
		if _, _, err := selectors(bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
