package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFollowed is how many nodes may be visited through aliases in one file. An alias costs a few bytes and can stand
// for the whole file, so that without a bound some hundred bytes keep a reader busy for ever.
const maxFollowed = 100_000

// maxItems is how many elements a list may have.
const maxItems = 20_000

// enoughErrors ends the reading: what has that many mistakes is no configuration.
const enoughErrors = 1000

// decoder walks a YAML node tree and a Go value side by side. It fills the value in, and notes every mistake with
// its place instead of stopping at the first one.
type decoder struct {
	file   string
	lookup func(string) (string, bool)
	errs   Errors
	// at is where each value that was given stands, by its path.
	at map[string]place
	// written is the text of each scalar that a variable was filled into, by its path.
	written map[string]string
	// bad are the paths at which a mistake was found.
	bad map[string]bool
	// clear are the paths of secrets that may stand in the file as they are.
	clear map[string]bool

	fields   map[reflect.Type][]field
	open     map[*yaml.Node]bool // nodes with an anchor that we are in
	depth    int                 // aliases that we are in
	followed int                 // nodes visited through aliases
}

func newDecoder(file string, lookup func(string) (string, bool)) *decoder {
	return &decoder{
		file: file, lookup: lookup,
		at: map[string]place{}, written: map[string]string{}, bad: map[string]bool{}, clear: map[string]bool{},
		fields: map[reflect.Type][]field{}, open: map[*yaml.Node]bool{},
	}
}

// fail notes a mistake in a node.
func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	d.add(&Error{Line: n.Line, Column: n.Column, Key: path, Msg: fmt.Sprintf(format, args...)})
}

// failAt notes a mistake in the value at a path, or, when it was not given, in what it should stand in.
func (d *decoder) failAt(path, format string, args ...any) {
	d.add(mistake(d.at, path, format, args...))
}

// add keeps a mistake.
func (d *decoder) add(e *Error) {
	e.File = d.file
	e.clip()
	d.errs = append(d.errs, e)
	d.bad[e.Key] = true
}

// failed tells whether a mistake was found in the value at the path.
func (d *decoder) failed(path string) bool { return d.bad[path] }

// given tells whether the file has a value at the path, good or bad.
func (d *decoder) given(path string) bool {
	_, ok := d.at[path]
	return ok
}

// decode fills v from n.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		d.follow(n, path, func(target *yaml.Node) { d.decode(target, v, path) })
		return
	}
	if !d.count() {
		return
	}
	if n.Anchor != "" && !d.open[n] {
		d.open[n] = true
		defer delete(d.open, n)
	}
	if _, ok := d.at[path]; !ok {
		d.at[path] = placeOf(n)
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		d.decode(n, p.Elem(), path)
		if !isNull(n) {
			v.Set(p)
		}
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, v.Type(), u, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.table(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

// follow goes through an alias, unless it leads back to itself or too many were followed already.
func (d *decoder) follow(n *yaml.Node, path string, do func(*yaml.Node)) {
	if d.open[n.Alias] {
		d.fail(n, path, "the alias *%s stands for something that contains it", n.Value)
		return
	}
	d.open[n.Alias] = true
	d.depth++
	do(n.Alias)
	d.depth--
	delete(d.open, n.Alias)
	if d.followed == maxFollowed+1 {
		d.followed++ // so that it is told once
		d.fail(n, path, "aliases stand for more than %d values", maxFollowed)
	}
}

// count bounds the nodes that are visited through aliases.
func (d *decoder) count() bool {
	if d.depth > 0 && d.followed <= maxFollowed {
		d.followed++
	}
	return !d.stopped()
}

// stopped tells that it makes no sense to go on.
func (d *decoder) stopped() bool { return d.followed > maxFollowed || len(d.errs) >= enoughErrors }

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "%s, expected keys and values", describe(n))
		return
	}
	known := d.fieldsOf(v.Type())
	for _, p := range d.pairs(n, path) {
		if path == "" && strings.HasPrefix(p.key.Value, "x-") {
			continue
		}
		name := child(path, p.key.Value)
		f, ok := find(known, p.key.Value)
		if !ok {
			d.fail(p.key, name, "%s", unknownKey(p.key.Value, names(known)))
			continue
		}
		if f.clear {
			d.clear[name] = true
		}
		d.pair(p, v.FieldByIndex(f.index), name)
	}
}

