package expression_test

import (
	"fmt"

	"authsidecar/caddymodule/config/expression"
	"authsidecar/sessions"
)

func ExampleCompile() {
	rule, err := expression.Compile(`caller.dept == "support" && !user_id.startsWith("vip-")`)
	if err != nil {
		fmt.Println(err)
		return
	}
	caller := &sessions.Caller{Claims: sessions.Claims{"dept": "support"}}
	for _, user := range []string{"alice", "vip-bob"} {
		fmt.Println(user, rule.Holds(&sessions.RuleInput{Caller: caller, UserID: user}))
	}
	_, err = expression.Compile(`caller.dept`)
	fmt.Println(err)
	// Output:
	// alice true
	// vip-bob false
	// the expression gives dyn and not bool: compare it with something, as in: caller.dept == "support"
}
