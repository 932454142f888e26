package probe

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Limits of a recorded line. They are far above what rounds are, and low enough that a hostile file costs little.
const (
	maxRecordingLine  = 1 << 20 // bytes, of a compressed file those of the expanded line
	maxRecordingDepth = 16
	maxRecordingList  = 4096 // entries of a list, keys of an object
	maxRecordingText  = 64 << 10
	maxFieldNotes     = 32
)

// keyNode is what a JSON value may hold, as far as our types know: the keys of an object or, in elem, the entries of a
// list. A nil node is a value that is not looked into.
type keyNode struct {
	names    []string
	index    map[string]int
	fields   []*keyNode
	required uint64 // bit i: names[i] is always written
	elem     *keyNode
}

// keysOf derives the keys of a type from its json tags. No type of ours has more than 64 fields or holds itself.
func keysOf(t reflect.Type) *keyNode {
	switch {
	case t.Kind() == reflect.Pointer:
		return keysOf(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		return &keyNode{elem: keysOf(t.Elem())}
	case t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return nil
	}
	n := &keyNode{index: map[string]int{}}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		n.add(name, keysOf(f.Type), !strings.HasPrefix(options, "omit"))
	}
	return n
}

func (n *keyNode) add(name string, value *keyNode, required bool) {
	if _, known := n.index[name]; known || len(n.names) == 64 {
		return
	}
	if required {
		n.required |= 1 << len(n.names)
	}
	n.index[name] = len(n.names)
	n.names = append(n.names, name)
	n.fields = append(n.fields, value)
}

// lineKeys are the keys of every kind of line: of a header, of a recorded round, and of an event. Like those of a result
// they follow from the types alone and are never changed; to derive them takes longer than to read a round.
var lineKeys = sync.OnceValue(func() *keyNode {
	n := &keyNode{index: map[string]int{}}
	for _, t := range []reflect.Type{
		reflect.TypeFor[RecordedRound](), reflect.TypeFor[eventRound](), reflect.TypeFor[RecordingHeader](),
	} {
		kind := keysOf(t)
		for i, name := range kind.names {
			n.add(name, kind.fields[i], false)
		}
	}
	return n
})

// resultKeys are those of a result alone.
var resultKeys = sync.OnceValue(func() *keyNode { return keysOf(reflect.TypeFor[Result]()) })

// fieldNotes collects, each once, the fields that a file lacks and those that this version does not know.
type fieldNotes struct {
	missing, unknown []string
	lacked           map[*keyNode]uint64
}

func newFieldNotes() *fieldNotes { return &fieldNotes{lacked: map[*keyNode]uint64{}} }

func note(list []string, name string) []string {
	if len(list) < maxFieldNotes && !slices.Contains(list, name) {
		list = append(list, name)
	}
	return list
}

// scanFault is where a line breaks a limit: a position in the line and the limit.
type scanFault struct {
	at   int
	text string
}

// lineScan walks through a line before it is decoded: it bounds its depth, its lists and its texts, and names fields that
// are missing or unknown. Whether the line is JSON at all is for the decoder to say.
type lineScan struct {
	root   *keyNode
	notes  *fieldNotes
	frames []scanFrame
	top    map[string]bool
}

// scanFrame is an object or a list that has begun and not ended.
type scanFrame struct {
	node    *keyNode
	object  bool
	wantKey bool
	key     string   // the last key
	child   *keyNode // what belongs to it
	seen    uint64
	count   int
}

func newLineScan(root *keyNode, notes *fieldNotes) *lineScan {
	return &lineScan{root: root, notes: notes, top: map[string]bool{}}
}

// run returns the keys of the line's object.
func (s *lineScan) run(line []byte) (top map[string]bool, fault *scanFault) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '"':
			end := textEnd(line, i)
			if end-i > maxRecordingText {
				return nil, &scanFault{i, fmt.Sprintf("a text of more than %d bytes", maxRecordingText)}
			}
			s.text(line[i+1 : end])
			i = end
		case '{', '[':
			if len(s.frames) == maxRecordingDepth {
				return nil, &scanFault{i, fmt.Sprintf("nested deeper than %d", maxRecordingDepth)}
			}
			s.push(c == '{')
		case '}', ']':
			s.pop()
		case ',':
			if !s.next() {
				return nil, &scanFault{i, fmt.Sprintf("more than %d entries in one list", maxRecordingList)}
			}
		}
	}
	return s.top, nil
}

// textEnd is where the text that begins at i has its closing quote, or the end of the line.
func textEnd(line []byte, i int) int {
	for i++; i < len(line) && line[i] != '"'; i++ {
		if line[i] == '\\' {
			i++
		}
	}
	return min(i, len(line))
}

// text takes a text: a key where one is due.
func (s *lineScan) text(text []byte) {
	if len(s.frames) == 0 {
		return
	}
	f := &s.frames[len(s.frames)-1]
	if !f.wantKey {
		return
	}
	f.wantKey, f.key, f.child = false, string(text), nil
	if len(s.frames) == 1 {
		s.top[f.key] = true
	}
	if f.node == nil {
		return
	}
	i, known := f.node.index[f.key]
	if !known {
		s.notes.unknown = note(s.notes.unknown, s.path(len(s.frames)-1, f.key))
		return
	}
	f.child, f.seen = f.node.fields[i], f.seen|1<<i
}

func (s *lineScan) push(object bool) {
	node := s.root
	if n := len(s.frames); n > 0 {
		f := &s.frames[n-1]
		node = f.child
		if !f.object && f.node != nil {
			node = f.node.elem
		}
	}
	if node != nil && object != (node.elem == nil) {
		node = nil // of a wrong type: the decoder will say so
	}
	s.frames = append(s.frames, scanFrame{node: node, object: object, wantKey: object})
}

func (s *lineScan) pop() {
	if len(s.frames) == 0 {
		return
	}
	f := s.frames[len(s.frames)-1]
	s.frames = s.frames[:len(s.frames)-1]
	if f.node == nil || !f.object {
		return
	}
	fresh := f.node.required &^ f.seen &^ s.notes.lacked[f.node]
	s.notes.lacked[f.node] |= fresh
	for ; fresh != 0; fresh &= fresh - 1 {
		s.notes.missing = note(s.notes.missing, s.path(len(s.frames), f.node.names[bits.TrailingZeros64(fresh)]))
	}
}

// next tells that the list that is open may have another entry.
func (s *lineScan) next() bool {
	if len(s.frames) == 0 {
		return true
	}
	f := &s.frames[len(s.frames)-1]
	f.count++
	f.wantKey, f.child = f.object, nil
	return f.count < maxRecordingList
}

// path names a field of the object within the first n that are open, such as result.lanes.stages.tcp_info.rtt_us.
func (s *lineScan) path(n int, last string) string {
	var parts []string
	for _, f := range s.frames[:n] {
		if f.object {
			parts = append(parts, f.key)
		}
	}
	return clip(strings.Join(append(parts, last), "."), 120)
}
