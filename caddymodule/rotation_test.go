package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/jose"
)

// keyTimes in the environment makes a Caddy of the tests rotate keys in seconds: how
// often it looks for new ones, and how long others remember our key set.
const keyTimes = "AUTHSIDECAR_TEST_KEY_TIMES"

func init() {
	var sync, cache time.Duration
	if text := os.Getenv(keyTimes); sidecartest.AsCaddy() && text != "" {
		words := strings.Fields(text)
		var err error
		if sync, err = time.ParseDuration(words[0]); err == nil {
			cache, err = time.ParseDuration(words[1])
		}
		if err != nil {
			panic(err)
		}
		caddymodule.SetKeyTimes(sync, cache)
	}
}

const (
	quickSync  = 500 * time.Millisecond
	quickCache = 2 * time.Second
)

// nodes starts sidecars that share a storage, each with a store of its own, and rotate quickly.
func nodes(t *testing.T, provider *sidecartest.IDP, storage string, n int) []*sidecar {
	t.Helper()
	app := sidecartest.Echo(t)
	all := make([]*sidecar, n)
	for i := range all {
		s := newSidecar(t)
		s.Global = "\tstorage file_system " + storage + "\n"
		s.Env = append(s.Env, fmt.Sprint(keyTimes, "=", quickSync, " ", quickCache))
		s.Start(provider.Site(s.Sidecar, app, "lifecycle\n\t\tstore pebble DIR/store"))
		all[i] = s
	}
	return all
}

// A resource server remembers the key set of a node as long as it may.
type resourceServer struct {
	set     *jose.Set
	fetched time.Time
}

func (r *resourceServer) verify(s *sidecar, access string) error {
	if time.Since(r.fetched) >= quickCache {
		r.fetched = time.Now()
		got := s.Call("GET", "/jwks.json", "", "")
		if cache := got.Header.Get("Cache-Control"); !strings.Contains(cache, fmt.Sprint("max-age=", int(quickCache.Seconds()))) {
			return fmt.Errorf("the key set may be remembered: %q", cache)
		}
		set, skipped, err := jose.ParseSet([]byte(got.Body), jose.KeyPolicy{})
		if err != nil {
			return fmt.Errorf("reading key set: %w", err)
		}
		if len(skipped) > 0 {
			return fmt.Errorf("keys are left out: %v", skipped)
		}
		r.set = set
	}
	parsed, err := jose.Parse(access)
	if err != nil {
		return err
	}
	key, err := r.set.Lookup(parsed.Header.KeyID, jose.Algorithm(parsed.Header.Algorithm))
	if err != nil {
		return fmt.Errorf("key %s in a set fetched %v ago: %w", parsed.Header.KeyID, time.Since(r.fetched), err)
	}
	err = parsed.Verify(key, nil)
	return err
}

// use refreshes one session at a node, shows each access token to the resource servers of
// all nodes, and tells with which keys it was signed, until stop.
func use(t *testing.T, all []*sidecar, i int, token string, stop <-chan struct{}, signed func(refreshKid, accessKid string)) {
	servers := make([]resourceServer, len(all))
	for {
		select {
		case <-stop:
			return
		default:
		}
		got := all[i].Refresh(token)
		if got.Status != http.StatusOK {
			t.Errorf("node %d refreshes: %d %s", i, got.Status, got.Body)
			return
		}
		token = got.Text("refresh_token")
		access := got.Text("access_token")
		for j, s := range all {
			if err := servers[j].verify(s, access); err != nil {
				t.Errorf("node %d signed; of node %d: %v", i, j, err)
				return
			}
		}
		if listed := all[i].Call("GET", "?user_id=alice", access, ""); listed.Status != http.StatusOK {
			t.Errorf("node %d signed, and says %d %s", i, listed.Status, listed.Body)
			return
		}
		refreshKid, _ := sidecartest.Part(t, token, 0)["kid"].(string)
		accessKid, _ := sidecartest.Part(t, access, 0)["kid"].(string)
		signed(refreshKid, accessKid)
		time.Sleep(20 * time.Millisecond) // a client refreshes now and then
	}
}

