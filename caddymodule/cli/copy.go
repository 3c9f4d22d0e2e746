package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/periodic"
	"authsidecar/sessions"
	"authsidecar/sessions/pebblestore"
)

func copyCommand() *cobra.Command {
	var from, to string
	asJSON := false
	cmd := &cobra.Command{
		Use:   "copy --from <store> --to <store> [--json]",
		Short: "Copies all sessions from one store to another",
		Long: `
Copies all sessions, of all issuers, from one store to another, and reads them again
to check that they arrived. Write the stores as in the store line of a Caddyfile.
Refresh tokens stay valid: the signing keys are in Caddy's storage, and stay there.
If the source is not a store, the command fails and creates nothing.

Stop Caddy first, so that nothing changes meanwhile; then copy, change the store line
and start it. You can interrupt the command and repeat it: sessions that are in the
target already are compared and updated, and never set back.

	$ caddy auth-sessions copy --from "pebble /var/lib/caddy/sessions" --to "postgres {env.DATABASE_URL}"
	$ caddy auth-sessions copy --from "redis redis://localhost" --to "pebble /var/lib/caddy/sessions"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := copyStores(cmd.Context(), from, to, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return report.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&from, "from", "", `The store to read, as in "pebble /var/lib/caddy/sessions"`)
	cmd.Flags().StringVar(&to, "to", "", `The store to write, as in "redis redis://localhost"`)
	addJSON(cmd, &asJSON)
	for _, flag := range []string{"from", "to"} {
		_ = cmd.MarkFlagRequired(flag) // the flag exists
		_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return knownStores(), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		})
	}
	return cmd
}

// storeNamespace is the namespace of store modules.
const storeNamespace = "auth_sessions.stores"

// A storeOpener is a store module: see caddymodule.StoreOpener.
type storeOpener interface {
	StoreKey() (string, error)
	OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error)
}

// An existingOpener is a store module that can open a store without creating it.
type existingOpener interface {
	OpenExisting(ctx context.Context, logger *zap.Logger) (sessions.Store, error)
}

func knownStores() (names []string) {
	for _, module := range caddy.GetModules(storeNamespace) {
		names = append(names, module.ID.Name())
	}
	return names
}

// copyStores opens both stores and copies the sessions.
func copyStores(ctx context.Context, from, to string, progressOut io.Writer) (report *copyReport, err error) {
	caddyCtx, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	defer cancel()
	source, err := parseStore(caddyCtx, "--from", from)
	if err != nil {
		return nil, err
	}
	target, err := parseStore(caddyCtx, "--to", to)
	if err != nil {
		return nil, err
	}
	if same, err := sameStore(source, target); err != nil || same {
		return nil, errors.Join(err, map[bool]error{true: errors.New("--from and --to are the same store: there is nothing to carry")}[same])
	}
	read, closeRead, err := openStore(caddyCtx, "--from", source, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeRead()) }()
	if _, err := realmsOf(ctx, read); err != nil { // before a target is created for nothing
		return nil, err
	}
	write, closeWrite, err := openStore(caddyCtx, "--to", target, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeWrite()) }()
	c := copier{from: read, to: write, progress: func(what string) *progress { return newProgress(progressOut, what, -1) }, pause: periodic.Wait}
	if report, err = c.run(ctx); err != nil {
		return nil, err
	}
	report.From, report.To = locationOf(source), locationOf(target)
	return report, nil
}

// parseStore parses a store in the form of the Caddyfile, with its module.
func parseStore(ctx caddy.Context, flag, words string) (storeOpener, error) {
	if strings.TrimSpace(words) == "" {
		return nil, fmt.Errorf("%s names no store: write it as in the Caddyfile, as in %s \"pebble /var/lib/caddy/sessions\"", flag, flag)
	}
	tokens, err := caddyfile.Tokenize([]byte(words), flag)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	d := caddyfile.NewDispenser(tokens)
	d.Next()
	name := d.Val()
	id := storeNamespace + "." + name
	if _, err := caddy.GetModule(id); err != nil || strings.Contains(name, ".") {
		return nil, fmt.Errorf("%s: store %s is not in this build, which has %s: build Caddy with it", flag, printable(name), strings.Join(knownStores(), ", "))
	}
	read, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if d.Next() {
		return nil, fmt.Errorf("%s: unexpected %q: quote the store and its words as one argument", flag, printable(d.Val()))
	}
	module, err := ctx.LoadModuleByID(id, caddyconfig.JSON(read, nil))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	opener, ok := module.(storeOpener)
	if !ok {
		return nil, fmt.Errorf("%s: %s is not a store", flag, name)
	}
	return opener, nil
}

func sameStore(a, b storeOpener) (bool, error) {
	first, err := a.StoreKey()
	if err != nil {
		return false, fmt.Errorf("--from: %w", err)
	}
	second, err := b.StoreKey()
	if err != nil {
		return false, fmt.Errorf("--to: %w", err)
	}
	return first == second, nil
}

// openStore opens a store; if it must exist, it is not created. A store that a running Caddy has
// open is an error.
func openStore(ctx context.Context, flag string, opener storeOpener, mustExist bool) (store sessions.Store, shut func() error, err error) {
	open := opener.OpenStore
	if existing, ok := opener.(existingOpener); ok && mustExist {
		open = existing.OpenExisting
	}
	store, err = open(ctx, zap.NewNop())
	switch {
	case errors.Is(err, sessions.ErrNoStore):
		return nil, nil, fmt.Errorf("%s: there is no session store at %s: name the one that Caddy uses, which it logs when it starts", flag, locationOf(opener))
	case errors.Is(err, pebblestore.ErrInUse):
		return nil, nil, fmt.Errorf("%s: %w: stop Caddy first", flag, err)
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", flag, err)
	}
	shut = func() error { return nil }
	if closer, ok := store.(io.Closer); ok {
		shut = closer.Close
	}
	return store, shut, nil
}

// locationOf returns where a store is, for people to read.
func locationOf(opener storeOpener) string {
	if locator, ok := opener.(interface{ StoreLocation() string }); ok {
		return locator.StoreLocation()
	}
	return "a place that it does not tell"
}
