package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"authsidecar/caddymodule/backup"
)

func backupCommand() *cobra.Command {
	c := new(adminClient)
	cmd := &cobra.Command{
		Use:   "backup <directory or file> [--issuer <issuer>] [--json]",
		Short: "Takes a consistent backup of the embedded store while it serves",
		Long: `
Takes a backup of the embedded store of a running server, with every session that was
acknowledged before. It is one tar file. In a directory it is named by the time. It
never overwrites a file, and is there whole or not at all.

It holds no token and no key, but it says who has sessions. The signing keys are in
Caddy's storage: back that up too, since all sessions end without them.

	$ caddy auth-sessions backup /var/backups
	$ caddy auth-sessions backup sessions.tar`,
		Args: wantArgs(1, "say where the backup goes, a directory or a new file, as in: caddy auth-sessions backup /var/backups"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.backup(cmd, args[0]) },
	}
	c.addFlags(cmd)
	return cmd
}

func (c *adminClient) backup(cmd *cobra.Command, target string) error {
	name, err := backupTarget(target, time.Now())
	if err != nil {
		return err
	}
	body, err := c.open(http.MethodGet, "backup", c.query())
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	shown := newProgress(cmd.ErrOrStderr(), "bytes", -1)
	defer shown.done()
	list, err := saveBackup(name, io.TeeReader(body, shown))
	if err != nil {
		return fmt.Errorf("no backup was made: %w", err)
	}
	size := int64(0)
	for _, file := range list.Files {
		size += file.Size
	}
	if c.json {
		return printJSON(cmd.OutOrStdout(), struct {
			File  string    `json:"file"`
			At    time.Time `json:"at"`
			Bytes int64     `json:"bytes"`
		}{name, list.At, size})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s (%.1f MiB)\n", name, float64(size)/(1<<20))
	return err
}

// backupTarget returns the file that a backup is written to.
func backupTarget(target string, now time.Time) (string, error) {
	info, err := os.Stat(target)
	switch {
	case err == nil && info.IsDir():
		target = filepath.Join(target, backup.Name(now))
	case strings.HasSuffix(target, string(filepath.Separator)):
		return "", fmt.Errorf("there is no directory %s: make it first", target)
	}
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s exists: choose another name", target)
	}
	return target, nil
}

// saveBackup writes a backup to a file, which gets its name once it is complete and on disk.
func saveBackup(name string, body io.Reader) (list *backup.Contents, err error) {
	temp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ignoreAbsent(os.Remove(temp.Name()))) }()
	body = io.TeeReader(body, temp)
	list, err = backup.Read(body, nil)
	if err == nil {
		_, err = io.Copy(io.Discard, body) // what follows the last entry
	}
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(temp.Name(), name); err != nil { // unlike a rename, it never replaces a file
		return nil, err
	}
	return list, syncDir(filepath.Dir(name))
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
