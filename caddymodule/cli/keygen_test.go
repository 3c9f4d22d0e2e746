package cli

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	outside "github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"
)

// runCommand runs a command with these arguments and returns what it printed.
func runCommand(cmd *cobra.Command, args ...string) (string, error) {
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.Execute()
	return out.String(), err
}

func mustRun(t *testing.T, cmd *cobra.Command, args ...string) string {
	t.Helper()
	out, err := runCommand(cmd, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// newKeyFiles makes a key pair and returns its files.
func newKeyFiles(t *testing.T, args ...string) (key, jwks string) {
	t.Helper()
	dir := t.TempDir()
	key, jwks = filepath.Join(dir, "idp.jwk"), filepath.Join(dir, "idp.jwks.json")
	if out := mustRun(t, keygenCommand(), append(args, "--output", key, "--jwks", jwks)...); out != "" {
		t.Errorf("printed %q, want silence", out)
	}
	return key, jwks
}

// verify checks a token with an implementation that is not ours and returns its
// header and claims.
func verify(t *testing.T, token string, jwks []byte) (outside.Header, map[string]any) {
	t.Helper()
	var set outside.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 || !set.Keys[0].IsPublic() || !set.Keys[0].Valid() {
		t.Fatalf("key set %s, want one public key", jwks)
	}
	algorithms := []outside.SignatureAlgorithm{outside.SignatureAlgorithm(set.Keys[0].Algorithm)}
	signed, err := outside.ParseSigned(token, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(&set.Keys[0])
	if err != nil {
		t.Fatalf("verifying %s with %s: %v", token, jwks, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Header, claims
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestM2_TokenCommandMintsWhatAnOutsideLibraryVerifies(t *testing.T) {
	for _, algorithm := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		t.Run(algorithm, func(t *testing.T) {
			key, jwks := newKeyFiles(t, "--algorithm", algorithm)
			before := time.Now().Unix()
			out := mustRun(t, tokenCommand(), "--key", key, "--issuer", "https://idp.example.com", "--sub", "carol",
				"--audience", "https://app.example.com/auth/sessions", "--scope", "openid sessions:impersonate",
				"--client-id", "desk", "--claim", `roles=["support"]`, "--claim", `level=4`, "--ttl", "5m")
			if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") {
				t.Errorf("printed %q, want a line", out)
			}
			header, claims := verify(t, strings.TrimSpace(out), readFile(t, jwks))
			if header.Algorithm != algorithm || header.KeyID == "" || header.ExtraHeaders["typ"] != "at+jwt" {
				t.Errorf("header %+v", header)
			}
			issued, _ := claims["iat"].(float64)
			expires, _ := claims["exp"].(float64)
			if int64(issued) < before || expires-issued != 300 {
				t.Errorf("iat %v, exp %v, now %v", issued, expires, before)
			}
			if id, _ := claims["jti"].(string); len(id) < 22 {
				t.Errorf("jti %q is short of 128 bits", id)
			}
			for _, name := range []string{"iat", "exp", "jti"} {
				delete(claims, name)
			}
			got, _ := json.Marshal(claims)
			want := `{"aud":"https://app.example.com/auth/sessions","client_id":"desk","iss":"https://idp.example.com","level":4,"roles":["support"],"scope":"openid sessions:impersonate","sub":"carol"}`
			if string(got) != want {
				t.Errorf("claims %s, want %s", got, want)
			}
		})
	}
}

// GHSA-4cf7-xm37-g63h: the name of a claim stays a name, whatever is in it.
func TestM8_TokenCommandEscapesClaimNames(t *testing.T) {
	key, jwks := newKeyFiles(t)
	const name = `x":0,"admin`
	out := mustRun(t, tokenCommand(), "--key", key, "--issuer", "i", "--sub", "s", "--audience", "a", "--claim", name+"=true")
	_, claims := verify(t, strings.TrimSpace(out), readFile(t, jwks))
	if claims["admin"] != nil || claims[name] != true {
		t.Errorf("claims %v", claims)
	}
}

func TestTokenCommand_OtherTypesAndAudiences(t *testing.T) {
	key, jwks := newKeyFiles(t)
	base := []string{"--key", key, "--issuer", "i", "--sub", "s", "--audience", "a"}
	header, claims := verify(t, strings.TrimSpace(mustRun(t, tokenCommand(), append(base, "--audience", "b", "--type", "none")...)), readFile(t, jwks))
	if _, ok := header.ExtraHeaders["typ"]; ok {
		t.Errorf("header %+v, want no typ", header)
	}
	if got, _ := json.Marshal(claims["aud"]); string(got) != `["a","b"]` {
		t.Errorf("aud %s", got)
	}
	if _, ok := claims["scope"]; ok || claims["client_id"] != "dev" {
		t.Errorf("claims %v", claims)
	}
}

func TestTokenCommand_SaysWhatIsWrong(t *testing.T) {
	key, jwks := newKeyFiles(t)
	base := []string{"--key", key, "--issuer", "i", "--sub", "s", "--audience", "a"}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no key", []string{"--issuer", "i", "--sub", "s", "--audience", "a"}, "--key is required"},
		{"no issuer", []string{"--key", key, "--sub", "s", "--audience", "a"}, "--issuer is required"},
		{"no subject", []string{"--key", key, "--issuer", "i", "--audience", "a"}, "--sub is required"},
		{"no audience", []string{"--key", key, "--issuer", "i", "--sub", "s"}, "--audience is required"},
		{"no such key", []string{"--key", key + "x", "--issuer", "i", "--sub", "s", "--audience", "a"}, "no such file"},
		{"a public key", []string{"--key", jwks, "--issuer", "i", "--sub", "s", "--audience", "a"}, "is not a private key"},
		{"a time that is none", append(slices.Clone(base), "--ttl", "soon"), `--ttl "soon"`},
		{"no time", append(slices.Clone(base), "--ttl", "0s"), `--ttl "0s"`},
		{"less than no time", append(slices.Clone(base), "--ttl", "-1m"), `--ttl "-1m"`},
		{"an empty type", append(slices.Clone(base), "--type", ""), "--type is required"},
		{"a claim without value", append(slices.Clone(base), "--claim", "roles"), "write name=json"},
		{"a claim without name", append(slices.Clone(base), "--claim", "=1"), "write name=json"},
		{"a claim that is no JSON", append(slices.Clone(base), "--claim", "dept=support"), `--claim 'dept="text"'`},
		{"a claim of two values", append(slices.Clone(base), "--claim", "a=1,2"), "is no JSON"},
		{"a claim twice", append(slices.Clone(base), "--claim", "a=1", "--claim", "a=2"), "given twice"},
		{"a claim that a flag sets", append(slices.Clone(base), "--claim", `sub="root"`), "set by --sub"},
		{"a claim that nobody sets", append(slices.Clone(base), "--claim", `exp=1`), "set by --ttl"},
		{"a word too much", append(slices.Clone(base), "extra"), "unknown command"},
		{"an unknown flag", append(slices.Clone(base), "--scopes", "x"), "unknown flag"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := runCommand(tokenCommand(), tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if out != "" {
				t.Errorf("printed %q", out)
			}
		})
	}
}

func TestKeygenCommand_PrintsWhatHasNoFile(t *testing.T) {
	private, public, ok := strings.Cut(strings.TrimSpace(mustRun(t, keygenCommand())), "\n")
	if !ok || !strings.Contains(private, `"d":`) || strings.Contains(public, `"d":`) || !strings.HasPrefix(public, `{"keys":[{`) {
		t.Errorf("printed\n%s\n%s\nwant a private key and a public set", private, public)
	}
	key := filepath.Join(t.TempDir(), "a.jwk")
	if out := mustRun(t, keygenCommand(), "--output", key); strings.Contains(out, `"d":`) || strings.Count(out, "\n") != 1 {
		t.Errorf("printed %q, want the public set alone", out)
	}
}

func TestKeygenCommand_GuardsFiles(t *testing.T) {
	key, jwks := newKeyFiles(t)
	for file, want := range map[string]fs.FileMode{key: 0o600, jwks: 0o644} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v, %v", file, info.Mode(), want, err)
		}
	}
	before := readFile(t, key)
	other := filepath.Join(t.TempDir(), "other.jwk")
	for _, args := range [][]string{{"--output", key}, {"--output", other, "--jwks", jwks}} {
		if _, err := runCommand(keygenCommand(), args...); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%v: error %v, want one that names --force", args, err)
		}
	}
	if !bytes.Equal(before, readFile(t, key)) {
		t.Error("the key was overwritten")
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("half a pair was written")
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	mustRun(t, keygenCommand(), "--output", key, "--force")
	if bytes.Equal(before, readFile(t, key)) {
		t.Error("the key was not overwritten")
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("overwritten with mode %v, %v", info.Mode(), err)
	}
}

func TestKeygenCommand_SaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an unknown algorithm", []string{"--algorithm", "ES999"}, "choose from ES256"},
		{"none", []string{"--algorithm", "none"}, "choose from ES256"},
		{"HMAC", []string{"--algorithm", "HS256"}, "openssl rand"},
		{"one file for both", []string{"--output", "a.json", "--jwks", "./a.json"}, "a file each"},
		{"no such directory", []string{"--output", "/nonexistent/a.jwk"}, "no such file"},
		{"a word too much", []string{"extra"}, "unknown command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := runCommand(keygenCommand(), tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || out != "" {
				t.Errorf("error %v, want %q in it; printed %q", err, tt.want, out)
			}
		})
	}
}
