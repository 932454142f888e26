package config

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Redacted is the effective configuration as YAML: defaults filled in, file names resolved, secrets as <redacted>, and
// values that came from the environment as ${VARIABLE}.
func (c *Config) Redacted() ([]byte, error) {
	e := encoder{replace: func(path string) (string, bool) { s, ok := c.written[path]; return s, ok }}
	shown := *c
	fill(&shown.Listen, "off")
	return marshal(&e, reflect.ValueOf(shown))
}

// Equal tells whether two targets, or two receivers, are the same, the contents of the files that they name included, so
// that the state of one may be kept for the other.
func Equal[T Target | Receiver](a, b T) bool {
	x, errX := fingerprint(&a)
	y, errY := fingerprint(&b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// fingerprint is all that makes up a target or a receiver. It holds its secrets and must not leave this package.
func fingerprint(v any) ([]byte, error) {
	e := encoder{reveal: true}
	b, err := marshal(&e, reflect.ValueOf(v).Elem())
	switch v := v.(type) {
	case *Receiver:
		b = append(b, v.digest...)
	case *Target:
		b = append(b, v.Front.digest...)
		for i := range v.Backends {
			b = append(b, '\n')
			b = append(b, v.Backends[i].digest...)
		}
	}
	return b, err
}

// encoder is the decoder's counterpart: it writes what is not zero, by the same rules.
type encoder struct {
	// replace gives the text to show in place of the value at a path.
	replace func(path string) (string, bool)
	// reveal writes secrets as they are.
	reveal bool
}

func marshal(e *encoder, v reflect.Value) ([]byte, error) {
	n, err := e.encode(v, "")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return b.Bytes(), nil
}

func (e *encoder) encode(v reflect.Value, path string) (*yaml.Node, error) {
	if v.Kind() == reflect.Pointer {
		return e.encode(v.Elem(), path)
	}
	if s, ok := v.Interface().(Secret); ok {
		text := s.String()
		if e.reveal || isPublic(s) {
			text = s.Reveal()
		}
		return textNode(text), nil
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return nil, fmt.Errorf("write configuration: %s: %w", path, err)
		}
		return e.scalar(string(text), path), nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return e.structure(v, path)
	case reflect.Map:
		return e.table(v, path)
	case reflect.Slice:
		return e.list(v, path)
	case reflect.Int:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatInt(v.Int(), 10)}, nil
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatBool(v.Bool())}, nil
	}
	return e.scalar(v.String(), path), nil
}

// scalar writes text, with a literal ${ escaped as the decoder wants it.
func (e *encoder) scalar(s, path string) *yaml.Node {
	if e.replace != nil {
		if written, ok := e.replace(path); ok {
			return textNode(written)
		}
		s = escapeVariables(s)
	}
	return textNode(s)
}

func (e *encoder) structure(v reflect.Value, path string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range keysOf(v.Type()) {
		value := v.FieldByIndex(f.index)
		if value.IsZero() && !alwaysShown(value) {
			continue
		}
		c, err := e.encode(value, child(path, f.name))
		if err != nil {
			return nil, err
		}
		if len(c.Content) == 0 && c.Kind == yaml.MappingNode {
			continue
		}
		n.Content = append(n.Content, textNode(f.name), c)
	}
	return n, nil
}

// alwaysShown tells that a type's zero value means something: off.
func alwaysShown(v reflect.Value) bool {
	return v.Type() == reflect.TypeFor[Interval]() || v.Type() == reflect.TypeFor[OptionalSchedule]()
}

func (e *encoder) table(v reflect.Value, path string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	for _, k := range keys {
		c, err := e.encode(v.MapIndex(k), child(path, k.String()))
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, textNode(k.String()), c)
	}
	return n, nil
}

func (e *encoder) list(v reflect.Value, path string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		c, err := e.encode(v.Index(i), item(path, i))
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, c)
	}
	return n, nil
}

// textNode is a scalar that the library quotes where it must to stay text.
func textNode(s string) *yaml.Node {
	var n yaml.Node
	n.SetString(s)
	return &n
}
