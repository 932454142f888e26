package config

import (
	"fmt"
	"strconv"
	"strings"
	syntax "text/template/parse"
)

// Template is a Go text/template. The loader checks its syntax; whether it names what there is, only its user can tell,
// who reports what it does not with [Config.Mistake].
type Template struct{ text string }

// NewTemplate makes a template of a text; an empty one is none.
func NewTemplate(text string) Template { return Template{text} }

// IsZero tells that there is none.
func (t Template) IsZero() bool { return t.text == "" }

// String is the text as it was given.
func (t Template) String() string { return t.text }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Template) UnmarshalText(b []byte) error {
	const name = "line" // errors then begin with line:NUMBER:
	tree := syntax.New(name)
	tree.Mode = syntax.SkipFuncCheck // which functions there are, only the user knows
	if _, err := tree.Parse(string(b), "", "", map[string]*syntax.Tree{}); err != nil {
		return fmt.Errorf("this is not a Go text/template: line %s", strings.TrimPrefix(err.Error(), "template: "+name+":"))
	}
	t.text = string(b)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (t Template) MarshalText() ([]byte, error) { return []byte(t.text), nil }

// Size is a number of bytes; the zero value means "not given".
type Size int64

// sizeUnits are powers of 1024 (IEC 80000-13).
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(string(b), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n <= 0 || n > (1<<62)/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size, expected something like 500MiB or 2GiB", b)
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) {
	for i := len(sizeUnits) - 1; i >= 0; i-- {
		if u := sizeUnits[i]; int64(s)%u.bytes == 0 {
			return []byte(strconv.FormatInt(int64(s)/u.bytes, 10) + u.name), nil
		}
	}
	return []byte(strconv.FormatInt(int64(s)/1024, 10) + "KiB"), nil
}

// String is the size with its unit.
func (s Size) String() string {
	b, _ := s.MarshalText()
	return string(b)
}
