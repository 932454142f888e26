package config

import (
	"fmt"
	"strconv"
	"strings"
	"text/template"
)

// Template is a Go text/template. The loader checks its syntax; whether it names what there is, only its user can tell,
// who finds where it stands in Config.Place.
type Template struct{ text string }

// NewTemplate makes a template of a text; an empty one is none.
func NewTemplate(text string) Template { return Template{text} }

// IsZero tells that there is none.
func (t Template) IsZero() bool { return t.text == "" }

// String is the text as it was given.
func (t Template) String() string { return t.text }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Template) UnmarshalText(b []byte) error {
	if _, err := template.New("").Parse(string(b)); err != nil {
		return fmt.Errorf("is not a template: %s", strings.TrimPrefix(err.Error(), "template: "))
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
