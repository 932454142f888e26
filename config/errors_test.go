package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestErrors holds the exact words for every kind of mistake. Each archive has inputs NAME.yaml, files that they name,
// and for each input NAME.want with all lines that must be said about it; go test ./config -update writes these.
func TestErrors(t *testing.T) {
	archives, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { checkArchive(t, path) })
	}
}

func checkArchive(t *testing.T, path string) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := playground(t)
	otherCert, _ := selfSigned(t)
	write(t, filepath.Join(dir, "other.pem"), otherCert, 0o600)
	write(t, filepath.Join(dir, "big.token"), strings.Repeat("x", maxSecret+1), 0o600)
	want := map[string]string{}
	for _, f := range a.Files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f.Name)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, f.Name), string(f.Data), 0o600)
		want[f.Name] = string(f.Data)
	}
	out := &txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		if strings.HasSuffix(f.Name, ".want") {
			continue
		}
		out.Files = append(out.Files, f)
		name, isInput := strings.CutSuffix(f.Name, ".yaml")
		if !isInput {
			continue
		}
		got := said(t, dir, f.Name)
		out.Files = append(out.Files, txtar.File{Name: name + ".want", Data: []byte(got)})
		if diff := cmp.Diff(want[name+".want"], got); diff != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", f.Name, diff)
		}
	}
	if *update {
		write(t, path, string(txtar.Format(out)), 0o644)
	}
}

// said is what Load says about a file, without the directory that it stands in.
func said(t *testing.T, dir, name string) string {
	t.Helper()
	_, err := Load(filepath.Join(dir, name), WithEnv(variables(dir)))
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("%s: error is %T %v, expected Errors", name, err, err)
	}
	text := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	for _, secret := range []string{"clear-secret", "c2VjcmV0", "from-variable", "from-file"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s: the message shows a secret:\n%s", name, text)
		}
	}
	return text + "\n"
}

func TestNoSuchFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, expected fs.ErrNotExist", err)
	}
	if want := "none.yaml: cannot be read: no such file or directory"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %q, expected ... %q", err, want)
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	for name, make := range map[string]func(path string){
		"folder": func(p string) { _ = os.Mkdir(p, 0o700) },
		"large":  func(p string) { write(t, p, strings.Repeat("# much\n", 10<<20/7), 0o600) },
		"binary": func(p string) { write(t, p, "\x7fELF\x02\x01\x01\x00\x00", 0o600) },
		"utf16":  func(p string) { write(t, p, "\xff\xfet\x00a\x00", 0o600) },
		"nul":    func(p string) { write(t, p, "targets: \x00", 0o600) },
	} {
		path := filepath.Join(dir, name)
		make(path)
		start := time.Now()
		_, err := Load(path)
		want := map[string]string{
			"folder": ": cannot be read: not a regular file",
			"large":  fmt.Sprintf(": cannot be read: too large: %d bytes, expected at most %d", 10<<20/7*7, maxSize),
			"binary": ":1:1: control character 0x7f, expected a YAML text file",
			"utf16":  ":1:1: byte 0xff is not UTF-8, expected a YAML text file",
			"nul":    ":1:10: control character 0x00, expected a YAML text file",
		}[name]
		if err == nil || err.Error() != path+want {
			t.Errorf("%s: got %v, expected %s%s", name, err, path, want)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// TestBombs gives small files that stand for large ones. Each must be refused, or read, at once.
func TestBombs(t *testing.T) {
	var lists, merges, maps strings.Builder
	lists.WriteString("x-0: &a0 {method: GET}\n")
	merges.WriteString("x-0: &a0 {a: 1}\n")
	maps.WriteString("x-0: &a0 {a: b}\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&lists, "x-%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
		fmt.Fprintf(&merges, "x-%d: &a%d {<<: [*a%d, *a%d]}\n", i, i, i-1, i-1)
		fmt.Fprintf(&maps, "x-%d: &a%d {a: *a%d, b: *a%d}\n", i, i, i-1, i-1)
	}
	many := strings.Repeat("[200],", 1<<17)
	wide := "x-a: &a {" + keys(20_000) + "}\ntargets: [" + strings.Repeat("{<<: *a},", 20_000) + "]"
	statuses := "x-a: &a [" + strings.Repeat("200,", 19_000) + "]\ntargets: [" + strings.Repeat("{expect: {status: *a}},", 10_000) + "]"
	bounded := map[string]bool{"merges": true, "statuses": true}
	for name, text := range map[string]string{
		"lists":    lists.String() + "targets: *a29",
		"merges":   merges.String() + "targets: [{<<: *a29}]",
		"maps":     maps.String() + "targets: [{expect: {headers: *a29}}]",
		"deep":     "targets: " + strings.Repeat("[", 1<<19),
		"many":     "targets: [" + many + "]",
		"targets":  "targets: [" + strings.Repeat("{},", 1<<18) + "]",
		"unknown":  keys(60_000),
		"wide":     wide,
		"statuses": statuses,
		"long key": strings.Repeat("k", maxSize-10) + ": 1",
		"quotes":   "targets: " + strings.Repeat("\"", maxSize-10),
		"comments": strings.Repeat("a: #\n", maxSize/5),
		"errors":   "targets: [" + strings.Repeat("x,", 1<<13) + "]",
	} {
		start := time.Now()
		_, err := Parse("bomb.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
		if limit := "aliases stand for more than 100000 values"; bounded[name] != strings.Contains(err.Error(), limit) {
			t.Errorf("%s: the bound on aliases was met: %t, expected %t", name, !bounded[name], bounded[name])
		}
		var all Errors
		if errors.As(err, &all); len(all) > mostErrors+1 || len(err.Error()) > mostErrors*3000 {
			t.Errorf("%s: %d mistakes in %d bytes", name, len(all), len(err.Error()))
		}
	}
}

func keys(n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1,", i)
	}
	return b.String()
}
