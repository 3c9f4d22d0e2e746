package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// oauthSecret has what clients have to encode in the Authorization header (RFC 6749 section 2.3.1).
const (
	oauthSecret = "a gateway's:secret%2Fof+more than 32 bytes"
	plainSecret = "another-secret-of-more-than-32-bytes"
)

// An oauthScene is what a foreign client is run with.
type oauthScene struct {
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	ID       string `json:"id"`
	Secret   string `json:"secret"`
	Caller   string `json:"caller"` // a JWT of alice

	*sidecartest.Sidecar `json:"-"`
}

// newOAuthScene starts a sidecar that can be discovered where it is.
func newOAuthScene(t *testing.T) *oauthScene {
	t.Helper()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Env = append(s.Env, "GATEWAY="+oauthSecret, "PLAIN="+plainSecret)
	s.Start(strings.Replace(provider.Site(s, sidecartest.Echo(t), `oauth {
			client gateway {
				secret {env.GATEWAY}
			}
			client plain {
				secret {env.PLAIN}
			}
		}`), "issuer "+sidecartest.Issuer+"\n", "issuer "+s.URL+"\n", 1))
	return &oauthScene{s.URL, s.URL, "gateway", oauthSecret, provider.Token("alice", nil), s}
}

// steps runs a program with the scene, and returns what it did.
func (s *oauthScene) steps(t *testing.T, cmd *exec.Cmd) (done []string) {
	t.Helper()
	scene, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "SCENE="+string(scene), "AUTHLIB_INSECURE_TRANSPORT=1")
	if err := json.Unmarshal([]byte(output(t, cmd)), &done); err != nil {
		t.Fatal(err)
	}
	return done
}

// foreign is the folder of the npm packages that tests run.
func foreign() string {
	return filepath.Join(sidecartest.Root(), "caddymodule", "docs", "testdata", "issuers")
}

// TestOAuth_ClientsOfOthersWork runs clients that nobody here wrote through a session's life: each
// refuses the refresh token where it takes the access token.
//
// Covers O2, O8, O9.
func TestOAuth_ClientsOfOthersWork(t *testing.T) {
	t.Parallel()
	life := []string{"exchange", "refresh", "introspect", "verify", "refuse", "revoke"}
	tests := map[string][]string{ // what each does, in its order
		"oauth4webapi":  slices.Concat([]string{"discovery"}, life, life), // by client_secret_basic and client_secret_post
		"openid-client": {"discovery", "exchange", "refresh", "introspect", "revoke", "refuse"},
		"simple-oauth2": {"refresh", "revoke"},
		"verifiers":     {"jose verify", "jose refuse", "express verify", "express refuse", "fastify verify", "fastify refuse"},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath("node"); err != nil {
				servertest.Missing(t, "Node", "apt-get install -y nodejs npm")
			}
			if _, err := os.Stat(filepath.Join(foreign(), "node_modules", "oauth4webapi")); err != nil {
				servertest.Missing(t, "npm package", "npm ci --prefix "+foreign())
			}
			got := newOAuthScene(t).steps(t, exec.Command("node", filepath.Join(foreign(), "clients", name+".mjs")))
			if !slices.Equal(got, want) {
				t.Errorf("it did %q, want %q", got, want)
			}
		})
	}
	t.Run("Authlib", func(t *testing.T) {
		t.Parallel()
		const python = "/usr/bin/python3"
		if err := exec.Command(python, "-c", "import authlib, requests").Run(); err != nil {
			servertest.Missing(t, "Authlib", "apt-get install -y python3-authlib python3-requests")
		}
		s := newOAuthScene(t)
		s.ID, s.Secret = "plain", plainSecret // it encodes nothing
		got := s.steps(t, exec.Command(python, filepath.Join(foreign(), "clients", "authlib_client.py")))
		if want := slices.Concat([]string{"discovery"}, life); !slices.Equal(got, want) {
			t.Errorf("it did %q, want %q", got, want)
		}
	})
}
