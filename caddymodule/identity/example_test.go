package identity_test

import (
	"fmt"
	"net/http/httptest"

	"authsidecar/caddymodule/identity"
)

// A guard compares canonical paths, and takes all that servers read in different ways for
// guarded ones.
func ExamplePathGuard() {
	guard := identity.NewPathGuard([]string{"/billing/*"})
	for _, target := range []string{"/home", "/billing", "/Billing/pay", "/home/..%2fbilling/pay", "/home;x"} {
		fmt.Println(target, guard.Denies(httptest.NewRequest("GET", target, nil)))
	}
	// Output:
	// /home false
	// /billing true
	// /Billing/pay true
	// /home/..%2fbilling/pay true
	// /home;x true
}
