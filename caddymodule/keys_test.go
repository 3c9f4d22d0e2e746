package caddymodule_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/jose"
)

// secretFiles returns what a storage keeps of our issuer, by file name, and
// expects that nobody else can read it.
func secretFiles(t *testing.T, storage string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(storage, "auth_sessions", "*app.example.com-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", path, info.Mode())
		}
		files[info.Name()] = data
	}
	return files
}

// kidsOf returns the ids of the keys in a stored file.
func kidsOf(t *testing.T, data []byte) []string {
	t.Helper()
	var stored struct {
		Keys []struct {
			JWK struct {
				ID string `json:"kid"`
			} `json:"jwk"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	var kids []string
	for _, k := range stored.Keys {
		kids = append(kids, k.JWK.ID)
	}
	return kids
}

// Ten processes that start together on one storage agree on one key of each kind
// and on one secret.
func TestKeys_TenProcessesStartTogether(t *testing.T) {
	t.Parallel()
	const nodes = 10
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	app := sidecartest.Echo(t)
	storage := t.TempDir()
	sidecars := make([]*sidecar, nodes)
	for i := range sidecars {
		s := newSidecar(t)
		s.Global = "\tstorage file_system " + storage + "\n"
		s.Run(provider.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tstore pebble DIR/store"))
		sidecars[i] = s
	}
	var group sync.WaitGroup
	for _, s := range sidecars {
		group.Go(func() {
			if err := s.Wait(); err != nil {
				t.Errorf("%v\n%s", err, s.Log())
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}

	files := secretFiles(t, storage)
	if len(files) != 3 || files["refresh.json"] == nil || files["access.json"] == nil || files["id_secret"] == nil {
		t.Fatalf("the storage has %d files", len(files))
	}
	want := map[string]string{}
	for field, file := range map[string]string{"refresh_token": "refresh.json", "access_token": "access.json"} {
		kids := kidsOf(t, files[file])
		if len(kids) != 1 {
			t.Fatalf("%s has %d keys, want one", file, len(kids))
		}
		want[field] = kids[0]
	}
	token, first := provider.Token("alice", nil), ""
	for i, s := range sidecars {
		got := s.Create(token, `{"user_id":"alice"}`, "Idempotency-Key", "same")
		sidecartest.WantStatus(t, got, 200)
		for field, kid := range want {
			if have := sidecartest.Part(t, got.Text(field), 0)["kid"]; have != kid {
				t.Errorf("node %d signs its %s with %v, want %s", i, field, have, kid)
			}
		}
		if id := got.Text("session_id"); first == "" {
			first = id
		} else if id != first {
			t.Errorf("node %d makes another session id of the same idempotency key: its secret differs", i)
		}
		sidecartest.WantStatus(t, s.Refresh(got.Text("refresh_token")), 200)
	}
	for name, data := range secretFiles(t, storage) {
		if !bytes.Equal(data, files[name]) {
			t.Errorf("%s changed", name)
		}
	}
}

// A restart goes on with the keys that are there.
func TestKeys_ARestartKeepsThem(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	config := provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle)
	s.Start(config)
	token := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`).Text("refresh_token")
	before := secretFiles(t, filepath.Join(s.Dir, "data", "caddy"))
	s.Stop()
	s.Start(config)
	sidecartest.WantStatus(t, s.Refresh(token), 200)
	for name, data := range secretFiles(t, filepath.Join(s.Dir, "data", "caddy")) {
		if !bytes.Equal(data, before[name]) {
			t.Errorf("%s changed", name)
		}
	}
}

// What cannot be read ends the start, by a message that names the file and shows
// none of it, and stays as it was.
func TestKeys_DamageIsAStartUpError(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	config := provider.Site(s.Sidecar, sidecartest.Echo(t), "")
	s.Start(config)
	sidecartest.WantStatus(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`), 200)
	s.Stop()
	storage := filepath.Join(s.Dir, "data", "caddy")
	good := secretFiles(t, storage)
	if len(good) != 3 {
		t.Fatalf("%d files", len(good))
	}
	damages := []struct {
		name string
		make func(good []byte) []byte
	}{
		{"empty", func([]byte) []byte { return nil }},
		{"half", func(good []byte) []byte { return good[:len(good)/2] }},
		{"zeros", func(good []byte) []byte { return make([]byte, len(good)) }},
		{"an empty object", func([]byte) []byte { return []byte("{}") }},
		{"without keys", func([]byte) []byte { return []byte(`{"v":1,"keys":[]}`) }},
		{"of a newer release", func(good []byte) []byte { return bytes.Replace(good, []byte(`"v":1`), []byte(`"v":2`), 1) }},
	}
	for name, data := range good {
		path, err := filepath.Glob(filepath.Join(storage, "auth_sessions", "*app.example.com-*", name))
		if err != nil || len(path) != 1 {
			t.Fatal(path, err)
		}
		for _, damage := range damages {
			damaged := damage.make(data)
			if bytes.Equal(damaged, data) {
				continue // the secret has no release
			}
			t.Run(name+", "+damage.name, func(t *testing.T) {
				s.t = t
				if err := os.WriteFile(path[0], damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				said := s.StartRefused(config)
				if !strings.Contains(said, name) || !strings.Contains(said, "restore it from a backup") {
					t.Errorf("it does not say what is wrong, and what to do:\n%s", said)
				}
				wantNoSecret(t, said, data)
				after, err := os.ReadFile(path[0])
				if err != nil || !bytes.Equal(after, damaged) {
					t.Errorf("the file was replaced: %v", err)
				}
			})
		}
		s.t = t
		t.Run(name+", unreadable", func(t *testing.T) {
			s.t = t
			// A directory in its place: no mode keeps root from reading a file.
			if err := os.Remove(path[0]); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path[0], 0o700); err != nil {
				t.Fatal(err)
			}
			if said := s.StartRefused(config); !strings.Contains(said, name) {
				t.Errorf("it does not name the file:\n%s", said)
			}
			if info, err := os.Stat(path[0]); err != nil || !info.IsDir() {
				t.Errorf("it was replaced: %v", err)
			}
			if err := os.Remove(path[0]); err != nil {
				t.Fatal(err)
			}
		})
		s.t = t
		if err := os.WriteFile(path[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Start(config) // and with what was restored it starts
}

// wantNoSecret expects that a text shows no private part of the stored keys.
func wantNoSecret(t *testing.T, text string, stored []byte) {
	t.Helper()
	private := string(stored)
	if _, rest, found := strings.Cut(private, `"d":"`); found {
		private, _, _ = strings.Cut(rest, `"`)
	}
	if len(private) < 40 {
		t.Fatal("no private part: nothing is tested")
	}
	for i := 0; i+12 <= len(private); i++ {
		if strings.Contains(text, private[i:i+12]) {
			t.Fatal("it shows a part of the secret")
		}
	}
}

// pemOf returns a private key as PKCS #8.
func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func jwkOf(t *testing.T, alg jose.Algorithm) string {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	data, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// An operator's keys sign; none is generated beside them.
func TestKeys_OfTheOperator(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]struct{ refresh, access string }{
		"PEM": {pemOf(t, edKey(t)), pemOf(t, ecKey(t, elliptic.P256()))},
		"JWK": {jwkOf(t, jose.EdDSA), jwkOf(t, jose.ES256)},
	} {
		t.Run(name, func(t *testing.T) {
			provider := sidecartest.NewIDP(t, "https://idp.example.com")
			s := newSidecar(t)
			s.Write("refresh.key", keys.refresh)
			s.Write("access.key", keys.access)
			config := provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+`
		refresh_token {
			key DIR/refresh.key
		}
		access_token {
			key DIR/access.key
		}`)
			s.Start(config)
			got := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
			sidecartest.WantStatus(t, got, 200)
			got = s.Refresh(got.Text("refresh_token"))
			sidecartest.WantStatus(t, got, 200)
			for field, text := range map[string]string{"refresh_token": keys.refresh, "access_token": keys.access} {
				key, err := jose.ParsePrivate([]byte(text), "")
				if err != nil {
					t.Fatal(err)
				}
				token, err := jose.Parse(got.Text(field))
				if err != nil {
					t.Fatal(err)
				}
				if err := token.Verify(key.Public(), nil); err != nil || token.Header.KeyID != key.ID() {
					t.Errorf("%s is not signed with the operator's key: %v", field, err)
				}
			}
			for file := range secretFiles(t, filepath.Join(s.Dir, "data", "caddy")) {
				if file != "id_secret" {
					t.Errorf("%s was generated", file)
				}
			}
			s.Stop()
			s.Start(config)
			sidecartest.WantStatus(t, s.Refresh(got.Text("refresh_token")), 200)
		})
	}
}

