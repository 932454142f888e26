//go:build !unix

package notify

import "os/exec"

// ownGroup does nothing: there are no process groups, and only the program itself is killed.
func ownGroup(*exec.Cmd) {}
