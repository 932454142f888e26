package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Error is one mistake in a configuration file.
type Error struct {
	File string
	// Line and Column count from 1; 0 when the mistake has no place, such as a file that cannot be read.
	Line, Column int
	// Key is the path of the value, such as targets[0].front.url; empty for the file as a whole.
	Key string
	// Msg says what is wrong and what is expected.
	Msg string

	cause error
}

// Error is file:line:col: key: message, without the parts that are not known.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	b.WriteString(": " + e.Msg)
	return b.String()
}

// Unwrap is the system's error behind it, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// clip cuts off the megabyte that somebody may have put where a word belongs.
func (e *Error) clip() {
	const most = 1000
	for _, s := range []*string{&e.Msg, &e.Key} {
		if len(*s) > most {
			*s = strings.ToValidUTF8((*s)[:most], "") + "..."
		}
	}
}

// mistake is one in the value at a path, or, when it was not given, in what it should stand in.
func mistake(at map[string]place, path, format string, args ...any) *Error {
	e := &Error{Key: path, Msg: fmt.Sprintf(format, args...)}
	for p := path; ; p = parent(p) {
		where, ok := at[p]
		if ok {
			e.Line, e.Column = where.line, where.column
		}
		if ok || p == "" {
			return e
		}
	}
}

// Place is where the value at a path, as it is written in the file, such as receivers[0].title stands there, and false
// when it was not given.
// A value of several lines begins where its mark (| or >) stands.
func (c *Config) Place(path string) (line, column int, ok bool) {
	p, ok := c.at[path]
	return p.line, p.column, ok
}

// Mistake is an error in the value at a path such as receivers[0].title, for those who can tell only after the reading.
// Where the value was not given, its place is that of what it should stand in.
func (c *Config) Mistake(path, format string, args ...any) *Error {
	e := mistake(c.at, path, format, args...)
	e.File = c.Path
	e.clip()
	return e
}

// Errors are all mistakes of one configuration, in the order of the file.
type Errors []*Error

// Error has one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, x := range e {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.Is and errors.As each single mistake.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, x := range e {
		all[i] = x
	}
	return all
}

// mostErrors is how many mistakes are told; who has more will look at the first ones first.
const mostErrors = 200

// sorted brings the mistakes into the order of the file. The same words at the same place, found twice because an
// alias led there twice, are told once.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	e = slices.CompactFunc(e, func(a, b *Error) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Msg == b.Msg && a.Line > 0
	})
	if len(e) > mostErrors {
		last := &Error{File: e[0].File, Msg: fmt.Sprintf("and at least %d mistakes more", len(e)-mostErrors)}
		e = append(e[:mostErrors:mostErrors], last)
	}
	return e
}

// place is where something stands in the file.
type place struct{ line, column int }

func placeOf(n *yaml.Node) place { return place{n.Line, n.Column} }

// child is the path of a mapping's key.
func child(path, key string) string {
	if !simpleKey(key) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// item is the path of a list's element.
func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parent is the path without its last step.
func parent(path string) string {
	if i := strings.LastIndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return ""
}

func simpleKey(s string) bool {
	for _, r := range s {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return s != ""
}