// A weak or a wrong key is refused before anything starts.
func TestKeys_OfTheOperatorAreChecked(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // to be refused
	if err != nil {
		t.Fatal(err)
	}
	ed, ec := edKey(t), ecKey(t, elliptic.P256())
	public, err := x509.MarshalPKIXPublicKey(ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk := jwkOf(t, jose.EdDSA)
	_, rest, _ := strings.Cut(jwk, `"d":"`)
	d, _, _ := strings.Cut(rest, `"`)
	tests := []struct {
		name, block, more, key string
	}{
		{"a curve of another algorithm", "refresh_token", "", pemOf(t, ec)},
		{"an Ed25519 key for ES256", "access_token", "", pemOf(t, ed)},
		{"P-384 for ES256", "access_token", "", pemOf(t, ecKey(t, elliptic.P384()))},
		{"P-224", "access_token", "", pemOf(t, ecKey(t, elliptic.P224()))},
		{"a JWK for another algorithm", "access_token", "", jwkOf(t, jose.ES384)},
		{"RSA of 1024 bits", "refresh_token", "algorithm RS256", pemOf(t, weak)},
		{"RSA of 1024 bits for access tokens", "access_token", "algorithm PS256", pemOf(t, weak)},
		{"a public key", "refresh_token", "", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))},
		{"a JWK without its private part", "refresh_token", "", strings.Replace(jwk, `"d":`, `"e":`, 1)},
		{"a JWK whose parts do not fit", "refresh_token", "", strings.Replace(jwk, d, strings.Repeat("A", 43), 1)},
		{"a JWK for encryption", "refresh_token", "", strings.Replace(jwk, `"use":"sig"`, `"use":"enc"`, 1)},
		{"a symmetric JWK", "refresh_token", "", fmt.Sprintf(`{"kty":"oct","k":%q}`, d)},
		{"a JWK set", "refresh_token", "", `{"keys":[` + jwk + `]}`},
		{"two keys", "refresh_token", "", pemOf(t, ed) + pemOf(t, edKey(t))},
		{"half a key", "refresh_token", "", pemOf(t, ed)[:80]},
		{"an empty file", "refresh_token", "", ""},
		{"rubbish", "refresh_token", "", "rubbish"},
	}
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	texts := make(map[string]string)
	validate := func(name, block, more string) (folder string) {
		folder = filepath.Join(s.Dir, fmt.Sprint(len(texts)))
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		texts[name] = provider.Site(s.Sidecar, "http://127.0.0.1:1", fmt.Sprintf("%s {\n\t\t\tkey %s/operator.key\n\t\t\t%s\n\t\t}", block, folder, more))
		return folder
	}
	write := func(folder, key string) {
		if err := os.WriteFile(filepath.Join(folder, "operator.key"), []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range tests {
		write(validate(tt.name, tt.block, tt.more), tt.key)
	}
	validate("no file", "refresh_token", "")
	write(validate("a good one", "refresh_token", ""), pemOf(t, ed))
	got := s.validateAll(texts)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := got[tt.name].said
			if got[tt.name].valid {
				t.Fatalf("it is valid:\n%s", out)
			}
			if !strings.Contains(out, tt.block) || !strings.Contains(out, "operator.key") {
				t.Errorf("it does not say where:\n%s", out)
			}
			if len(tt.key) > 80 && strings.Contains(out, tt.key[40:60]) || strings.Contains(out, d[:12]) {
				t.Errorf("it shows the key:\n%s", out)
			}
		})
	}
	if none := got["no file"]; none.valid || !strings.Contains(none.said, "operator.key") {
		t.Errorf("no file: %+v", none)
	}
	if good := got["a good one"]; !good.valid {
		t.Errorf("a good one: %+v", good)
	}
}
