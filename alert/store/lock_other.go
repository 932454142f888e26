//go:build !unix

package store

import "os"

// lockDir does nothing where there is no flock(2).
func lockDir(string) (*os.File, error) { return nil, nil }
