package expression

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/parser"

	"authsidecar/sessions"
)

// Variables of an expression.
const (
	celCaller   = "caller"
	celUserID   = "user_id"
	celReason   = "reason"
	celClientID = "client_id"
)

// An expression may not be longer than celSize characters, nest deeper than celDepth, or cost more
// than celCost when it is evaluated: some milliseconds, plus one function call, whose cost is known
// only afterwards.
const (
	celSize  = 4096
	celDepth = 50
	celCost  = 20_000
)

// Versions of the function libraries, and the maximum length of lists.range.
const (
	celStrings = 5
	celLists   = 4
	celRange   = 1000
)

// celEnv declares what expressions can use: the standard functions and those for strings, lists and
// sets, in versions whose cost is known. None reads a clock, a file or the network, and none
// produces a large value from a small one.
var celEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable(celCaller, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(celUserID, cel.StringType),
		cel.Variable(celReason, cel.StringType),
		cel.Variable(celClientID, cel.StringType),
		ext.Strings(ext.StringsVersion(celStrings)),
		ext.Lists(ext.ListsVersion(celLists), ext.ListsMaxRangeSize(celRange)),
		ext.Sets(),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(celSize),
		cel.ParserRecursionLimit(celDepth),
	)
})

// A Compiled is a compiled expression, and a condition. It is safe for concurrent use.
type Compiled struct {
	program cel.Program
	claims  []string
	all     bool
	// perSession means that it uses variables other than caller.
	perSession bool
	// ofCaller are those of its conjuncts that depend only on the caller.
	ofCaller []cel.Program
}

// Compile compiles a CEL expression, which must return a bool. The error says what is wrong and
// where.
func Compile(src string) (*Compiled, error) {
	env, err := celEnv()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	compiled, issues := env.Compile(src)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("this is not a CEL expression over caller, user_id, reason and client_id: %w", err)
	}
	if name := uncounted(compiled.NativeRep()); name != "" {
		return nil, fmt.Errorf("%s has a cost that nobody counts where it is not known of what it is: a rule needs no order, leave it out", name)
	}
	if kind := compiled.OutputType(); kind != cel.BoolType {
		return nil, fmt.Errorf("the expression gives %s and not bool: compare it with something, as in: caller.dept == \"support\"", kind)
	}
	program, err := env.Program(compiled, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(celCost))
	if err != nil {
		return nil, fmt.Errorf("preparing the expression: %w", err)
	}
	e := &Compiled{program: program, ofCaller: partsOfCaller(env, compiled.NativeRep())}
	e.claims, e.all = lookedAt(compiled.NativeRep())
	e.perSession = looksBeyondCaller(compiled.NativeRep())
	return e, nil
}

// Holds evaluates the expression. An error counts as false: an absent claim, one of another type,
// or too high a cost.
func (e *Compiled) Holds(in *sessions.RuleInput) bool {
	result, _, err := e.program.Eval(map[string]any{
		celCaller:   map[string]any(in.Caller.Claims),
		celUserID:   in.UserID,
		celReason:   in.Reason,
		celClientID: in.ClientID,
	})
	if err != nil {
		return in.ErrorHolds
	}
	return result == types.True
}

// Claims returns the top-level claims of the caller that the expression reads.
func (e *Compiled) Claims() (names []string, all bool) { return e.claims, e.all }

// PerSession reports whether the expression depends on more than the caller.
func (e *Compiled) PerSession() bool { return e.perSession }

// MayHold reports whether the expression may hold for some sessions of a caller: it cannot if one
// of its conjuncts depends only on the caller and does not hold.
func (e *Compiled) MayHold(c *sessions.Caller) bool {
	return !slices.ContainsFunc(e.ofCaller, func(part cel.Program) bool {
		result, _, err := part.Eval(map[string]any{celCaller: map[string]any(c.Claims)})
		return err != nil || result != types.True
	})
}

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
		if err != nil || looksBeyondCaller(part) {
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

// lookedAt returns the claims that an expression names. all means that it also uses the caller in
// another way, and so may read any claim.
func lookedAt(compiled *ast.AST) (names []string, all bool) {
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

// looksBeyondCaller reports whether an expression uses values that may differ between sessions of
// the same caller.
func looksBeyondCaller(compiled *ast.AST) (beyond bool) {
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

// Constant reports whether a CEL expression has the same value for all callers, and which.
func Constant(src string) (value, constant bool) {
	env, err := celEnv()
	if src == "" || err != nil {
		return false, false
	}
	compiled, issues := env.Compile(src)
	if issues.Err() != nil {
		return false, false
	}
	program, err := env.Program(compiled, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(celCost))
	if err != nil {
		return false, false
	}
	nothing, err := env.PartialVars(map[string]any{})
	if err != nil {
		return false, false
	}
	result, _, err := program.Eval(nothing)
	known, ok := result.(types.Bool) // otherwise it depends on what is unknown here
	return bool(known), ok && err == nil
}

// Interface guard
var _ sessions.Condition = (*Compiled)(nil)
