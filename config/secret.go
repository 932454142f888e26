package config

import "log/slog"

// Secret is a value that never prints. The text is kept behind a pointer, because package fmt cannot always ask a
// value how it wants to be shown: of unexported fields, and for a verb that does not fit, it prints what is there.
type Secret struct{ text *string }

// NewSecret hides a text; an empty one is no secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

const redacted = "<redacted>"

// IsZero tells that there is no secret.
func (s Secret) IsZero() bool { return s.text == nil }

// Reveal is the secret itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Equal compares the secrets themselves.
func (s Secret) Equal(o Secret) bool { return s.Reveal() == o.Reveal() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}

// String is <redacted>, or empty when there is no secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString keeps %#v from printing the pointer.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps every encoder from printing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
