package expression

import (
	"fmt"
	"slices"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

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
		return nil, fmt.Errorf("%s has a cost that cannot be limited for claims: rules do not depend on order, leave it out", name)
	}
	if kind := compiled.OutputType(); kind != cel.BoolType {
		return nil, fmt.Errorf("the expression gives %s and not bool: compare it with something, as in: caller.dept == \"support\"", kind)
	}
	program, err := env.Program(compiled, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(celCost))
	if err != nil {
		return nil, fmt.Errorf("preparing the expression: %w", err)
	}
	e := &Compiled{program: program, ofCaller: partsOfCaller(env, compiled.NativeRep())}
	e.claims, e.all = claimsRead(compiled.NativeRep())
	e.perSession = readsBeyondCaller(compiled.NativeRep())
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
