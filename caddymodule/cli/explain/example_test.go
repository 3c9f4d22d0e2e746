package explain_test

import (
	"fmt"

	"authsidecar/caddymodule/cli/explain"
	"authsidecar/sessions/bearer"
)

func ExampleMend() {
	fmt.Println(explain.Mend(bearer.ReasonNoExpiry))
	// Output:
	// let the issuer put exp into it: a token without end is not taken
}
