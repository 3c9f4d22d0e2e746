package explain

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"strconv"
	"testing"

	"authsidecar/sessions/bearer"
)

// reasons are all that package bearer has for refusing a token.
func reasons(t *testing.T) map[bearer.Reason]bool {
	t.Helper()
	file, err := goparser.ParseFile(token.NewFileSet(), "../../../sessions/bearer/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[bearer.Reason]bool)
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
		found[bearer.Reason(text)] = true
		return true
	})
	if len(found) < 20 {
		t.Fatalf("only %d reasons were found", len(found))
	}
	return found
}

// Every reason that package bearer has for refusing a token has a mend, and nothing
// else has one.
func TestMends_AreComplete(t *testing.T) {
	all := reasons(t)
	for reason := range all {
		if len(Mends[reason]) < 20 {
			t.Errorf("%s has no mend", reason)
		}
	}
	for reason := range Mends {
		if !all[reason] {
			t.Errorf("%s is no reason", reason)
		}
	}
}
