// Command zitadel is an OpenID provider of Zitadel's own library, with the users and the storage
// of its example. It prints its port, and ends when its standard input does.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// client is the app that people sign in to: the audience of its tokens.
const client = "1696@project"

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String()
	storage.RegisterClients(storage.WebClient(client, "secret", "https://app.example.com/callback"))
	if site := os.Getenv("SIGN_IN_SITE"); site != "" { // whose people sign in here
		storage.RegisterClients(storage.WebClient("site", "site-secret", site+"/auth/sessions/sign-in/callback"))
	}
	p := &provider{Storage: storage.NewStorage(storage.NewUserStore(issuer))}
	p.rotate()
	router := exampleop.SetupServer(issuer, p, slog.New(slog.DiscardHandler), false, op.WithAllowInsecure())
	router.Post("/rotate", func(http.ResponseWriter, *http.Request) { p.rotate() })
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, router))
}

// A provider is the storage of the example with keys that rotate, JWTs for access tokens, and
// the roles of a project.
type provider struct {
	*storage.Storage

	mu   sync.Mutex
	keys []key // it signs with the last
}

func (p *provider) rotate() {
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, key{strconv.Itoa(len(p.keys) + 1), made})
}

// SigningKey returns the newest key.
func (p *provider) SigningKey(context.Context) (op.SigningKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1], nil
}

// SignatureAlgorithms returns that of all keys.
func (p *provider) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

// KeySet returns all keys.
func (p *provider) KeySet(context.Context) ([]op.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var public []op.Key
	for _, k := range p.keys {
		public = append(public, publicKey{k})
	}
	return public, nil
}

// GetClientByClientID returns a client of the example whose access tokens are JWTs.
func (p *provider) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	found, err := p.Storage.GetClientByClientID(ctx, id)
	return withJWTs{found}, err
}

// ClientCredentials returns a service user of the example whose access tokens are JWTs.
func (p *provider) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	found, err := p.Storage.ClientCredentials(ctx, id, secret)
	return withJWTs{found}, err
}

// ClientCredentialsTokenRequest makes the token one for the app's project.
func (p *provider) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{client}, Scopes: scopes}, nil
}

// GetPrivateClaimsFromScopes asserts the roles: those who are called id2 and sid1 are support.
func (p *provider) GetPrivateClaimsFromScopes(_ context.Context, user, _ string, _ []string) (map[string]any, error) {
	if user != "id2" && user != "sid1" {
		return nil, nil
	}
	return map[string]any{"urn:zitadel:iam:org:project:roles": map[string]any{"support": map[string]string{"1654": "acme.example.com"}}}, nil
}

type withJWTs struct{ op.Client }

// AccessTokenType says that access tokens are JWTs.
func (withJWTs) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

type key struct {
	id      string
	private *ecdsa.PrivateKey
}

func (k key) ID() string                                  { return k.id }
func (k key) Key() any                                    { return k.private }
func (k key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }

type publicKey struct{ key }

func (k publicKey) Key() any                           { return k.private.Public() }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k publicKey) Use() string                        { return "sig" }
