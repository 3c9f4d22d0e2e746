package expression

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/parser"
)

// partsOfCaller returns the top-level conjuncts of an expression that depend only on the caller, as
// far as they can be compiled on their own.
func partsOfCaller(env *cel.Env, whole *ast.AST) (parts []cel.Program) {
	var visit func(ast.Expr)
	visit = func(e ast.Expr) {
		if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.LogicalAnd {
			for _, arg := range e.AsCall().Args() {
				visit(arg)
			}
			return
		}
		part := ast.NewAST(e, whole.SourceInfo())
		text, err := parser.Unparse(e, whole.SourceInfo())
		if err != nil || readsBeyondCaller(part) {
			return
		}
		if compiled, issues := env.Compile(text); issues.Err() == nil {
			if program, err := env.Program(compiled, cel.CostLimit(celCost)); err == nil {
				parts = append(parts, program)
			}
		}
	}
	visit(whole.Expr())
	return parts
}

// claimsRead returns the claims that an expression names. all means that it also uses the caller in
// another way, and so may read any claim.
func claimsRead(compiled *ast.AST) (names []string, all bool) {
	uses, named := 0, 0
	ast.PreOrderVisit(compiled.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if isCaller(e) {
			uses++
		}
		if name, ok := claimOf(e); ok {
			named++
			names = append(names, name)
		}
	}))
	slices.Sort(names)
	return slices.Compact(names), uses != named
}

// celUncounted are functions whose cost is not counted for claims, whose type is unknown before
// they are evaluated. All of them sort or reverse.
var celUncounted = map[string]string{"sort": "sort", "@sortByAssociatedKeys": "sortBy", "reverse": "reverse"}

// uncounted returns a function in an expression whose cost is not counted, or "".
func uncounted(compiled *ast.AST) (name string) {
	ast.PreOrderVisit(compiled.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && name == "" {
			name = celUncounted[e.AsCall().FunctionName()]
		}
	}))
	return name
}

// readsBeyondCaller reports whether an expression uses values that may differ between sessions of
// the same caller.
func readsBeyondCaller(compiled *ast.AST) (beyond bool) {
	ast.PreOrderVisit(compiled.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind {
			switch strings.TrimPrefix(e.AsIdent(), ".") {
			case celUserID, celReason, celClientID:
				beyond = true
			}
		}
	}))
	return beyond
}

func isCaller(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind && strings.TrimPrefix(e.AsIdent(), ".") == celCaller
}

// claimOf returns the claim that this node reads from the caller: caller.name, has(caller.name),
// caller["name"], and "name" in caller.
func claimOf(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.SelectKind:
		return e.AsSelect().FieldName(), isCaller(e.AsSelect().Operand())
	case ast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Index:
			return claimName(args[0], args[1])
		case operators.In:
			return claimName(args[1], args[0])
		}
	default:
	}
	return "", false
}

func claimName(object, key ast.Expr) (string, bool) {
	if !isCaller(object) || key.Kind() != ast.LiteralKind {
		return "", false
	}
	name, ok := key.AsLiteral().Value().(string)
	return name, ok
}
