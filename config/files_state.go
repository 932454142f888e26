package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// state wants a directory, or a place where one can be made. Whether it can be written to is for the one to find out who
// does: it may well be another user than the one who checks the file.
func (l *loader) state(dir *string) {
	if !l.given("state") || l.failed("state") {
		return
	}
	if *dir == "" {
		l.failAt("state", "is empty, expected a directory such as /var/lib/whichlayer")
		return
	}
	if !filepath.IsAbs(*dir) {
		*dir = filepath.Join(l.base, *dir)
	}
	l.canBeFolder("state", *dir)
}

// canBeFolder walks up to the first that is there.
func (l *loader) canBeFolder(path, dir string) {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at):
			continue
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		case err != nil:
			l.failAt(path, "%s cannot be a directory: %s", quote(dir), bare(err))
		case !info.IsDir():
			l.failAt(path, "%s is not a directory", quote(at))
		}
		return
	}
}
