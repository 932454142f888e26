package probe

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// TestCausesComplete reads the constants from the source: a cause that is not in the list has no words anywhere.
func TestCausesComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "cause.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []Cause
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := s.Type.(*ast.Ident); ok && id.Name == "Cause" {
			text, err := strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			want = append(want, Cause(text))
		}
		return true
	})
	if len(want) < 50 || !slices.Equal(want, Causes) {
		t.Errorf("the constants and Causes differ:\n%q\n%q", want, Causes)
	}
	if sorted := slices.Sorted(slices.Values(want)); len(slices.Compact(sorted)) != len(want) {
		t.Error("a cause is named twice")
	}
}
