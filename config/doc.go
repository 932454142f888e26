// Package config is what whichlayer was told: the YAML file as plain data, checked completely before anything runs.
//
// Load reads a file, reports every mistake at once with file, line, column and key, fills in the defaults of
// [Defaults] and returns a [Config] whose values are parsed by construction: a [URL] is a URL, a [Schedule] fires
// some day, a [Secret] has been read and never prints. Nothing here opens a socket or starts a goroutine; the one
// exception, [Watcher], only looks at the file that it was given.
//
// This is the only package that knows YAML.
package config
