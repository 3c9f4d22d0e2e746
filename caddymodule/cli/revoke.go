package cli

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"authsidecar/caddymodule/adminapi"
)

// A revoker revokes sessions, as its flags say.
type revoker struct {
	sessionFilter
	dryRun bool
	yes    bool
}

func revokeCommand() *cobra.Command {
	r := new(revoker)
	cmd := &cobra.Command{
		Use:   "revoke (<session id>... | --user <id> | --actor <sub> | --impersonations) [--dry-run] [--yes] [--issuer <issuer>] [--json]",
		Short: "Revokes sessions now",
		Long: `
Revokes sessions of a running server and all of their tokens, at once and on every node:
by id, by user, by actor, or all impersonations. Unless you give --yes, it says how many
they are and asks first. An id that begins with - stands after --.

	$ caddy auth-sessions revoke 1v2xmk325nYsCSYdrYLs0g 8PPsnXpOjOVFTEPQNcqGFg
	$ caddy auth-sessions revoke --user alice --dry-run
	$ caddy auth-sessions revoke --impersonations --yes`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			switch {
			case len(ids) == 0 && r.empty():
				return errors.New("say which sessions: their ids, --user <id>, --actor <sub>, or --impersonations for all of these")
			case len(ids) > 0 && !r.empty():
				return errors.New("select sessions either by their ids or with flags, not both")
			case len(ids) > 0:
				return r.revokeIDs(cmd, ids)
			}
			return r.revokeAll(cmd)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	r.addFlags(cmd)
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "Only count the sessions")
	cmd.Flags().BoolVarP(&r.yes, "yes", "y", false, "Do not ask")
	return cmd
}

// A revokeResult is what --json prints.
type revokeResult struct {
	Selected int `json:"selected"`
	Revoked  int `json:"revoked"`
}

func (r *revoker) revokeIDs(cmd *cobra.Command, ids []string) error {
	dryRun := ""
	if r.dryRun {
		dryRun = "true"
	} else if err := r.confirm(cmd, len(ids)); err != nil {
		return err
	}
	result := revokeResult{Selected: len(ids)}
	var failed []error
	for _, id := range ids {
		var answer adminapi.RevokeResult // the response to a dry run has no such count
		err := r.call(http.MethodDelete, "sessions/"+url.PathEscape(id), r.query("dry_run", dryRun), &answer)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", printable(id), err))
		}
		result.Revoked += answer.Revoked
	}
	if r.dryRun {
		result.Selected -= len(failed)
	}
	return errors.Join(append(failed, r.print(cmd, result))...)
}

// revokeAll counts, asks for confirmation, and revokes.
func (r *revoker) revokeAll(cmd *cobra.Command) error {
	var result revokeResult
	counted := newProgress(cmd.ErrOrStderr(), "counting sessions", -1)
	err := r.each(0, func(page []adminapi.Session) error {
		counted.add(len(page))
		result.Selected += len(page)
		return nil
	})
	counted.done()
	if err != nil {
		return err
	}
	if r.dryRun || result.Selected == 0 {
		return r.print(cmd, result)
	}
	if err := r.confirm(cmd, result.Selected); err != nil {
		return err
	}
	revoked := newProgress(cmd.ErrOrStderr(), "revoking sessions", int64(result.Selected))
	defer revoked.done()
	for answer := (adminapi.RevokeResult{More: true}); answer.More; {
		query := r.query(r.params("cursor", answer.Next)...)
		answer = adminapi.RevokeResult{}
		if err := r.call(http.MethodDelete, "sessions", query, &answer); err != nil {
			return fmt.Errorf("%w; %s revoked before that: repeat the command", err, plural(result.Revoked, "session"))
		}
		result.Revoked += answer.Revoked
		revoked.add(answer.Revoked)
	}
	// If a cutoff revoked them, all are revoked, and the server updates the rows later.
	result.Revoked = max(result.Revoked, result.Selected)
	return r.print(cmd, result)
}

func (r *revoker) print(cmd *cobra.Command, result revokeResult) error {
	switch {
	case r.json && r.dryRun:
		return printJSON(cmd.OutOrStdout(), map[string]int{"would_revoke": result.Selected})
	case r.json:
		return printJSON(cmd.OutOrStdout(), result)
	}
	if r.dryRun {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s would be revoked.\n", plural(result.Selected, "session"))
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s revoked.\n", plural(result.Revoked, "session"))
	return err
}

// confirm asks for confirmation at the terminal.
func (r *revoker) confirm(cmd *cobra.Command, sessions int) error {
	if r.yes {
		return nil
	}
	if !isTerminal(cmd.InOrStdin()) {
		return errors.New("cannot ask for confirmation without a terminal: use --yes to revoke them, or --dry-run to count them")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Revoke %s now? [y/N] ", plural(sessions, "session"))
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // no response means no
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was revoked")
	}
	return nil
}

// plural returns a number of things, whose name is in the singular.
func plural(n int, name string) string {
	if n != 1 {
		name += "s"
	}
	return fmt.Sprintf("%d %s", n, name)
}
