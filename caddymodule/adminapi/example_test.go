package adminapi_test

import (
	"encoding/json"
	"fmt"

	"authsidecar/caddymodule/adminapi"
)

// GET /auth_sessions/status of a running Caddy, read as what it is.
func ExampleOverview() {
	answer := []byte(`{"instances": [{"issuer": "https://app.example.com", "ready": true, "store": {"engine": "pebble"}}]}`)
	var overview adminapi.Overview
	if err := json.Unmarshal(answer, &overview); err != nil {
		fmt.Println(err)
		return
	}
	for _, instance := range overview.Instances {
		fmt.Println(instance.Issuer, "ready:", instance.Ready, "store:", instance.Store.Engine)
	}
	// Output:
	// https://app.example.com ready: true store: pebble
}
