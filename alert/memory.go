package alert

import "context"

// Memory is what a notifier remembers across restarts, such as where an incident's message stands: small texts by key. It
// belongs to one receiver.
type Memory interface {
	// Get is the text of a key.
	Get(key string) (text string, ok bool)
	// All are all keys with their texts.
	All() map[string]string
	// Set returns when the text would survive a crash, or cannot be made to.
	Set(ctx context.Context, key, text string)
	// Delete forgets a key.
	Delete(ctx context.Context, key string)
}

// Checker is a notifier that can tell by a cheap call whether its destination knows it, such as a token's validity.
type Checker interface {
	// Check returns a [PermanentError] when the configuration is wrong.
	Check(ctx context.Context) error
}

// Runner is a notifier with a life of its own between messages.
type Runner interface {
	// Run ends with ctx, when all of its goroutines have.
	Run(ctx context.Context) error
}
