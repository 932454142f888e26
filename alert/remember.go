package alert

import (
	"context"
	"maps"
	"strings"
)

// keyMemory and a receiver's name, a slash and a key hold what its notifier remembers.
const keyMemory = "memory/"

// memory implements [Memory] for one receiver.
type memory struct {
	d        *Dispatcher
	receiver string
}

var _ Memory = (*memory)(nil)

// Get implements Memory.
func (m *memory) Get(key string) (string, bool) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	text, ok := m.d.memories[m.receiver][key]
	return text, ok
}

// All implements Memory.
func (m *memory) All() map[string]string {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	return maps.Clone(m.d.memories[m.receiver])
}

// Set implements Memory.
func (m *memory) Set(ctx context.Context, key, text string) {
	m.d.mu.Lock()
	if m.d.memories[m.receiver] == nil {
		m.d.memories[m.receiver] = map[string]string{}
	}
	m.d.memories[m.receiver][key] = text
	m.d.keeper.Put(Batch{State: map[string][]byte{m.name(key): []byte(text)}}, true)
	m.d.mu.Unlock()
	m.d.keeper.Sync(ctx)
}

// Delete implements Memory.
func (m *memory) Delete(_ context.Context, key string) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	delete(m.d.memories[m.receiver], key)
	m.d.keeper.Put(Batch{State: map[string][]byte{m.name(key): nil}}, false)
}

// name is the key in the store. A receiver's name may hold a slash.
func (m *memory) name(key string) string { return keyMemory + escapeName(m.receiver) + "/" + key }

var nameEscaper = strings.NewReplacer("%", "%25", "/", "%2F")

func escapeName(s string) string { return nameEscaper.Replace(s) }

// remember takes what the notifiers and drills of an earlier process left.
func (d *Dispatcher) remember(s *Saved) {
	unescape := strings.NewReplacer("%2F", "/", "%25", "%")
	for key, v := range s.State {
		if rest, ok := strings.CutPrefix(key, keyMemory); ok {
			name, rest, _ := strings.Cut(rest, "/")
			name = unescape.Replace(name)
			if d.memories[name] == nil {
				d.memories[name] = map[string]string{}
			}
			d.memories[name][rest] = string(v)
		}
		if name, ok := strings.CutPrefix(key, keyDrill); ok {
			d.recallDrill(name, v)
		}
	}
}
