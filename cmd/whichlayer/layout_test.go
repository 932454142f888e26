package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/whichlayer/whichlayer"

// layers are the top-level packages; each may import itself and those before it.
var layers = []string{"config", "probe", "alert", "cmd"}

// goPackage is the part of `go list -json` that is used here.
type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// listPackages asks the go command for all packages of this module.
func listPackages(t *testing.T) (all []goPackage) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// layerOf is the index of a package's layer; -1 for a package of somebody else, len(layers) for one that has no place.
func layerOf(path string) int {
	rest, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return -1
	}
	top, _, _ := strings.Cut(rest, "/")
	if i := slices.Index(layers, top); i >= 0 {
		return i
	}
	return len(layers)
}

// TestImportsPointInwards: data flows config -> probe -> alert -> cmd, imports point the other way.
func TestImportsPointInwards(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < len(layers) {
		t.Fatalf("go list knows %d packages, at least %d expected", len(packages), len(layers))
	}
	for _, p := range packages {
		if layerOf(p.ImportPath) == len(layers) {
			t.Errorf("%s stands in no layer of %v", p.ImportPath, layers)
		}
		for _, bad := range outward(p) {
			t.Errorf("%s imports %s, which is further out", p.ImportPath, bad)
		}
	}
}

// outward lists a package's imports of outer layers; tests may reach no further than the code.
func outward(p goPackage) (bad []string) {
	for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
		if layerOf(imported) > layerOf(p.ImportPath) {
			bad = append(bad, imported)
		}
	}
	return bad
}

func TestOutwardFindsWrongImports(t *testing.T) {
	p := goPackage{
		ImportPath: module + "/probe/lab", Imports: []string{"net", module + "/config", module + "/probe"},
		TestImports: []string{module + "/alert/notify"}, XTestImports: []string{module + "/util"},
	}
	if diff := cmp.Diff([]string{module + "/alert/notify", module + "/util"}, outward(p)); diff != "" {
		t.Error(diff)
	}
}

// TestOnlyConfigKnowsYAML keeps the file format in one package; tests may read YAML of other programs.
func TestOnlyConfigKnowsYAML(t *testing.T) {
	const yaml = "gopkg.in/yaml.v3"
	found := false
	for _, p := range listPackages(t) {
		if !slices.Contains(p.Imports, yaml) {
			continue
		}
		if p.ImportPath == module+"/config" {
			found = true
		} else {
			t.Errorf("%s imports %s", p.ImportPath, yaml)
		}
	}
	if !found {
		t.Errorf("config does not import %s", yaml)
	}
}

// TestTopLevel: nothing else may be added beside these.
func TestTopLevel(t *testing.T) {
	cmd := exec.Command("git", "ls-files")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("not a git checkout: %v", err)
		}
		t.Skipf("SKIPPED: not a git checkout: %v", err)
	}
	var got []string
	for _, file := range strings.Fields(string(out)) {
		if top, _, _ := strings.Cut(file, "/"); !strings.HasPrefix(top, ".") && !slices.Contains(got, top) {
			got = append(got, top)
		}
	}
	want := []string{"Makefile", "README.md", "alert", "cmd", "config", "examples", "go.mod", "go.sum", "probe"}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("top level (-want +got):\n%s", diff)
	}
}
