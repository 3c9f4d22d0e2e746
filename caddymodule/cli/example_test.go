package cli_test

import (
	"fmt"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	_ "authsidecar/caddymodule" // registers it
)

// Caddy gets one command, which has all others below it.
func Example() {
	root := new(cobra.Command)
	caddycmd.Commands()["auth-sessions"].CobraFunc(root)
	found, _, err := root.Find([]string{"explain"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Short)
	// Output:
	// Explains which check refuses a token, and what to do about it
}
