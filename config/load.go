package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

// Option changes how a configuration is read.
type Option func(*loader)

// WithEnv replaces the process' environment as the source of ${VARIABLE}s.
func WithEnv(lookup func(name string) (value string, set bool)) Option {
	return func(l *loader) { l.lookup = lookup }
}

// WithReadFile replaces the file system as the source of secrets and certificates. The function returns at most
// limit bytes and says whether everybody may read the file.
func WithReadFile(read func(path string, limit int64) (data []byte, public bool, err error)) Option {
	return func(l *loader) { l.readFile = read }
}

// loader is one reading of a configuration.
type loader struct {
	*decoder
	cfg      Config
	base     string // directory that relative file names start from
	readFile func(path string, limit int64) ([]byte, bool, error)
	// patterns are those that were looked at already, and whether they stand for a target.
	patterns map[string]bool
}

// Load reads and checks a configuration file and the files that it names. The error is of type [Errors] and holds
// every mistake that was found; errors.Is finds fs.ErrNotExist in it when there is no such file.
func Load(path string, opts ...Option) (*Config, error) {
	data, _, err := readFile(path, maxSize)
	if err != nil {
		return nil, Errors{{File: path, Msg: reason(err), cause: err}}
	}
	return Parse(path, data, opts...)
}

// Parse checks a configuration that was read from the file name. Relative file names in it start from that file's
// directory. The error is of type [Errors].
func Parse(name string, data []byte, opts ...Option) (*Config, error) {
	root, syntax := parseNode(name, data)
	if syntax != nil {
		return nil, Errors{syntax}
	}
	l := &loader{
		decoder: newDecoder(name, os.LookupEnv), cfg: Defaults(),
		base: filepath.Dir(name), readFile: readFile, patterns: map[string]bool{},
	}
	for _, o := range opts {
		o(l)
	}
	l.cfg.Path = name
	l.cfg.seen = map[string]digest{name: sum(data)}
	l.decode(root, reflect.ValueOf(&l.cfg).Elem(), "")
	if !l.stopped() {
		l.validate()
		l.files()
	}
	if len(l.errs) > 0 {
		return nil, l.errs.sorted()
	}
	l.cfg.written, l.cfg.at = l.written, l.at
	l.cfg.settle()
	return &l.cfg, nil
}

// errTooLarge says that a file has more bytes than anyone would write into it by hand.
var errTooLarge = errors.New("too large")

// readFile reads a regular file of at most limit bytes. It looks before it opens, because opening a named pipe waits
// for a writer.
func readFile(path string, limit int64) (data []byte, public bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() {
		return nil, false, errors.New("not a regular file")
	}
	if info.Size() > limit {
		return nil, false, fmt.Errorf("%w: %d bytes, expected at most %d", errTooLarge, info.Size(), limit)
	}
	data, err = os.ReadFile(path)
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: %d bytes, expected at most %d", errTooLarge, len(data), limit)
	}
	return data, info.Mode().Perm()&0o004 != 0, err
}

func reason(err error) string { return "cannot be read: " + bare(err) }

// bare is the error without operation and path, which the message has already.
func bare(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}
