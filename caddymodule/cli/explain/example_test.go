package explain_test

import (
	"fmt"

	"authsidecar/caddymodule/cli/explain"
	"authsidecar/sessions/bearer"
)

func ExampleMends() {
	fmt.Println(explain.Mends[bearer.ReasonNoExpiry])
	// Output:
	// have the issuer add exp: a token that never expires is not accepted
}
