package alert

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/whichlayer/whichlayer/probe"
)

// TestEveryCauseHasWords: each cause stands in the table at least once.
func TestEveryCauseHasWords(t *testing.T) {
	t.Parallel()
	for _, c := range probe.Causes {
		if !slices.ContainsFunc(Explained(), func(s probe.Suspect) bool { return s.Cause == c }) {
			t.Errorf("no layer has words for %s", c)
		}
	}
	n := 0
	for _, causes := range table {
		n += len(causes)
	}
	if got := len(Explained()); got != n {
		t.Errorf("%d of %d words are listed: a layer or a cause is missing in probe's lists", got, n)
	}
}

// TestGoldenVerdictsHaveWords: what the rules said of real faults.
func TestGoldenVerdictsHaveWords(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../probe/testdata/cases/*.txtar")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "verdict.json" })
		if i < 0 {
			t.Fatalf("%s has no verdict.json", file)
		}
		var v probe.Verdict
		if err := json.Unmarshal(a.Files[i].Data, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, s := range append(v.Suspects, probe.Suspect{Layer: v.Layer, Cause: v.Cause}) {
			if !has(s) {
				t.Errorf("%s: no words for %s/%s", filepath.Base(file), s.Layer, s.Cause)
			}
		}
	}
}

// TestEverySuspectOfTheRulesHasWords reads the rules' source: wherever a suspect is made of a cause that stands there by
// name, the layer beside it, or else both that the front's box can be, must have words for it.
func TestEverySuspectOfTheRulesHasWords(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../probe/*.go")
	if err != nil {
		t.Fatal(err)
	}
	values, found := constants(t, files), 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		ast.Inspect(parse(t, file), func(n ast.Node) bool {
			pair := suspectExprs(n)
			if pair == nil {
				return true
			}
			cause, ok := values[name(pair[1])]
			if !ok {
				return true
			}
			layers := []probe.Layer{probe.LayerBalancer, probe.LayerProxy}
			if l, ok := values[name(pair[0])]; ok {
				layers = []probe.Layer{probe.Layer(l)}
			}
			for _, l := range layers {
				if found++; !has(probe.Suspect{Layer: l, Cause: probe.Cause(cause)}) {
					t.Errorf("%s: no words for %s/%s", filepath.Base(file), l, cause)
				}
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("only %d suspects were found in the source", found)
	}
}

// suspectExprs are the layer and the cause of suspect(layer, cause) or {layer, cause}; nil for other nodes.
func suspectExprs(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.CallExpr:
		if name(n.Fun) == "suspect" && len(n.Args) == 2 {
			return n.Args
		}
	case *ast.CompositeLit:
		if len(n.Elts) == 2 && strings.HasPrefix(name(n.Elts[0]), "Layer") && strings.HasPrefix(name(n.Elts[1]), "Cause") {
			return n.Elts
		}
	}
	return nil
}

// causeTables are the rules' own maps of types to causes, and the layers that they are used for.
var causeTables = map[string][]probe.Layer{
	"selfCauses":    {probe.LayerProber},
	"dnsCauses":     {probe.LayerDNS},
	"certCauses":    {probe.LayerBalancer, probe.LayerProxy},
	"backendCauses": {probe.LayerBalancer, probe.LayerProxy, probe.LayerBackend},
}

func TestCausesOfTypesHaveWords(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../probe/*.go")
	if err != nil {
		t.Fatal(err)
	}
	values, seen := constants(t, files), map[string]bool{}
	for _, file := range files {
		ast.Inspect(parse(t, file), func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || causeTables[spec.Names[0].Name] == nil {
				return true
			}
			seen[spec.Names[0].Name] = true
			for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
				for _, l := range causeTables[spec.Names[0].Name] {
					if c := values[name(e.(*ast.KeyValueExpr).Value)]; !has(probe.Suspect{Layer: l, Cause: probe.Cause(c)}) {
						t.Errorf("%s: no words for %s/%s", spec.Names[0].Name, l, c)
					}
				}
			}
			return true
		})
	}
	if len(seen) != len(causeTables) {
		t.Errorf("found only %v of %v", seen, causeTables)
	}
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// constants are the string constants of the files, by name.
func constants(t *testing.T, files []string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, file := range files {
		for _, d := range parse(t, file).Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				if len(v.Values) != 1 {
					continue
				}
				if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					out[v.Names[0].Name], _ = strconv.Unquote(lit.Value)
				}
			}
		}
	}
	return out
}

func name(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// TestWordsReadWell: what a person can check with the eye, for all of them.
func TestWordsReadWell(t *testing.T) {
	t.Parallel()
	for _, s := range Explained() {
		w := Explain(s)
		if h := w.Happened; h == "" || strings.HasSuffix(h, ".") || strings.Contains(h, "_") || unicode.IsUpper(rune(h[0])) {
			t.Errorf("%v: happened: %q", s, h)
		}
		for _, text := range []string{w.Means, w.Next, w.Ask} {
			readsWell(t, s, text)
		}
		if n := utf8.RuneCountInString(w.Means + w.Next + w.Ask); n > 650 {
			t.Errorf("%v: %d characters are too many for a message", s, n)
		}
	}
	for _, u := range []probe.Type{"", "tcp.eaten"} {
		if TypeMeans(u) != "" {
			t.Errorf("%q has a meaning", u)
		}
	}
	for _, u := range probe.Types() {
		readsWell(t, u, TypeMeans(u))
		if c := u.Code(); c != "" {
			readsWell(t, c, CodeMeans(c))
		}
	}
	for _, l := range probe.Layers {
		if LayerIs(l) == "" {
			t.Errorf("nothing says what %s is", l)
		}
	}
}

// readsWell wants one sentence, without slips, that fits two or three lines.
func readsWell(t *testing.T, of any, text string) {
	t.Helper()
	switch {
	case text == "" || !unicode.IsUpper(rune(text[0])) || !strings.HasSuffix(text, "."):
		t.Errorf("%v: no sentence: %q", of, text)
	case strings.Contains(text, "  ") || strings.Contains(text, " ,") || strings.Contains(text, " ."):
		t.Errorf("%v: spaces: %q", of, text)
	case strings.Contains(text, "BOX"):
		t.Errorf("%v: a box has no name: %q", of, text)
	case strings.Count(text, "`")%2 != 0:
		t.Errorf("%v: a command does not end: %q", of, text)
	case utf8.RuneCountInString(text) > 250:
		t.Errorf("%v: %d characters: %q", of, utf8.RuneCountInString(text), text)
	}
	prose := ""
	for i, part := range strings.Split(text, "`") {
		if i%2 == 0 {
			prose += part
		}
	}
	if strings.Contains(prose, "_") || strings.Contains(prose, ". ") {
		t.Errorf("%v: more than one sentence, or an identifier: %q", of, text)
	}
}

func TestUnforeseenSuspectsHaveWords(t *testing.T) {
	t.Parallel()
	for _, s := range []probe.Suspect{{}, {Layer: probe.LayerLink, Cause: probe.CausePMTU}, {Layer: "moon", Cause: "too_far"}} {
		w := Explain(s)
		for _, text := range []string{w.Means, w.Next, w.Ask} {
			readsWell(t, s, text)
		}
		if has(s) || strings.Contains(w.Happened, "_") {
			t.Errorf("%v: %+v", s, w)
		}
	}
}
