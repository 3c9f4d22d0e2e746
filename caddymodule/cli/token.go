package cli

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"authsidecar/sessions/jose"
)

// A tokenMaker mints a caller's token, as its flags say.
type tokenMaker struct {
	key      string
	issuer   string
	subject  string
	audience []string
	scope    string
	clientID string
	claims   []string
	ttl      string
	typ      string
}

func tokenCommand() *cobra.Command {
	m := new(tokenMaker)
	cmd := &cobra.Command{
		Use:   "token --key <file> --issuer <iss> --sub <sub> --audience <aud> [--scope <scopes>] [--client-id <id>] [--claim <name>=<json>] [--ttl <duration>] [--type <typ>]",
		Short: "Mints a token for a caller",
		Long: `
Mints an access token (RFC 9068) as an identity provider would issue it to a caller, and
prints nothing else. The sidecar accepts it if it trusts the issuer with the public half
of the key.

A user's token:

	$ caddy auth-sessions token --key idp.jwk --issuer https://idp.example.com \
		--audience https://app.example.com/auth/sessions --sub alice

A support desk's token, with a scope and more claims. The value of a claim is JSON, so
text needs quotes:

	$ caddy auth-sessions token --key idp.jwk --issuer https://idp.example.com \
		--audience https://app.example.com/auth/sessions --sub carol --client-id desk \
		--scope "openid sessions:impersonate" --claim 'roles=["support"]' --claim 'dept="a"'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := m.make(time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	m.addFlags(cmd.Flags())
	return cmd
}

func (m *tokenMaker) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&m.key, "key", "k", "", "File with the private key, PEM or JWK (required)")
	flags.StringVarP(&m.issuer, "issuer", "i", "", "The issuer, iss (required)")
	flags.StringVarP(&m.subject, "sub", "s", "", "Whose token it is, sub (required)")
	flags.StringArrayVarP(&m.audience, "audience", "a", nil, "Whom it is for, aud (required, repeatable)")
	flags.StringVar(&m.scope, "scope", "", "Its scopes, with blanks between them")
	flags.StringVar(&m.clientID, "client-id", "dev", "The client that it was given to, client_id")
	flags.StringArrayVarP(&m.claims, "claim", "c", nil, "Another claim, as name=json (repeatable)")
	flags.StringVar(&m.ttl, "ttl", "10m", "How long it is good for")
	flags.StringVar(&m.typ, "type", "at+jwt", "The header typ; none for none")
}

// make mints the token.
func (m *tokenMaker) make(now time.Time) (string, error) {
	claims, err := m.payload(now)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(m.key)
	if err != nil {
		return "", fmt.Errorf("--key: %w", err)
	}
	key, err := jose.ParsePrivate(data, "")
	if err != nil {
		return "", fmt.Errorf("--key %s is not a private key: %w; make one with: caddy auth-sessions keygen --output %s", m.key, err, m.key)
	}
	typ := m.typ
	if typ == "none" {
		typ = ""
	}
	header, err := key.Header(typ)
	if err != nil {
		return "", err
	}
	token, err := key.Sign(header, claims)
	if err != nil {
		return "", fmt.Errorf("signing the token: %w", err)
	}
	return token, nil
}

// payload serializes the claims from a map, so that any name is escaped.
func (m *tokenMaker) payload(now time.Time) ([]byte, error) {
	if err := m.required(); err != nil {
		return nil, err
	}
	ttl, err := caddy.ParseDuration(m.ttl)
	if err != nil || ttl < time.Second {
		return nil, fmt.Errorf("--ttl %q is not a lifetime: write at least a second, as in --ttl 10m", m.ttl)
	}
	claims := map[string]any{
		"iss": m.issuer, "sub": m.subject, "aud": m.audience, "client_id": m.clientID,
		"iat": now.Unix(), "exp": now.Add(ttl).Unix(), "jti": rand.Text(),
	}
	if len(m.audience) == 1 {
		claims["aud"] = m.audience[0]
	}
	if m.scope != "" {
		claims["scope"] = m.scope
	}
	for _, claim := range m.claims {
		if err := addClaim(claims, claim); err != nil {
			return nil, err
		}
	}
	return json.Marshal(claims)
}

func (m *tokenMaker) required() error {
	needs := []struct{ flag, value, example string }{
		{"key", m.key, "idp.jwk"},
		{"issuer", m.issuer, "https://idp.example.com"},
		{"sub", m.subject, "alice"},
		{"audience", strings.Join(m.audience, " "), "https://app.example.com/auth/sessions"},
		{"client-id", m.clientID, "dev"},
		{"type", m.typ, "at+jwt"},
	}
	for _, need := range needs {
		if need.value == "" {
			return fmt.Errorf("--%s is required, as in: --%s %s", need.flag, need.flag, need.example)
		}
	}
	return nil
}

// byFlag are the claims that --claim cannot set, with the flag that sets them.
var byFlag = map[string]string{
	"iss": "--issuer", "sub": "--sub", "aud": "--audience", "client_id": "--client-id", "scope": "--scope",
	"exp": "--ttl", "iat": "the clock", "jti": "chance",
}

func addClaim(claims map[string]any, claim string) error {
	name, value, ok := strings.Cut(claim, "=")
	if !ok || name == "" {
		return fmt.Errorf("--claim %q has no name and value: write name=json, as in: --claim 'roles=[\"support\"]'", claim)
	}
	if flag, ok := byFlag[name]; ok {
		return fmt.Errorf("--claim %s: that claim is set by %s: remove it", name, flag)
	}
	if _, again := claims[name]; again {
		return fmt.Errorf("--claim %s is given twice: keep one", name)
	}
	if !json.Valid([]byte(value)) {
		return fmt.Errorf("--claim %s is no JSON: text needs quotes, as in: --claim '%s=\"text\"'", name, name)
	}
	claims[name] = json.RawMessage(value)
	return nil
}
