package config

import (
	"net/netip"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// field is a struct's field that a key of the file fills in.
type field struct {
	name  string
	index []int
	// clear tells that a Secret may stand in the file as it is: a URL that holds none.
	clear bool
}

// fieldsOf lists the keys of a struct, those of inlined structs included.
func (d *decoder) fieldsOf(t reflect.Type) []field {
	if known, ok := d.fields[t]; ok {
		return known
	}
	d.fields[t] = keysOf(t)
	return d.fields[t]
}

func keysOf(t reflect.Type) (keys []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		switch {
		case !f.IsExported() || tag == "-":
		case strings.HasSuffix(tag, ",inline"):
			for _, in := range keysOf(f.Type) {
				keys = append(keys, field{in.name, append([]int{i}, in.index...), in.clear})
			}
		default:
			keys = append(keys, field{tag, []int{i}, f.Tag.Get("config") == "clear"})
		}
	}
	return keys
}

func find(keys []field, name string) (field, bool) {
	for _, f := range keys {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func names(keys []field) []string {
	all := make([]string, len(keys))
	for i, f := range keys {
		all[i] = f.name
	}
	return all
}

// pair is a key and its value.
type pair struct{ key, value *yaml.Node }

// pairs lists a mapping's own keys and then those that a merge (<<: *base) adds. A key given twice is a mistake.
func (d *decoder) pairs(n *yaml.Node, path string) []pair {
	var own []pair
	var merged []*yaml.Node
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !d.count() {
			break
		}
		p := pair{n.Content[i], n.Content[i+1]}
		if p.key.Kind != yaml.ScalarNode {
			d.fail(p.key, path, "a key must be a plain word")
			continue
		}
		if before, twice := first[p.key.Value]; twice {
			d.fail(p.key, child(path, p.key.Value), "given twice, first in line %d", before.Line)
			continue
		}
		first[p.key.Value] = p.key
		if p.key.ShortTag() == "!!merge" {
			merged = append(merged, p.value)
			continue
		}
		own = append(own, p)
	}
	for _, m := range merged {
		d.merge(m, path, func(p pair) {
			if first[p.key.Value] == nil {
				first[p.key.Value] = p.key
				own = append(own, p)
			}
		})
	}
	return own
}

// merge walks the keys of what stands behind <<: one mapping or a list of them, usually through aliases.
func (d *decoder) merge(n *yaml.Node, path string, add func(pair)) {
	if !d.count() {
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		d.follow(n, path, func(target *yaml.Node) { d.merge(target, path, add) })
	case yaml.SequenceNode:
		for _, c := range n.Content {
			d.merge(c, path, add)
		}
	case yaml.MappingNode:
		for _, p := range d.pairs(n, path) {
			add(p)
		}
	default:
		d.fail(n, child(path, "<<"), "%s, expected an alias of keys and values", describe(n))
	}
}

// expected says in a few words what a value of the type looks like.
func expectedOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return "a duration such as 500ms, 10s or 2m"
	case reflect.TypeFor[Interval]():
		return "a duration such as 500ms, 10s or 2m, or off"
	case reflect.TypeFor[Address]():
		return "host:port, an IPv6 address in brackets"
	case reflect.TypeFor[URL]():
		return "a URL with the scheme https, http, tls or tcp"
	case reflect.TypeFor[Prefix]():
		return "an IP address or a CIDR range"
	case reflect.TypeFor[netip.Addr]():
		return "an IP address"
	case reflect.TypeFor[Regexp]():
		return "a regular expression"
	case reflect.TypeFor[JSONPath]():
		return "a JSONPath such as $.status"
	case reflect.TypeFor[Zone]():
		return "an IANA time zone such as Europe/Berlin"
	case reflect.TypeFor[Schedule]():
		return "a cron expression or @every DURATION"
	case reflect.TypeFor[OptionalSchedule]():
		return "a cron expression, or off"
	case reflect.TypeFor[Size]():
		return "a size such as 500MiB or 2GiB"
	case reflect.TypeFor[Template]():
		return "a Go text/template"
	case reflect.TypeFor[Secret]():
		return "${VARIABLE}"
	}
	if words := wordsOf(t); len(words) > 0 {
		return "one of " + strings.Join(words, ", ")
	}
	switch t.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	}
	return "text"
}

func expected[T any]() string { return expectedOf(reflect.TypeFor[T]()) }
