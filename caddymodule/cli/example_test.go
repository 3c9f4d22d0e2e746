package cli_test

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"authsidecar/caddymodule/cli"
	"authsidecar/caddymodule/cli/explain"
)

// Caddy gets one command, which has all others below it.
func Example() {
	cli.Register(func(caddy.Context, []byte) (*explain.Block, error) { return nil, errors.New("caddymodule reads it") })
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
