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
		Short: "Verifies that no line of audit files was changed, removed or swapped",
		Long: `
Verifies the audit files of auth_sessions: every line is as it was written, and none
is missing, swapped or forged. Give the rotated files of one audit together, the
oldest first.

A file whose last lines were cut off still verifies. To detect that, keep the log
"http.handlers.auth_sessions.audit" elsewhere: each entry has the hash of its line
(audit_sha256). Give the last one as --head: it must be in the files.

	$ caddy auth-sessions audit verify /var/log/caddy/audit.jsonl.1 /var/log/caddy/audit.jsonl`,
		Args: wantArgs(-1, "name the files, the oldest first, as in: caddy auth-sessions audit verify /var/log/caddy/audit.jsonl"),
		RunE: func(cmd *cobra.Command, files []string) error { return v.run(cmd, files) },
	}
	cmd.Flags().StringArrayVar(&v.heads, "head", nil, "Hash of a line that must be there; repeatable")
	addJSON(cmd, &v.json)
	return cmd
}

type auditVerify struct {
	heads []string
	json  bool
}

// auditResult is the result of verifying audit files, and its JSON form.
type auditResult struct {
	OK      bool     `json:"ok"`
	Lines   int      `json:"lines"`
	First   uint64   `json:"first,omitempty"`
	Last    uint64   `json:"last,omitempty"`
	Head    string   `json:"head,omitempty"`
	File    string   `json:"file,omitempty"` // that has the flaw
	Line    int      `json:"line,omitempty"`
	Flaw    string   `json:"flaw,omitempty"`
	Missing []string `json:"missing_heads,omitempty"`
}

func (v *auditVerify) run(cmd *cobra.Command, files []string) error {
	result, err := v.verify(files)
	if result == nil {
		return err
	}
	if v.json {
		return errors.Join(printJSON(cmd.OutOrStdout(), result), err)
	}
	if err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d lines, number %d to %d, are as they were written.\nHead: %s\n", result.Lines, result.First, result.Last, result.Head)
	}
	return err
}

// verify returns no result if a file cannot be read.
func (v *auditVerify) verify(files []string) (*auditResult, error) {
	chain := new(audit.Chain)
	for _, head := range v.heads {
		if err := chain.Expect(head); err != nil {
			return nil, fmt.Errorf("--head %s: %w", head, err)
		}
	}
	result := &auditResult{OK: true}
	var flaw *audit.Flaw
	for _, file := range files {
		err := readAudit(chain, file)
		if errors.As(err, &flaw) {
			result.OK, result.File, result.Line, result.Flaw = false, file, flaw.Line, flaw.What
			break
		}
		if err != nil {
			return nil, err
		}
	}
	result.Lines, result.First, result.Last, result.Head = chain.Lines, chain.Begins.Seq, chain.Last.Seq, chain.Last.Hash.String()
	if flaw != nil {
		return result, fmt.Errorf("%s: %w", result.File, flaw)
	}
	if result.Missing = chain.Missing(); len(result.Missing) > 0 {
		result.OK = false
		return result, fmt.Errorf("no line has the hash %s: lines were removed at the end, or a file is missing", result.Missing[0])
	}
	if result.Lines == 0 {
		result.OK = false
		return result, fmt.Errorf("%s: no line is there, so that nothing was verified: name the file that audit file names", strings.Join(files, ", "))
	}
	return result, nil
}

func readAudit(chain *audit.Chain, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return chain.Read(file)
}
