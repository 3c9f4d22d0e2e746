package caddymodule_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	josev4 "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"authsidecar/caddymodule/internal/sidecartest"
)

// storedKey returns the public half of a key that the sidecar made for itself:
// what a resource server gets from jwks.json.
func (s *sidecar) storedKey(use, kid string) *josev4.JSONWebKey {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "data", "caddy", "auth_sessions", "*", use+".json"))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("key files %v %v, want one", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		s.t.Fatal(err)
	}
	var stored struct {
		Keys []struct {
			JWK josev4.JSONWebKey `json:"jwk"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(data, &stored); err != nil {
		s.t.Fatal(err)
	}
	for _, k := range stored.Keys {
		if k.JWK.KeyID == kid {
			public := k.JWK.Public()
			return &public
		}
	}
	s.t.Fatalf("no %s key %s", use, kid)
	return nil
}

func TestM1_M2_M3_TokensVerifyWithALibraryThatIsNotOurs(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), ""))
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate", "client_id": nil, "azp": "desk"})
	got := s.Create(desk, `{"user_id":"alice","expires_in_millis":300000}`)
	sidecartest.WantStatus(t, got, 200)
	sidecartest.WantFields(t, got, map[string]any{"expires_in": 300.0})

	type claims struct {
		jwt.Claims
		Session  string            `json:"sid"`
		Client   string            `json:"client_id"`
		Gen      *int              `json:"gen"`
		Secret   string            `json:"rnd"`
		Actor    map[string]string `json:"act"`
		Impostor any               `json:"scope"`
	}
	read := func(field, use string, alg josev4.SignatureAlgorithm, typ string) claims {
		t.Helper()
		raw := got.Fields[field].(string)
		token, err := jwt.ParseSigned(raw, []josev4.SignatureAlgorithm{alg})
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		header := token.Headers[0]
		if header.ExtraHeaders["typ"] != typ || len(sidecartest.Part(t, raw, 0)) != 3 {
			t.Errorf("%s: header %v", field, sidecartest.Part(t, raw, 0))
		}
		var c claims
		if err := token.Claims(s.storedKey(use, header.KeyID), &c); err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		if c.Session != got.Fields["session_id"] || c.Client != "desk" || c.Subject != "alice" || c.Issuer != "https://app.example.com" {
			t.Errorf("%s: claims %+v", field, c)
		}
		if c.Actor["sub"] != "carol" || c.Actor["iss"] != provider.Issuer || len(c.Actor) != 2 {
			t.Errorf("%s: act %v", field, c.Actor)
		}
		life := c.Expiry.Time().Sub(c.IssuedAt.Time())
		if life < 299*time.Second || life > 300*time.Second {
			t.Errorf("%s: lives %v, want 5 minutes", field, life)
		}
		return c
	}

	refresh := read("refresh_token", "refresh", josev4.EdDSA, "rt+jwt")
	if !refresh.Audience.Contains("https://app.example.com/auth/sessions") || len(refresh.Audience) != 1 || refresh.Gen == nil || *refresh.Gen != 0 {
		t.Errorf("refresh token: %+v", refresh)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(refresh.Secret) || !regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(refresh.Session) {
		t.Errorf("M6: secret %d and id %d characters, want 128 bits", len(refresh.Secret), len(refresh.Session))
	}
	access := read("access_token", "access", josev4.ES256, "at+jwt")
	if !access.Audience.Contains("https://app.example.com") || access.ID == "" || access.Secret != "" || access.Gen != nil {
		t.Errorf("access token: %+v", access)
	}

	// Each has a key of its own: no resource server takes a refresh token.
	token, _ := jwt.ParseSigned(got.Fields["refresh_token"].(string), []josev4.SignatureAlgorithm{josev4.EdDSA, josev4.ES256})
	access2, _ := jwt.ParseSigned(got.Fields["access_token"].(string), []josev4.SignatureAlgorithm{josev4.ES256})
	if err := token.Claims(s.storedKey("access", access2.Headers[0].KeyID), &claims{}); err == nil {
		t.Error("the access key verifies a refresh token")
	}
}

func TestV18_OurOwnTokensCannotCreateSessions(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), ""))
	got := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, got, 200)
	sidecartest.WantProblem(t, s.Create(got.Fields["refresh_token"].(string), `{"user_id":"alice"}`), 401, "invalid_token")
	sidecartest.WantProblem(t, s.Create(got.Fields["access_token"].(string), `{"user_id":"alice"}`), 403, "insufficient_scope")
}

func TestS7_TheStoreHoldsNoToken(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), ""))
	token := provider.Token("alice", nil)
	for range 20 {
		sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 200)
	}
	s.Stop()
	seen := 0
	err := filepath.WalkDir(filepath.Join(s.Dir, "data"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		seen += len(data)
		if regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10}`).Match(data) {
			t.Errorf("%s holds what looks like a token", path)
		}
		info, _ := entry.Info()
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, want none for others", path, info.Mode())
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Errorf("read %d bytes: %v", seen, err)
	}
	if log := s.Log(); regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10}`).MatchString(log) {
		t.Error("L1: the log holds what looks like a token")
	}
}
