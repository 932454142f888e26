package store

import (
	"encoding/json"
	"os/exec"
	"testing"
)

// TestLibc: SQLite was translated against one exact version of modernc.org/libc; with another one it may misbehave
// silently (https://pkg.go.dev/modernc.org/sqlite#hdr-Fragile_modernc_org_libc_dependency).
func TestLibc(t *testing.T) {
	ours, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}} {{.Replace}}", "modernc.org/libc").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite").Output()
	if err != nil {
		t.Fatal(err)
	}
	data, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", string(file[:len(file)-1])).Output()
	if err != nil {
		t.Fatal(err)
	}
	var theirs struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(data, &theirs); err != nil {
		t.Fatal(err)
	}
	for _, m := range theirs.Require {
		if m.Path == "modernc.org/libc" {
			if want := m.Version + " <nil>\n"; string(ours) != want {
				t.Errorf("go.mod has libc %s, sqlite wants %s", ours, want)
			}
			return
		}
	}
	t.Error("sqlite requires no libc any more: this test is needless")
}
