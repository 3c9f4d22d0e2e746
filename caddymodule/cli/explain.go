package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/spf13/cobra"

	"authsidecar/caddymodule/cli/explain"
	"authsidecar/sessions"
)

// An explainer explains what happens to a token, as its flags say.
type explainer struct {
	adminClient
	read    ReadBlock
	envFile []string
	offline bool
	asked   explain.Request
}

func explainCommand(read ReadBlock) *cobra.Command {
	e := &explainer{read: read}
	cmd := &cobra.Command{
		Use:   "explain [--config <file>] [--adapter <name>] [--envfile <file>] [--issuer <issuer>] [--user <id> [--reason <text>] [--client <id>]] [--offline] [--json] < token",
		Short: "Explains which check refuses a token, and what to do about it",
		Long: `
Reads a caller's token from standard input and makes the checks that the server makes,
one by one: form, header, issuer, key, signature, type, audience, times and subject.
With --user, it also shows which allow rule holds for a session for that user. For each
failed check it says what to do and, where the configuration can help, the lines to
write. Of a logout token, or a security event, it says which rule it breaks. The token is neither printed nor sent anywhere.

The configuration is that of --config, else the Caddyfile in this directory, else that
of the running server (--address). Without one, it shows which section of the page about
issuers fits the token. The keys of identity providers are those of the running server,
else they are asked for them, else they are those that the server has stored in Caddy's
storage. With --offline, nobody is asked. --envfile is that of caddy run.

	$ caddy auth-sessions explain --config Caddyfile < token
	$ caddy auth-sessions explain --config Caddyfile --user alice --reason "ticket 4711" < token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(cmd) },
	}
	e.addFlags(cmd)
	cmd.Flags().StringSliceVar(&e.envFile, "envfile", nil, "Environment file(s) to load")
	cmd.Flags().BoolVar(&e.offline, "offline", false, "Ask neither a running server nor identity providers")
	cmd.Flags().StringVarP(&e.asked.User, "user", "u", "", "Whose session the caller would ask for")
	cmd.Flags().StringVar(&e.asked.Reason, "reason", "", "The reason that the caller would give")
	cmd.Flags().StringVar(&e.asked.Client, "client", "", "The client_id that the caller would name")
	disableCompletion(cmd, "user", "reason", "client")
	return cmd
}

func (e *explainer) run(cmd *cobra.Command) error {
	if e.asked.User != "" && sessions.CheckUserID(e.asked.User) != nil {
		return fmt.Errorf("--user is not a user id: write 1 to 255 bytes without control characters or surrounding blanks")
	}
	token, err := readToken(cmd.InOrStdin())
	if err != nil {
		return err
	}
	site, err := e.loadSite(cmd.Context(), explain.IssuerClaim(token))
	if errors.Is(err, errNoBlock) {
		return errors.Join(e.show(cmd.OutOrStdout(), explain.Unknown(token)), err)
	}
	if err != nil {
		return err
	}
	result := site.Explain(cmd.Context(), token, e.asked)
	return errors.Join(e.show(cmd.OutOrStdout(), result), result.Err())
}

func (e *explainer) show(w io.Writer, result *explain.Result) error {
	if e.json {
		return printJSON(w, result)
	}
	return printResult(w, result)
}

// readToken reads a token as people paste it: with surrounding white space, or with the scheme
// before it.
func readToken(in io.Reader) (string, error) {
	if isTerminal(in) {
		return "", errors.New("give the token on the standard input, as in: caddy auth-sessions explain < token")
	}
	data, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	for _, prefix := range []string{"authorization:", "bearer "} {
		if len(token) >= len(prefix) && strings.EqualFold(token[:len(prefix)], prefix) {
			token = strings.TrimSpace(token[len(prefix):])
		}
	}
	if token == "" {
		return "", errors.New("the standard input is empty: give the token there")
	}
	return token, nil
}

func printResult(w io.Writer, r *explain.Result) error {
	if len(r.Checks) == 0 {
		_, err := fmt.Fprintln(w, explain.Pointer(r.Trust, r.Section))
		return err
	}
	t := newTable(w)
	t.row("CHECK", "RESULT", "")
	for _, step := range r.Checks {
		t.row(string(step.Check), step.Result, strings.TrimSuffix(strings.TrimPrefix(string(step.Reason)+": "+step.Detail, ": "), ": "))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, step := range r.Checks {
		if step.Mend != "" {
			fmt.Fprintf(w, "\nTo mend the %s: %s\n", step.Check, printable(step.Mend))
			for _, line := range step.Lines {
				fmt.Fprintf(w, "\t%s\n", printable(line))
			}
		}
	}
	if r.Trust != "" {
		fmt.Fprintf(w, "\n%s\n", explain.Pointer(r.Trust, r.Section))
	}
	if r.Session != nil {
		return printSession(w, r.Session)
	}
	return nil
}

func printSession(w io.Writer, e *explain.Session) error {
	fmt.Fprintf(w, "\nA session for %s:\n", printable(e.UserID))
	t := newTable(w)
	t.row("RULE", "HOLDS", "")
	for _, rule := range e.Rules {
		t.row(rule.Rule, yesNo(rule.Holds), rule.Why)
	}
	if err := t.flush(); err != nil {
		return err
	}
	var err error
	switch {
	case !e.Allowed:
		_, err = fmt.Fprintf(w, "\nDenied: %s. To mend it: %s\n", e.Why, e.Mend)
	case e.Impersonation:
		_, err = fmt.Fprintf(w, "\nAllowed by %s, as an impersonation.\n", printable(e.Rule))
	default:
		_, err = fmt.Fprintf(w, "\nAllowed by %s.\n", printable(e.Rule))
	}
	return err
}

// loadEnv sets the variables in a file that are not yet in the environment, like caddy run
// --envfile. Caddy exports no function for that.
func loadEnv(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the environment file: %w", err)
	}
	variables, err := parseEnv(string(data))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for name, value := range variables {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: setting %s: %w", file, name, err)
		}
	}
	caddy.DefaultStorage = &certmagic.FileStorage{Path: caddy.AppDataDir()} // a variable may have moved it
	return nil
}

// parseEnv parses lines of NAME=value. A line may be empty or a comment, and may begin with export;
// # begins a comment; a quoted value may have several lines.
func parseEnv(text string) (map[string]string, error) {
	variables := make(map[string]string)
	lines := strings.Split(text, "\n")
	for at := 0; at < len(lines); at++ {
		number := at + 1
		text := strings.TrimSpace(lines[at])
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		name = strings.TrimPrefix(name, "export ")
		if !ok || name == "" || strings.Contains(name, " ") || strings.HasPrefix(value, " ") || strings.HasPrefix(value, "\t") {
			return nil, fmt.Errorf("line %d is not as NAME=value", number)
		}
		if before, _, commented := strings.Cut(value, "#"); commented {
			value = strings.TrimRight(before, " \t")
		}
		if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "'") {
			value, at = quoted(value, text, lines, at)
		}
		variables[name] = value
	}
	return variables, nil
}

// quoted returns a quoted value, which ends with a line that ends with the same quote, and the
// index of that line.
func quoted(value, line string, lines []string, at int) (string, int) {
	quote := value[:1]
	for !strings.HasSuffix(line, quote) || strings.HasSuffix(line, `\`+quote) {
		value = strings.ReplaceAll(value, `\`+quote, quote)
		if at+1 >= len(lines) {
			break
		}
		at++
		line = strings.ReplaceAll(lines[at], `\`+quote, quote)
		value += "\n" + line
	}
	return strings.TrimSuffix(strings.TrimPrefix(value, quote), quote), at
}
