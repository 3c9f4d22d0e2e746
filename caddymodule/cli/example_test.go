package cli_test

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"authsidecar/caddymodule/cli"
	why "authsidecar/caddymodule/cli/explain"
)

// Caddy gets one command, which has all others below it.
func ExampleRegister() {
	cli.Register(func(caddy.Context, []byte) (*why.Block, error) { return &why.Block{}, nil })
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
