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
	"authsidecar/caddymodule/observe"
)

func statusCommand() *cobra.Command {
	c, watched := new(adminClient), false
	cmd := &cobra.Command{
		Use:   "status [--issuer <issuer>] [--watch] [--json]",
		Short: "Shows the state of a running server",
		Long: `
Shows the state of each auth_sessions block of a running server: its store, its deny
list, its feed of what other nodes revoke, the keys of the issuers that it trusts, its
own, and the last errors in its log. It fails if a store does not answer.

	$ caddy auth-sessions status
	$ caddy auth-sessions status --address localhost:2019 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := func() error { return c.status(cmd.OutOrStdout()) }
			if watched {
				return watch(cmd, show)
			}
			return show()
		},
	}
	c.addFlags(cmd)
	addWatch(cmd, &watched)
	return cmd
}

func (c *adminClient) status(out io.Writer) error {
	var overview adminapi.Overview
	if err := c.call(http.MethodGet, "status", c.query(), &overview); err != nil {
		return err
	}
	if c.json {
		return printJSON(out, overview)
	}
	return printStatus(out, &overview)
}

func printStatus(w io.Writer, overview *adminapi.Overview) error {
	var failed error
	for i := range overview.Instances {
		s := &overview.Instances[i]
		t := newTable(w)
		if i == 0 {
			t.row("versions", fmt.Sprintf("authsidecar %s, Caddy %s, %s", overview.Versions.Module, overview.Versions.Caddy, overview.Versions.Go))
		}
		t.row("issuer", s.Issuer)
		t.row("path", s.Path)
		t.row("ready", yesNo(s.Ready))
		t.row("store", describeStore(&s.Store))
		t.row("store is at", s.Store.Location)
		t.row("live sessions", describeCount(s.Sessions))
		t.row("deny list", strconv.Itoa(s.Denied))
		t.row("feed of other nodes", describeFeed(s.Feed))
		if err := t.flush(); err != nil {
			return err
		}
		if err := printKeys(w, s); err != nil {
			return err
		}
		if err := printTroubles(w, s.Troubles); err != nil {
			return err
		}
		if !s.Store.OK && failed == nil {
			failed = fmt.Errorf("the store of %s does not answer", s.Issuer)
		}
	}
	return failed
}

func describeStore(s *adminapi.StoreStatus) string {
	if !s.OK {
		return s.Engine + ", does not answer: " + s.Error
	}
	return fmt.Sprintf("%s, answers in %.1f ms", s.Engine, s.Millis)
}

func describeCount(n *observe.LiveCount) string {
	if n == nil {
		return "not counted yet"
	}
	return fmt.Sprintf("about %d, and %s", n.Own, plural(n.Impersonated, "impersonation"))
}

func describeFeed(f adminapi.FeedStatus) string {
	switch f.State {
	case "none":
		return "none: no other node shares the store"
	case "degraded":
		return fmt.Sprintf("degraded for %s: the store is asked about each session", reltime.Span(time.Duration(f.Degraded)*time.Millisecond))
	default:
		return fmt.Sprintf("%s, %d ms ago", f.State, f.Silent)
	}
}

// printKeys prints the keys of an instance: trusted ones and signing keys.
func printKeys(w io.Writer, s *adminapi.InstanceStatus) error {
	now := time.Now()
	t := newTable(w)
	fmt.Fprintln(t.w)
	t.row("TRUSTED ISSUER", "KID", "ALG", "GOT", "NEXT", "TROUBLE")
	for _, trust := range s.Trust {
		for _, key := range trust.Keys {
			t.row(trust.Issuer, key.ID, string(key.Algorithm), reltime.Ago(trust.FetchedAt, now), reltime.Ahead(trust.RefreshAt, now), trust.Error)
		}
		if len(trust.Keys) == 0 {
			kind := "none yet"
			if trust.Source == "secret" {
				kind = "a secret"
			}
			t.row(trust.Issuer, kind, "", reltime.Ago(trust.FetchedAt, now), reltime.Ahead(trust.RefreshAt, now), trust.Error)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := printEvents(t, s, now); err != nil {
		return err
	}
	fmt.Fprintln(t.w)
	if err := printSigningKeys(t, s.SigningKeys); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return nil
}

func printSigningKeys(t *table, keys []adminapi.SigningKey) error {
	t.row("SIGNS", "KID", "ALG", "STATE", "FROM", "UNTIL")
	for _, key := range keys {
		t.row(key.Use, key.ID, string(key.Algorithm), string(key.State), moment(key.From), moment(key.Until))
	}
	return t.flush()
}

// printTroubles prints the last errors, if there are any.
func printTroubles(w io.Writer, troubles []observe.Trouble) error {
	if len(troubles) == 0 {
		return nil
	}
	t, now := newTable(w), time.Now()
	t.row("LAST ERRORS", "", "")
	for _, trouble := range troubles {
		t.row(reltime.Ago(trouble.At, now), trouble.What, trouble.Error)
	}
	fmt.Fprintln(t.w)
	return t.flush()
}

// printEvents prints the last event of each issuer that sent one to this node.
func printEvents(t *table, s *adminapi.InstanceStatus, now time.Time) error {
	printed := false
	for _, trust := range s.Trust {
		e := trust.LastEvent
		if e == nil {
			continue
		}
		if !printed {
			fmt.Fprintln(t.w)
			t.row("EVENTS OF", "LAST", "OUTCOME", "SESSIONS", "CAME", "JTI")
			printed = true
		}
		t.row(trust.Issuer, e.Kind, string(e.Outcome), strconv.Itoa(e.Ended), reltime.Ago(e.At, now), e.JTI)
	}
	return t.flush()
}

// moment prints a time to the minute.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04 MST")
}
