package interop

import (
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	"github.com/zitadel/oidc/v3/pkg/client/tokenexchange"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"authsidecar/caddymodule/internal/sidecartest"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtType       = "urn:ietf:params:oauth:token-type:jwt"
)

// golang.org/x/oauth2 exchanges and refreshes, with what go-oidc discovered, and go-oidc verifies.
func TestOAuth_GoOIDCAndXOAuth2Work(t *testing.T) {
	t.Parallel()
	s := newOAuthScene(t)
	provider, err := oidc.NewProvider(t.Context(), s.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
		endpoint := provider.Endpoint()
		endpoint.AuthStyle = style
		exchange := clientcredentials.Config{ClientID: s.ID, ClientSecret: s.Secret, TokenURL: endpoint.TokenURL, AuthStyle: style, EndpointParams: url.Values{
			"grant_type": {exchangeGrant}, "subject_token": {s.Caller}, "subject_token_type": {jwtType},
		}}
		exchanged, err := exchange.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		config := oauth2.Config{ClientID: s.ID, ClientSecret: s.Secret, Endpoint: endpoint}
		old := &oauth2.Token{RefreshToken: exchanged.RefreshToken, Expiry: time.Now().Add(-time.Hour)}
		tokens, err := config.TokenSource(t.Context(), old).Token()
		if err != nil {
			t.Fatal(err)
		}
		sidecartest.Remember(tokens.AccessToken)
		sidecartest.Remember(tokens.RefreshToken)
		if tokens.RefreshToken == exchanged.RefreshToken || !tokens.Valid() {
			t.Error("it did not refresh")
		}
		verifier := provider.Verifier(&oidc.Config{ClientID: s.Audience})
		verified, err := verifier.Verify(t.Context(), tokens.AccessToken)
		if err != nil || verified.Subject != "alice" {
			t.Errorf("the access token: %v, %v", verified, err)
		}
		if _, err := verifier.Verify(t.Context(), tokens.RefreshToken); err == nil {
			t.Error("the refresh token passed for an access token")
		}
	}
}

// Zitadel's library discovers, exchanges, refreshes, introspects and revokes.
func TestOAuth_ZitadelWorks(t *testing.T) {
	t.Parallel()
	s := newOAuthScene(t)
	ctx := t.Context()
	metadata, err := client.Discover(ctx, s.Issuer, s.Client)
	if err != nil || metadata.Issuer != s.Issuer || metadata.JwksURI != s.Issuer+"/auth/sessions/jwks.json" {
		t.Fatalf("%+v, %v", metadata, err)
	}
	exchanger, err := tokenexchange.NewTokenExchangerClientCredentials(ctx, s.Issuer, s.ID, s.Secret)
	if err != nil {
		t.Fatal(err)
	}
	exchanged, err := tokenexchange.ExchangeToken(ctx, exchanger, s.Caller, zitadel.JWTTokenType, "", "", nil, nil, nil, zitadel.AccessTokenType)
	if err != nil {
		t.Fatal(err)
	}
	party, err := rp.NewRelyingPartyOIDC(ctx, s.Issuer, s.ID, s.Secret, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, party, exchanged.RefreshToken, "", "")
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.Remember(tokens.AccessToken)
	sidecartest.Remember(tokens.RefreshToken)
	server, err := rs.NewResourceServerClientCredentials(ctx, s.Issuer, s.ID, s.Secret)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() *zitadel.IntrospectionResponse {
		t.Helper()
		answer, err := rs.Introspect[*zitadel.IntrospectionResponse](ctx, server, tokens.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if got := ask(); !got.Active || got.Subject != "alice" || got.ClientID != s.ID || got.Claims["sid"] == nil {
		t.Errorf("introspection says %+v", got)
	}
	keys := rp.NewRemoteKeySet(s.Client, metadata.JwksURI)
	verifier := rp.NewIDTokenVerifier(s.Issuer, s.Audience, keys)
	if claims, err := rp.VerifyIDToken[*zitadel.IDTokenClaims](ctx, tokens.AccessToken, verifier); err != nil || claims.Subject != "alice" {
		t.Errorf("the access token: %+v, %v", claims, err)
	}
	if _, err := rp.VerifyIDToken[*zitadel.IDTokenClaims](ctx, tokens.RefreshToken, verifier); err == nil {
		t.Error("the refresh token passed for an access token")
	}
	if err := rp.RevokeToken(ctx, party, tokens.RefreshToken, "refresh_token"); err != nil {
		t.Error(err)
	}
	if ask().Active {
		t.Error("it is active after it was revoked")
	}
}
