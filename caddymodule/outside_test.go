package caddymodule_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// Access tokens verify with client libraries that fetch our key set and keep it.

func TestM2_AccessTokensVerifyWithGoOIDC(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	got := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
	keys := oidc.NewRemoteKeySet(context.Background(), s.URL+"/auth/sessions/jwks.json")
	for range 2 { // fetched, and kept
		claims, err := keys.VerifySignature(context.Background(), got.Text("access_token"))
		if err != nil || !strings.Contains(string(claims), `"sub":"alice"`) {
			t.Errorf("access token: %v", err)
		}
	}
	if _, err := keys.VerifySignature(context.Background(), got.Text("refresh_token")); err == nil {
		t.Error("M1: a refresh token passes for an access token")
	}
}

const pyjwt = `
import sys, jwt
keys = jwt.PyJWKClient(sys.argv[1])
for _ in range(2):
    key = keys.get_signing_key_from_jwt(sys.argv[2])
    claims = jwt.decode(sys.argv[2], key.key, algorithms=["ES256"], audience="https://app.example.com", issuer="https://app.example.com",
                        options={"require": ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]})
print(claims["sub"])
try:
    keys.get_signing_key_from_jwt(sys.argv[3])
except jwt.PyJWKClientError:
    print("refused")
`

func TestM2_AccessTokensVerifyWithPyJWT(t *testing.T) {
	t.Parallel()
	python := pythonWithJWT(t)
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	got := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
	cmd := exec.Command(python, "-c", pyjwt, s.URL+"/auth/sessions/jwks.json", got.Text("access_token"), got.Text("refresh_token"))
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "alice\nrefused\n" {
		t.Errorf("PyJWT says %q, %v", out, err)
	}
}

// pythonWithJWT finds a Python that has PyJWT.
func pythonWithJWT(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import jwt, cryptography").Run() == nil {
			return python
		}
	}
	servertest.Missing(t, "Python with PyJWT", "apt-get install -y python3-jwt python3-cryptography")
	return ""
}
