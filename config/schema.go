package config

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of a configuration file, for editors. It is generated from the types of
// this package and says what a file looks like; what its values mean together, only Load can check.
func Schema() []byte { return slices.Clone(schema) }
