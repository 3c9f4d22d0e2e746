package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"authsidecar/sessions/audit"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit <command>",
		Short: "Verifies audit files",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(auditVerifyCommand())
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	v := new(auditVerify)
	cmd := &cobra.Command{
		Use:   "verify <file>... [--head <sha256>]... [--json]",
		Short: "Tells whether lines of audit files were changed, removed or swapped",
		Long: `
Verifies files that the audit word of auth_sessions wrote: that each line is as it
was written, and that none is missing, swapped or made up. Files of one audit that
were rotated are given together, the oldest first.

Lines that are cut off at the end leave a file that is good. Each entry of the log
"http.handlers.auth_sessions.audit" has the hash of its line (audit_sha256): keep
the log elsewhere, and give its last one as --head. It has to be in the files.

	$ caddy auth-sessions audit verify /var/log/caddy/audit.jsonl.1 /var/log/caddy/audit.jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return v.run(cmd, files) },
	}
	cmd.Flags().StringArrayVar(&v.heads, "head", nil, "Hash of a line that has to be there; repeatable")
	cmd.Flags().BoolVar(&v.json, "json", false, "Print JSON, for scripts")
	return cmd
}

type auditVerify struct {
	heads []string
	json  bool
}

// verdict is what there is to say about audit files.
type verdict struct {
	OK      bool     `json:"ok"`
	Lines   int      `json:"lines"`
	First   uint64   `json:"first,omitempty"`
	Last    uint64   `json:"last,omitempty"`
	Head    string   `json:"head,omitempty"`
	File    string   `json:"file,omitempty"` // of the flaw
	Line    int      `json:"line,omitempty"`
	Flaw    string   `json:"flaw,omitempty"`
	Missing []string `json:"missing_heads,omitempty"`
}

func (v *auditVerify) run(cmd *cobra.Command, files []string) error {
	says, err := v.verify(files)
	if says == nil {
		return err
	}
	if v.json {
		return errors.Join(printJSON(cmd.OutOrStdout(), says), err)
	}
	if err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d lines, number %d to %d, are as they were written.\nHead: %s\n", says.Lines, says.First, says.Last, says.Head)
	}
	return err
}

// verify returns no verdict where a file cannot be read.
func (v *auditVerify) verify(files []string) (*verdict, error) {
	chain := new(audit.Chain)
	for _, head := range v.heads {
		if err := chain.Expect(head); err != nil {
			return nil, fmt.Errorf("--head %s: %w", head, err)
		}
	}
	says := &verdict{OK: true}
	var flaw *audit.Flaw
	for _, file := range files {
		err := readAudit(chain, file)
		if errors.As(err, &flaw) {
			says.OK, says.File, says.Line, says.Flaw = false, file, flaw.Line, flaw.What
			break
		}
		if err != nil {
			return nil, err
		}
	}
	says.Lines, says.First, says.Last, says.Head = chain.Lines, chain.Begins.Seq, chain.Last.Seq, chain.Last.Hash.String()
	if flaw != nil {
		return says, fmt.Errorf("%s: %w", says.File, flaw)
	}
	if says.Missing = chain.Missing(); len(says.Missing) > 0 {
		says.OK = false
		return says, fmt.Errorf("no line has the hash %s: lines were cut off, or a file is missing", says.Missing[0])
	}
	if says.Lines == 0 {
		says.OK = false
		return says, fmt.Errorf("%s: no line is there, so that nothing was verified: name the file that audit file names", strings.Join(files, ", "))
	}
	return says, nil
}

func readAudit(chain *audit.Chain, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return chain.Read(file)
}
