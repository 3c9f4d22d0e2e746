package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// An explainer explains what becomes of a token, as its flags say.
type explainer struct {
	adminClient
	read    ReadBlock
	envFile []string
	offline bool
	user    string
	reason  string
}

func explainCommand(read ReadBlock) *cobra.Command {
	e := &explainer{read: read}
	cmd := &cobra.Command{
		Use:   "explain [--config <file>] [--adapter <name>] [--envfile <file>] [--issuer <issuer>] [--user <id> [--reason <text>]] [--offline] [--json] < token",
		Short: "Explains which check refuses a token, and what to do about it",
		Long: `
Reads a caller's token from standard input and makes the checks that the server makes,
one by one: form, header, issuer, key, signature, type, audience, times and subject.
With --user, it also shows which allow rule holds for a session for that user. For each
failed check it says what to do and, where the configuration can help, the lines to
write. The token is neither printed nor sent anywhere.

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
	e.addJSON(cmd)
	cmd.Flags().StringSliceVar(&e.envFile, "envfile", nil, "Environment file(s) to load")
	cmd.Flags().BoolVar(&e.offline, "offline", false, "Ask neither a running server nor identity providers")
	cmd.Flags().StringVarP(&e.user, "user", "u", "", "Whose session the caller would ask for")
	cmd.Flags().StringVar(&e.reason, "reason", "", "The reason that the caller would give")
	for _, flag := range []string{"user", "reason"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions) // it is there
	}
	return cmd
}

// explained is what is printed. There is no token in it.
type explained struct {
	Issuer  string          `json:"issuer"`
	Verdict string          `json:"verdict"` // accepted, refused or unknown
	Reason  bearer.Reason   `json:"reason,omitempty"`
	Checks  []explainedStep `json:"checks"`
	// Trust is the issuer of a token of whom nothing is configured, as the token says, and
	// Section is that of the page about issuers which shows what to write for it.
	Trust   string `json:"trust,omitempty"`
	Section string `json:"section,omitempty"`
	// Session is what he would get, where a user was named.
	Session *explainedSession `json:"session,omitempty"`
}

type explainedStep struct {
	Check  bearer.Check  `json:"check"`
	Result string        `json:"result"` // ok, refused, unknown or skipped
	Reason bearer.Reason `json:"reason,omitempty"`
	Detail string        `json:"detail,omitempty"`
	Mend   string        `json:"mend,omitempty"`
	// Lines are what to write into the block of the issuer, where that helps, in place of the lines
	// that begin with the same words.
	Lines []string `json:"lines,omitempty"`
}

func (e *explainer) run(cmd *cobra.Command) error {
	if e.user != "" && sessions.CheckUserID(e.user) != nil {
		return fmt.Errorf("--user is no user id: it has 1 to 255 bytes, no control characters, and no blanks around it")
	}
	token, err := readToken(cmd.InOrStdin())
	if err != nil {
		return err
	}
	issuer := issuerClaim(token)
	site, err := e.loadSite(cmd.Context(), issuer)
	if errors.Is(err, errNoBlock) {
		return errors.Join(e.show(cmd.OutOrStdout(), &explained{Verdict: "unknown", Checks: []explainedStep{}, Trust: issuer, Section: sectionOf(issuer)}), err)
	}
	if err != nil {
		return err
	}
	site.token = token
	made := site.verifier.Explain(cmd.Context(), token)
	result := &explained{Issuer: site.Issuer, Verdict: "accepted", Checks: site.steps(made)}
	result.setVerdict(made.Refused())
	if e.user != "" && made.Caller != nil {
		result.Session = site.session(made.Caller, e.user, e.reason)
	}
	if result.Reason == bearer.ReasonUnknownIssuer {
		result.Trust, result.Section = issuer, sectionOf(issuer)
	}
	return errors.Join(e.show(cmd.OutOrStdout(), result), result.err())
}

func (e *explainer) show(w io.Writer, result *explained) error {
	if e.json {
		return printJSON(w, result)
	}
	return result.print(w)
}

// readToken reads a token, as people have them at hand: with blanks around it, or
// with the scheme before it.
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

// issuerClaim is what the token says, verified by nobody, to choose between several
// blocks by it.
func issuerClaim(token string) string { return new(bearer.Verifier).IssuerOf(token) }

// setVerdict sets what becomes of the token, whose checks end with that error.
func (r *explained) setVerdict(err error) {
	var refusal *bearer.Refusal
	switch {
	case errors.As(err, &refusal):
		r.Verdict, r.Reason = "refused", refusal.Reason
	case err == nil:
	default:
		r.Verdict = "unknown"
		for _, step := range r.Checks { // another check says no whatever the keys are
			if step.Result == "refused" {
				r.Verdict, r.Reason = "refused", step.Reason
				return
			}
		}
	}
}

// err is how the command ends.
func (r *explained) err() error {
	switch {
	case r.Verdict == "refused":
		return fmt.Errorf("the token is refused: %s", r.Reason)
	case r.Verdict == "unknown":
		return errors.New("unknown whether the token is good: the keys of its issuer are not at hand")
	case r.Session != nil && !r.Session.Allowed:
		return errors.New("the token is good, and the session is denied")
	default:
		return nil
	}
}

func (r *explained) print(w io.Writer) error {
	if len(r.Checks) == 0 {
		_, err := fmt.Fprintln(w, pointer(r.Trust, r.Section))
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
		fmt.Fprintf(w, "\n%s\n", pointer(r.Trust, r.Section))
	}
	if r.Session != nil {
		return r.Session.print(w)
	}
	return nil
}

// order is that of the checks.
var order = []bearer.Check{
	bearer.CheckForm, bearer.CheckHeader, bearer.CheckIssuer, bearer.CheckKey, bearer.CheckSignature,
	bearer.CheckType, bearer.CheckAudience, bearer.CheckTimes, bearer.CheckSubject,
}

// steps says what came of each check. Conditions are shown where there are some.
func (s *site) steps(made *bearer.Explanation) []explainedStep {
	byCheck := make(map[bearer.Check]bearer.Step)
	for _, step := range made.Steps {
		byCheck[step.Check] = step
	}
	steps := make([]explainedStep, 0, len(order)+1)
	for _, check := range order {
		shown := explainedStep{Check: check, Result: "skipped", Detail: "it needs what the checks before it did not find"}
		if step, done := byCheck[check]; done {
			shown = s.step(step, made)
		}
		steps = append(steps, shown)
	}
	if step, done := byCheck[bearer.CheckOnly]; done {
		steps = append(steps, s.step(step, made))
	}
	return steps
}

// step says what came of a check.
func (s *site) step(step bearer.Step, made *bearer.Explanation) explainedStep {
	shown := explainedStep{Check: step.Check, Result: "ok", Detail: s.detail(step.Check, made)}
	if refusal, ok := errors.AsType[*bearer.Refusal](step.Err); ok {
		advice := s.advise(refusal.Reason, made, time.Now())
		shown.Result, shown.Reason, shown.Mend, shown.Lines = "refused", refusal.Reason, advice.mend, advice.lines
	} else if step.Err != nil {
		name := s.issuerOf(made).Name
		advice := s.adviseKeys(name)
		shown.Result, shown.Mend, shown.Lines = "unknown", advice.mend, advice.lines
		if shown.Detail = s.keysFrom[name]; shown.Detail == "" {
			shown.Detail = "the keys of this issuer are not at hand"
		} else {
			shown.Detail = "it is not among the " + shown.Detail + ", and there may be newer ones"
		}
	}
	return shown
}

// keyName names the key that a header asks for.
func keyName(h jose.Header) string {
	if h.KeyID == "" {
		return h.Algorithm + ", without a kid"
	}
	return fmt.Sprintf("%s, kid %q", h.Algorithm, h.KeyID)
}
