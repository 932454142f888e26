package notify

import (
	"context"
	"maps"
	"sync"

	"github.com/whichlayer/whichlayer/alert"
)

// ram is a memory that ends with the process.
type ram struct {
	mu    sync.Mutex
	texts map[string]string
}

var _ alert.Memory = (*ram)(nil)

func newRAM() *ram { return &ram{texts: map[string]string{}} }

func (r *ram) Get(key string) (text string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, ok = r.texts[key]
	return text, ok
}

func (r *ram) All() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.texts)
}

func (r *ram) Set(_ context.Context, key, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts[key] = text
}

func (r *ram) Delete(_ context.Context, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.texts, key)
}
