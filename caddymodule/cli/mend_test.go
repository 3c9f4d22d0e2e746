package cli

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"strconv"
	"testing"

	"authsidecar/sessions/bearer"
)

// Every reason that package bearer has for refusing a token has a mend, and nothing
// else has one.
func TestMends_AreComplete(t *testing.T) {
	file, err := goparser.ParseFile(token.NewFileSet(), "../../sessions/bearer/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	reasons := make(map[bearer.Reason]bool)
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Reason" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		reasons[bearer.Reason(text)] = true
		return true
	})
	if len(reasons) < 20 {
		t.Fatalf("only %d reasons were found", len(reasons))
	}
	for reason := range reasons {
		if len(mends[reason]) < 20 {
			t.Errorf("%s has no mend", reason)
		}
	}
	for reason := range mends {
		if !reasons[reason] {
			t.Errorf("%s is no reason", reason)
		}
	}
}
