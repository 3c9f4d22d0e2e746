package cli

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/caddymodule/internal/reltime"
)

// A sessionFilter selects the sessions for a command.
type sessionFilter struct {
	adminClient
	user           string
	actor          string
	actorIssuer    string
	impersonations bool
}

func (f *sessionFilter) addFlags(cmd *cobra.Command) {
	f.adminClient.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.user, "user", "u", "", "Sessions for this user id")
	flags.StringVar(&f.actor, "actor", "", "Impersonations by this caller (sub)")
	flags.StringVar(&f.actorIssuer, "actor-issuer", "", "The issuer of the actor, where several are trusted")
	flags.BoolVar(&f.impersonations, "impersonations", false, "Impersonations alone; all of them where nothing else is named")
	disableCompletion(cmd, "user", "actor", "actor-issuer")
}

// empty reports whether no session is selected.
func (f *sessionFilter) empty() bool {
	return f.user == "" && f.actor == "" && f.actorIssuer == "" && !f.impersonations
}

func (f *sessionFilter) params(pairs ...string) []string {
	pairs = append(pairs, "user_id", f.user, "actor", f.actor, "actor_issuer", f.actorIssuer)
	if f.impersonations {
		pairs = append(pairs, "impersonations", "true")
	}
	return pairs
}

// each passes the sessions to page in pages, at most limit of them; 0 means all.
func (f *sessionFilter) each(limit int, page func([]adminapi.Session) error) error {
	cursor, left := "", limit
	for {
		size := adminapi.MaxLimit
		if limit > 0 {
			size = min(left, adminapi.MaxLimit)
		}
		var got adminapi.Page
		query := f.query(f.params("cursor", cursor, "limit", strconv.Itoa(size))...)
		if err := f.call(http.MethodGet, "sessions", query, &got); err != nil {
			return err
		}
		if err := page(got.Items); err != nil {
			return err
		}
		left -= len(got.Items)
		if cursor = got.Next; cursor == "" || limit > 0 && left <= 0 {
			return nil
		}
	}
}

func listCommand() *cobra.Command {
	f := new(sessionFilter)
	limit, watched := 0, false
	cmd := &cobra.Command{
		Use:   "list [--user <id>] [--actor <sub>] [--impersonations] [--limit <n>] [--watch] [--issuer <issuer>] [--json]",
		Short: "Lists live sessions",
		Long: `
Lists the live sessions of a running server, newest first: all of them, those of a user,
those in which an actor acts as other users, or all impersonations. ENDS is when a session
ends at the latest, or its link while nobody has opened it; a session that nobody refreshes
ends after its idle timeout. With --json, each session is a line. With --watch it lists
them again each 2 seconds, until Ctrl-C.

	$ caddy auth-sessions list
	$ caddy auth-sessions list --user alice
	$ caddy auth-sessions list --impersonations --watch
	$ caddy auth-sessions list --actor carol --actor-issuer https://idp.example.com
	$ caddy auth-sessions list --impersonations --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return fmt.Errorf("--limit %d is less than nothing", limit)
			}
			list := func() error { return f.list(cmd.OutOrStdout(), cmd.ErrOrStderr(), limit) }
			if watched {
				return watch(cmd, list)
			}
			return list()
		},
	}
	f.addFlags(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 0, "How many sessions to list at most; 0 for all")
	addWatch(cmd, &watched)
	return cmd
}

func (f *sessionFilter) list(out, progressOut io.Writer, limit int) error {
	t := newTable(out)
	if !f.json {
		t.row("SESSION", "USER", "ACTOR", "CREATED", "USED", "ENDS", "FROM", "CLIENT", "REASON")
	}
	var shown *progress
	if !isTerminal(out) {
		shown = newProgress(progressOut, "sessions", -1)
		defer shown.done()
	}
	return f.each(limit, func(page []adminapi.Session) error {
		if shown != nil {
			shown.add(len(page))
		}
		now := time.Now()
		for i := range page {
			s := &page[i]
			if f.json {
				if err := printJSON(out, s); err != nil {
					return err
				}
				continue
			}
			actor := ""
			if s.Actor != nil {
				actor = s.Actor.Subject
			}
			t.row(s.ID, s.UserID, actor, moment(s.CreatedAt), reltime.Ago(s.LastUsedAt, now), reltime.Ahead(endOf(s), now), s.IP, s.ClientID, s.Reason)
		}
		return t.flush()
	})
}

// endOf returns when a session ends however much it is used, as the console and the bar show it, or
// when its link does while nobody has opened it.
func endOf(s *adminapi.Session) time.Time {
	if !s.PendingUntil.IsZero() {
		return s.PendingUntil
	}
	return s.ExpiresAt
}
