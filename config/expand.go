package config

import (
	"fmt"
	"strings"
)

// expansion is a scalar with its variables filled in.
type expansion struct {
	text string
	// variable tells that at least one ${NAME} was filled in.
	variable bool
}

// expand fills ${NAME} from the environment into one scalar's text; $${ stands for a literal ${. It works on the
// parsed scalar and not on the file, so that a value can hold anything, YAML included, and stays one value.
func expand(s string, lookup func(string) (string, bool)) (expansion, error) {
	var b strings.Builder
	var out expansion
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			out.text = b.String()
			return out, nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		name, rest, closed := strings.Cut(s[i+2:], "}")
		if !closed || !variableName(name) {
			return out, fmt.Errorf("%s is not a variable, expected ${NAME}; a literal ${ is written $${", quote(s[i:]))
		}
		value, set := lookup(name)
		if !set {
			return out, fmt.Errorf("the environment variable %s is not set", name)
		}
		b.WriteString(value)
		out.variable = true
		s = rest
	}
}

// escapeVariables writes text so that expand gives it back.
func escapeVariables(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// variableName tells whether s can be the name of an environment variable (POSIX.1-2024, 8.1).
func variableName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
