package docs

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/pebblestore"
	"authsidecar/sessions/revocation"
)

// What library.md shows begins here.

func open(dir string, refresh, access *jose.PrivateKey, verifier *bearer.Verifier) (*sessions.Manager, error) {
	store, err := pebblestore.Open(pebblestore.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	keys := keyring.New()
	err = errors.Join(
		keys.Refresh.Set([]keyring.Record{{Key: refresh}}),
		keys.Access.Set([]keyring.Record{{Key: access}}),
	)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	const issuer = "https://app.example.com"
	day := 24 * time.Hour
	return &sessions.Manager{
		Realm:       issuer,
		Store:       store,
		Revocations: &revocation.Watcher{Store: store},
		Trusted:     verifier.Trust,
		Policy:      &sessions.Policy{AllowSelf: true},
		Own:         sessions.Lifetimes{TTL: 30 * day, MaxTTL: 365 * day, Idle: 14 * day},
		Minter: &sessions.Minter{
			Issuer:          issuer,
			RefreshAudience: issuer + "/auth/sessions",
			AccessAudience:  []string{issuer},
			AccessTTL:       10 * time.Minute,
			Keys:            keys,
		},
	}, nil
}

func create(ctx context.Context, manager *sessions.Manager, verifier *bearer.Verifier, token string) (*sessions.Grant, error) {
	caller, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	return manager.Create(ctx, &sessions.CreateRequest{Caller: caller, UserID: caller.Subject})
}

// What library.md shows ends here.

func TestLibrary_ThePageShowsWhatWorks(t *testing.T) {
	page, err := os.ReadFile("library.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("library_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(source), "// What library.md shows begins here.\n\n")
	shown, _, found := strings.Cut(shown, "\n// What library.md shows ends here.\n")
	if !found || !strings.Contains(string(page), "```go\n"+shown+"```\n") {
		t.Errorf("library.md does not show:\n%s", shown)
	}
	wantImports(t, string(page), shown)
	const name, audience = "https://idp.example.com", "https://app.example.com/auth/sessions"
	key := newKey(t)
	issuer := keyring.New().Access
	if err := issuer.Set([]keyring.Record{{Key: key}}); err != nil {
		t.Fatal(err)
	}
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{{Name: name, Keys: issuer, Audiences: []string{audience}, Users: true}}})
	if err != nil {
		t.Fatal(err)
	}
	manager, err := open(filepath.Join(t.TempDir(), "store"), newKey(t), newKey(t), verifier)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Store.(*pebblestore.Store).Close() }()
	now := time.Now()
	token, err := key.Sign([]byte(`{"alg":"ES256","kid":"`+key.ID()+`","typ":"at+jwt"}`), fmt.Appendf(nil,
		`{"iss":%q,"sub":"alice","aud":%q,"client_id":"app","iat":%d,"exp":%d}`, name, audience, now.Unix(), now.Add(time.Minute).Unix()))
	if err != nil {
		t.Fatal(err)
	}
	grant, err := create(t.Context(), manager, verifier, token)
	if err != nil {
		t.Fatal(err)
	}
	if grant.Session.UserID != "alice" || grant.RefreshToken == "" {
		t.Errorf("the session is %+v", grant.Session)
	}
}

// wantImports checks that the first block of the page imports what the code uses, and nothing else.
func wantImports(t *testing.T, page, code string) {
	t.Helper()
	_, imports, _ := strings.Cut(page, "```go\n")
	imports, _, _ = strings.Cut(imports, "```\n")
	file, err := parser.ParseFile(token.NewFileSet(), "library.go", "package library\n"+imports+code, 0)
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if of, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := of.X.(*ast.Ident); ok && name.Obj == nil {
				used[name.Name] = true
			}
		}
		return true
	})
	for _, at := range file.Imports {
		name := path.Base(strings.Trim(at.Path.Value, `"`))
		if !used[name] {
			t.Errorf("the page imports %s, which its code does not use", name)
		}
		delete(used, name)
	}
	for name := range used {
		t.Errorf("the page does not import %s", name)
	}
}

func newKey(t *testing.T) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