func (d *decoder) table(n *yaml.Node, v reflect.Value, path string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "%s, expected names and values", describe(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range d.pairs(n, path) {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.pair(p, elem, child(path, p.key.Value))
		v.SetMapIndex(reflect.ValueOf(p.key.Value), elem)
	}
}

// pair decodes one key's value. A value of several lines is said to stand where its key does.
func (d *decoder) pair(p pair, v reflect.Value, path string) {
	if p.value.Kind == yaml.MappingNode || p.value.Kind == yaml.SequenceNode || isNull(p.value) {
		d.at[path] = placeOf(p.key)
	}
	d.decode(p.value, v, path)
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "%s, expected a list", describe(n))
		return
	}
	if len(n.Content) > maxItems {
		d.fail(n, path, "the list has %d elements, expected at most %d", len(n.Content), maxItems)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i, c := range n.Content {
		if d.stopped() {
			return
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		d.decode(c, elem, item(path, i))
		v.Set(reflect.Append(v, elem))
	}
}

// text hands a scalar's text, as it is written, to a type that parses itself: 1.2 stays 1.2 and 0443 stays 0443.
func (d *decoder) text(n *yaml.Node, t reflect.Type, u encoding.TextUnmarshaler, path string) {
	want := expectedOf(t)
	s, ok := d.scalarText(n, path, want)
	if !ok {
		return
	}
	secret := t == reflect.TypeFor[Secret]()
	if secret && !s.variable && !d.clear[path] {
		d.fail(n, path, "a secret must not stand in this file, expected ${VARIABLE}, or the key %s_file with "+
			"the name of a file that holds it", path[strings.LastIndexByte(path, '.')+1:])
		return
	}
	err := u.UnmarshalText([]byte(s.text))
	switch {
	case secret && s.text == "":
		d.fail(n, path, "%s is empty, expected a secret", quote(n.Value))
	case s.variable && (err != nil || s.text == ""):
		// The error's own words could show the variable's value, which may be a secret.
		d.fail(n, path, "%s, with its variables filled in, is not %s", quote(n.Value), want)
	case s.text == "", err != nil && t == reflect.TypeFor[netip.Addr]():
		d.fail(n, path, "%s is not %s", quote(n.Value), want)
	case err != nil:
		d.fail(n, path, "%s", err)
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	want := expectedOf(v.Type())
	s, ok := d.scalarText(n, path, want)
	if !ok {
		return
	}
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		v.SetString(s.text)
	case reflect.Int:
		i, err := strconv.Atoi(s.text)
		if err != nil || strconv.Itoa(i) != s.text || tag != "!!int" && !s.variable {
			d.fail(n, path, "%s is not %s", quote(n.Value), want)
			return
		}
		v.SetInt(int64(i))
	case reflect.Bool:
		if s.text != "true" && s.text != "false" || tag != "!!bool" && !s.variable {
			d.fail(n, path, "%s is not %s", quote(n.Value), want)
			return
		}
		v.SetBool(s.text == "true")
	default:
		panic("config: no way to decode a " + v.Type().String())
	}
}

// scalarText is the text of a scalar with its variables filled in.
func (d *decoder) scalarText(n *yaml.Node, path, want string) (expansion, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fail(n, path, "%s, expected %s", describe(n), want)
	case isNull(n):
		d.fail(n, path, "no value is given, expected %s", want)
	case !plainTag(n):
		d.fail(n, path, "the tag %s has no meaning here, expected %s", quote(n.Tag), want)
	default:
		s, err := expand(n.Value, d.lookup)
		if err != nil {
			d.fail(n, path, "%s", err)
			return s, false
		}
		if s.variable {
			d.written[path] = n.Value
		}
		return s, true
	}
	return expansion{}, false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// plainTag tells whether the scalar is text, a number, a word or a date; other tags (!!binary, !own) ask for a
// conversion that does not happen here.
func plainTag(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge":
		return true
	}
	return false
}

// describe says what a node is, without its content: that could be a secret at a wrong place.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values are given"
	case yaml.SequenceNode:
		return "a list is given"
	}
	if isNull(n) {
		return "no value is given"
	}
	return "a single value is given"
}
