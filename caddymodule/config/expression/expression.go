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

// What an expression sees.
const (
	celCaller   = "caller"
	celUserID   = "user_id"
	celReason   = "reason"
	celClientID = "client_id"
)

// An expression may not be longer than celSize characters, nest deeper than
// celDepth, and cost more than celCost when it is evaluated: some milliseconds, and that of
// one call more, of which the cost is known afterwards.
const (
	celSize  = 4096
	celDepth = 50
	celCost  = 20_000
)

// The versions of the functions, and how many numbers lists.range makes at the most.
const (
	celStrings = 5
	celLists   = 4
	celRange   = 1000
)

// celEnv declares what expressions see. Of functions there are the standard ones and
// those of strings, lists and sets, in versions whose cost is known: none reads a clock, a
// file or the network, and none makes much of little.
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

// A Compiled expression is a condition in CEL. It is safe for
// concurrent use.
type Compiled struct {
	program cel.Program
	claims  []string
	all     bool
	// perSession tells that it uses another variable than caller.
	perSession bool
	// ofCaller are those of its parts, all of which have to hold, that look at the caller alone.
	ofCaller []cel.Program
}

// Compile compiles a CEL expression, which must give a bool. The error
// says what is wrong with it and where in it.
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

// Holds evaluates the expression. An error in it is a no: a claim that is absent or
// of another type, and too much work.
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

// Claims names the top-level claims of the caller that the expression looks at.
func (e *Compiled) Claims() (names []string, all bool) { return e.claims, e.all }

// PerSession reports whether the expression looks at more than the caller.
func (e *Compiled) PerSession() bool { return e.perSession }

// MayHold reports whether the expression may hold for some sessions of a caller: it does for none where
// a part of it that looks at the caller alone does not.
func (e *Compiled) MayHold(c *sessions.Caller) bool {
	return !slices.ContainsFunc(e.ofCaller, func(part cel.Program) bool {
		result, _, err := part.Eval(map[string]any{celCaller: map[string]any(c.Claims)})
		return err != nil || result != types.True
	})
}

// partsOfCaller returns the parts of an expression, joined by && at its top, that look at the caller
// alone, as far as they can be written on their own.
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

// lookedAt finds the claims that an expression names. all tells that it also
// uses the caller in another way than by the name of a claim, and so may look at
// any.
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

// celUncounted are functions whose cost is not counted for claims, of which it is not
// known what they are until they are there. All of them are about order.
var celUncounted = map[string]string{"sort": "sort", "@sortByAssociatedKeys": "sortBy", "reverse": "reverse"}

// uncounted returns a function in an expression whose cost is not counted; "" where there
// is none.
func uncounted(compiled *ast.AST) (name string) {
	ast.PreOrderVisit(compiled.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && name == "" {
			name = celUncounted[e.AsCall().FunctionName()]
		}
	}))
	return name
}

// looksBeyondCaller reports whether an expression uses what differs between the
// sessions of one caller.
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

// claimOf returns the claim that this very node takes out of the caller:
// caller.name, has(caller.name), caller["name"], and "name" in caller.
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

// Constant reports whether a CEL expression is the same whoever calls, and what.
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
	known, ok := result.(types.Bool) // else it depends on what is not known here
	return bool(known), ok && err == nil
}

// Interface guard
var _ sessions.Condition = (*Compiled)(nil)
