package observe_test

import (
	"errors"
	"fmt"
	"net/http"

	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// One word a cause, in the metrics, the access log and the audit alike.
func ExampleReason() {
	fmt.Println(observe.Reason(http.StatusUnauthorized, bearer.ErrNoToken))
	fmt.Println(observe.Reason(http.StatusForbidden, fmt.Errorf("creating session: %w", sessions.ErrDenied)))
	fmt.Println(observe.Reason(http.StatusServiceUnavailable, errors.New("connection refused")))
	// Output:
	// no_token
	// denied
	// unavailable
}
