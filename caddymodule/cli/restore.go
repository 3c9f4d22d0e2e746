package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"authsidecar/caddymodule/backup"
	"authsidecar/sessions"
	"authsidecar/sessions/pebblestore"
)

func restoreCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "restore <backup> <directory> [--json]",
		Short: "Checks a backup and restores it to an empty directory",
		Long: `
Checks a backup of the embedded store, reads every session in it, and restores it to a
directory that is empty or does not exist. Then name that directory in the store line
of the Caddyfile and start Caddy. Nothing is overwritten: move the old directory away
first.

The sessions are as they were at the time of the backup: those that were revoked since
are live again, and those that were refreshed since are revoked at their next refresh.

	$ caddy auth-sessions restore /var/backups/auth_sessions-20261123T000000.000Z.tar /var/lib/caddy/sessions`,
		Args: wantArgs(2, "name one backup, and one directory, which is not there yet, as in: caddy auth-sessions restore sessions.tar /var/lib/caddy/sessions"),
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := restore(cmd.Context(), args[0], args[1], newProgress(cmd.ErrOrStderr(), "sessions", -1))
			if err != nil {
				return fmt.Errorf("nothing was restored: %w", err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), done)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s of %s, %d of them live.\nName it in the Caddyfile: store pebble %s\n",
				done.Dir, plural(done.Sessions, "session"), done.At.Format(time.RFC3339), done.Live, done.Dir)
			return err
		},
	}
	addJSON(cmd, &asJSON)
	return cmd
}

// restored is the result of a restore, and its JSON form.
type restored struct {
	Dir      string    `json:"directory"`
	At       time.Time `json:"at"`
	Sessions int       `json:"sessions"`
	Live     int       `json:"live"`
}

// restore restores a backup into a directory, which gets its name once everything is checked.
func restore(ctx context.Context, name, dir string, shown *progress) (done restored, err error) {
	defer shown.done()
	file, err := os.Open(name)
	if err != nil {
		return done, err
	}
	defer func() { _ = file.Close() }()
	if done.Dir, err = filepath.Abs(dir); err != nil {
		return done, err
	}
	if err := mustBeEmpty(done.Dir); err != nil {
		return done, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(done.Dir), "."+filepath.Base(done.Dir)+".*")
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	list, err := unpack(file, temp)
	if err != nil {
		return done, err
	}
	done.At = list.At
	if err := done.check(ctx, temp, shown); err != nil {
		return done, err
	}
	if err := ignoreAbsent(os.Remove(done.Dir)); err != nil {
		return done, fmt.Errorf("%w: name a directory in it that is not there yet", err)
	}
	if err := os.Rename(temp, done.Dir); err != nil {
		return done, err
	}
	return done, syncDir(filepath.Dir(done.Dir))
}

func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: move it away, or name another directory", dir)
	default:
		return nil
	}
}

// unpack writes the files of a backup into a directory.
func unpack(file io.Reader, dir string) (*backup.Contents, error) {
	list, err := backup.Unpack(file, dir)
	if err != nil {
		return nil, err
	}
	if list.Engine != "pebble" {
		return nil, fmt.Errorf("the backup is of a store %s, and this restores store pebble", list.Engine)
	}
	return list, syncDir(dir)
}

// check reads every session.
func (r *restored) check(ctx context.Context, dir string, shown *progress) (err error) {
	store, err := pebblestore.Open(pebblestore.Options{Dir: dir, MustExist: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	now := store.Now()
	return scanAll(ctx, store, func(page []sessions.Session) error {
		shown.add(len(page))
		r.Sessions += len(page)
		for i := range page {
			if page[i].Live(now) {
				r.Live++
			}
		}
		return nil
	})
}

// scanPage is how many rows are read at a time.
const scanPage = 1000

// scanAll passes every row of a store to page, in pages.
func scanAll(ctx context.Context, store sessions.Store, page func([]sessions.Session) error) error {
	scanner, ok := sessions.As[sessions.AdminStore](store)
	if !ok {
		return errors.New("the store cannot be read whole")
	}
	for cursor := ""; ; {
		got, err := scanner.Scan(ctx, cursor, scanPage)
		if err != nil {
			return fmt.Errorf("reading all sessions: %w", err)
		}
		if err := page(got.Sessions); err != nil {
			return err
		}
		if cursor = got.Next; cursor == "" {
			return nil
		}
	}
}