// age makes the stored keys older than they are.
func age(t *testing.T, storage string, by time.Duration) {
	t.Helper()
	for _, name := range []string{"refresh.json", "access.json"} {
		paths, err := filepath.Glob(filepath.Join(storage, "auth_sessions", "*app.example.com-*", name))
		if err != nil || len(paths) != 1 {
			t.Fatal(paths, err)
		}
		data, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		var stored map[string]any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&stored); err != nil {
			t.Fatal(err)
		}
		for _, key := range stored["keys"].([]any) {
			from, err := key.(map[string]any)["from"].(json.Number).Int64()
			if err != nil {
				t.Fatal(err)
			}
			key.(map[string]any)["from"] = from - by.Milliseconds()
		}
		if data, err = json.Marshal(stored); err == nil {
			err = os.WriteFile(paths[0], data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Three running nodes change both keys, when these are due and when somebody asks for
// it: without a restart, without a refused token, without a resource server that has
// to fetch keys sooner than it may.
func TestKeys_RotateWhileServing(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]func(t *testing.T, storage string, s *sidecar){
		"due": func(t *testing.T, storage string, _ *sidecar) { age(t, storage, 30*24*time.Hour) },
		"asked for": func(t *testing.T, _ string, s *sidecar) {
			for range 2 { // the second time is one too many, and makes no key
				req, err := http.NewRequest("POST", "http://"+s.Admin+"/auth_sessions/keys/rotate", nil)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := s.Do(req); err != nil || got.Status != http.StatusOK {
					t.Fatal(got, err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider, storage := sidecartest.NewIDP(t, "https://idp.example.com"), t.TempDir()
			all := nodes(t, provider, storage, 3)
			caller := provider.Token("alice", nil)
			idle := make([]string, len(all))
			var mu sync.Mutex
			var group sync.WaitGroup
			last := make([][2]string, len(all))
			seen := map[string]bool{}
			stop := make(chan struct{})
			for i, s := range all {
				idle[i] = s.Create(caller, `{"user_id":"alice"}`).Text("refresh_token")
				token := s.Create(caller, `{"user_id":"alice"}`).Text("refresh_token")
				group.Go(func() {
					use(t, all, i, token, stop, func(refreshKid, accessKid string) {
						mu.Lock()
						defer mu.Unlock()
						last[i] = [2]string{refreshKid, accessKid}
						seen[refreshKid], seen[accessKid] = true, true
					})
				})
			}
			kids := func() [][2]string {
				mu.Lock()
				defer mu.Unlock()
				return slices.Clone(last)
			}
			waitUntil(t, "each node signs", func() bool { return t.Failed() || !slices.Contains(kids(), [2]string{}) })
			before := kids()[0]
			rotate(t, storage, all[1])
			waitUntil(t, "all sign with the next keys", func() bool {
				now := kids()
				return t.Failed() || now[0][0] != before[0] && now[0][1] != before[1] && now[1] == now[0] && now[2] == now[0]
			})
			close(stop)
			group.Wait()
			if len(seen) != 4 {
				t.Errorf("%d keys signed, of two kinds, before and after", len(seen))
			}
			for i, s := range all {
				if got := s.Refresh(idle[i]); got.Status != http.StatusOK {
					t.Errorf("a token of before, at node %d: %d %s", i, got.Status, got.Body)
				}
				if strings.Contains(s.Log(), "signed by no key of ours") {
					t.Errorf("node %d refused a key", i)
				}
			}
			for name, data := range secretFiles(t, storage) {
				if strings.HasSuffix(name, ".json") && len(kidsOf(t, data)) != 2 {
					t.Errorf("%s has %d keys", name, len(kidsOf(t, data)))
				}
			}
		})
	}
}

func waitUntil(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // polling what others do
	}
}

// A storage that is gone leaves the keys as they are: they sign and verify, no new
// ones take their place, and a token of a key that this node may have missed is not
// refused for good, but later.
func TestKeys_TheStorageIsGoneWhileServing(t *testing.T) {
	t.Parallel()
	provider, storage := sidecartest.NewIDP(t, "https://idp.example.com"), filepath.Join(t.TempDir(), "storage")
	s := nodes(t, provider, storage, 1)[0]
	mine := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`).Text("refresh_token")
	// What a node signed that made a key meanwhile.
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(sidecartest.Part(t, mine, 1))
	if err != nil {
		t.Fatal(err)
	}
	other, err := key.Sign([]byte(`{"alg":"EdDSA","kid":"`+key.ID()+`","typ":"rt+jwt"}`), claims)
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, s.Refresh(other), http.StatusBadRequest) // with the storage: it is nobody's
	before := secretFiles(t, storage)
	if err := os.Rename(storage, storage+"-away"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "an unknown key may be another node's", func() bool { return s.Refresh(other).Status == http.StatusServiceUnavailable })
	got := s.Refresh(mine)
	sidecartest.WantStatus(t, got, http.StatusOK)
	s.WaitLog("is gone from Caddy's storage")
	if err := os.RemoveAll(storage); err != nil { // it may have been made anew, for locks
		t.Fatal(err)
	}
	if err := os.Rename(storage+"-away", storage); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it is nobody's again", func() bool { return s.Refresh(other).Status == http.StatusBadRequest })
	sidecartest.WantStatus(t, s.Refresh(got.Text("refresh_token")), http.StatusOK)
	for name, data := range secretFiles(t, storage) {
		if !bytes.Equal(data, before[name]) {
			t.Errorf("%s changed", name)
		}
	}
}
