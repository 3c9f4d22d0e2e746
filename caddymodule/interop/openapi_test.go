package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/caddymodule/openapi"
)

// description is what caddy auth-sessions openapi prints.
func description(t testing.TB, s *sidecartest.Sidecar) []byte {
	t.Helper()
	got := s.Sessions("", "openapi")
	if !got.OK {
		t.Fatal(got.Err)
	}
	return []byte(got.Out)
}

// A scene is a sidecar and who asks it; every answer is validated.
type scene struct {
	*sidecartest.Sidecar
	t           testing.TB
	idp         *sidecartest.IDP
	alice, desk string // callers' tokens
}

// described are words of a block with which each described error can be had.
const described = sidecartest.Lifecycle + `
		health /healthz
		openapi
		identity
		browser {
			banner
		}
		oauth {
			client my-app {
				public
			}
			client gateway {
				secret {env.PLAIN}
			}
		}
		claims groups
		protect user root
		impersonation {
			require_reason
		}
		`

func newScene(t testing.TB, c *contract) *scene {
	t.Helper()
	s := &scene{Sidecar: sidecartest.New(t), t: t, idp: sidecartest.NewIDP(t, "https://idp.example.com")}
	c.watch(s.Sidecar)
	s.Env = append(s.Env, "PLAIN="+plainSecret)
	s.alice = s.idp.Token("alice", nil)
	s.desk = s.idp.Token("desk", map[string]any{"scope": "sessions:impersonate"})
	return s
}

// site is the Caddyfile of a scene.
func (s *scene) site(words string) string {
	site := s.idp.Site(s.Sidecar, sidecartest.Echo(s.t), described+words)
	return strings.Replace(site, "jwks DIR/jwks.json\n", "jwks DIR/jwks.json\n\t\t\ttoken_header X-Edge-Token\n"+listens, 1)
}

// send sends a request with these headers, names and values in turn; the same name may come twice.
func (s *scene) send(method, path, body string, header ...string) sidecartest.Answer {
	s.t.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, s.URL+path, from)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	got, err := s.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

const wellKnown = "/.well-known/"

const asJSON, bearer = "application/json", "Bearer "

// TestOpenAPI_EachDescribedResponseOccursAsDescribed has each operation give each of its answers,
// and each answer is validated against the description that the binary prints.
func TestOpenAPI_EachDescribedResponseOccursAsDescribed(t *testing.T) {
	t.Parallel()
	printer := sidecartest.New(t)
	c := readContract(t, description(t, printer))
	t.Run("answers", func(t *testing.T) {
		t.Run("of a life", func(t *testing.T) { t.Parallel(); liveDescribed(t, c) })
		t.Run("of bad requests", func(t *testing.T) { t.Parallel(); askBadly(t, c) })
		t.Run("of links", func(t *testing.T) { t.Parallel(); openLinks(t, c) })
		t.Run("of sign-ins", func(t *testing.T) { t.Parallel(); signInDescribed(t, c) })
		t.Run("of OAuth", func(t *testing.T) { t.Parallel(); liveByOAuth(t, c) })
		t.Run("of events", func(t *testing.T) { t.Parallel(); hearEvents(t, c) })
		t.Run("of too many requests", func(t *testing.T) { t.Parallel(); askTooOften(t, c) })
		t.Run("of slow requests", func(t *testing.T) { t.Parallel(); askSlowly(t, c) })
		t.Run("of a server in trouble", func(t *testing.T) { t.Parallel(); askInTrouble(t, c) })
		t.Run("of a server without keys", func(t *testing.T) { t.Parallel(); askWithoutKeys(t, c) })
		t.Run("of the admin API", func(t *testing.T) { t.Parallel(); administer(t, c) })
	})
	c.wantAll()
}

func liveDescribed(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Start(s.site(""))
	want := func(got sidecartest.Answer, status int) sidecartest.Answer {
		t.Helper()
		sidecartest.WantStatus(t, got, status)
		return got
	}
	first := want(s.Create(s.alice, `{"user_id":"alice","expires_in_millis":3600000,"is_impersonation":false}`), 200)
	want(s.Create(s.desk, `{"user_id":"alice","reason":"ticket 4711"}`, "Idempotency-Key", "one"), 200)
	second := want(s.Refresh(first.Text("refresh_token")), 200)
	access, id := second.Text("access_token"), second.Text("session_id")
	want(s.Call("GET", "/current", access, ""), 200)
	want(s.Call("GET", "/"+id, s.alice, ""), 200)
	want(s.Call("GET", "?limit=1&user_id=alice", access, ""), 200)
	want(s.Call("DELETE", "?impersonations=true&actor=desk&actor_issuer=https://idp.example.com&dry_run=true", s.alice, ""), 200)
	want(s.Call("DELETE", "/current", access, ""), 200)
	third := want(s.Create(s.alice, `{"user_id":"alice"}`), 200)
	want(s.Call("DELETE", "/"+third.Text("session_id"), s.alice, ""), 200)

	for _, method := range []string{"GET", "HEAD"} {
		want(s.send(method, "/healthz", ""), 200)
		for _, document := range documents {
			tag := want(s.send(method, document, ""), 200).Header.Get("ETag")
			want(s.send(method, document, "", "If-None-Match", tag), 304)
		}
	}
}

func askBadly(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Start(s.site(""))
	mine := s.Create(s.alice, `{"user_id":"alice"}`)
	theirs := s.Create(s.desk, `{"user_id":"alice","reason":"ticket 4711"}`)
	id, acting, spent := mine.Text("session_id"), theirs.Text("access_token"), mine.Text("refresh_token")
	big := make([]string, 200)
	for i := range big {
		big[i] = fmt.Sprintf("group-with-a-long-name-%d", i)
	}
	problem := func(got sidecartest.Answer, status int, code string) {
		t.Helper()
		sidecartest.WantStatus(t, got, status)
		sidecartest.WantFields(t, got, map[string]any{"code": code})
	}
	for body, code := range map[string]string{
		`{}`:                                     "invalid_request",
		`{"user_id":" alice"}`:                   "invalid_user_id",
		`{"user_id":"alice","reason":"a\u0000"}`: "invalid_text",
		`{"user_id":"alice","client_id":"other"}`:   "invalid_client_id",
		`{"user_id":"alice","client":{"ip":"::1"}}`: "invalid_reported_client",
		`{"user_id":"alice","deliver":"pigeon"}`:    "invalid_deliver",
		`{"user_id":"alice","return_to":"//evil"}`:  "invalid_return_to",
		`{"user_id":"alice","expires_in_millis":0}`: "invalid_lifetime",
	} {
		problem(s.Create(s.alice, body), 400, code)
	}
	problem(s.Create(s.desk, `{"user_id":"alice"}`), 400, "reason_required")
	problem(s.Create(s.alice, `{"user_id":"alice"}`, "Idempotency-Key", "a b"), 400, "invalid_idempotency_key")
	problem(s.Create(s.idp.Token("alice", map[string]any{"groups": big}), `{"user_id":"alice"}`), 400, "claims_too_large")
	problem(s.Create("", `{"user_id":"alice"}`), 401, "missing_token")
	problem(s.Create("e.e.e", `{"user_id":"alice"}`), 401, "invalid_token")
	problem(s.Create(s.desk, `{"user_id":"root","reason":"curious"}`), 403, "insufficient_scope")
	problem(s.send("POST", "/auth/sessions", `{"user_id":"alice"}`, "Content-Type", asJSON, "X-Edge-Token", s.alice), 403, "cross_origin")
	problem(s.Create(s.alice, `{"user_id":"`+strings.Repeat("a", 5000)+`"}`), 413, "body_too_large")
	problem(s.send("POST", "/auth/sessions", "user_id=alice", "Content-Type", "application/x-www-form-urlencoded", "Authorization", bearer+s.alice), 415, "unsupported_media_type")

	key := []string{"Idempotency-Key", "0195f8a1"}
	once := s.Create(s.alice, `{"user_id":"alice"}`, key...)
	problem(s.Create(s.alice, `{"user_id":"alice","reason":"another"}`, key...), 422, "idempotency_key_reused")
	sidecartest.WantStatus(t, s.Refresh(once.Text("refresh_token")), 200)
	problem(s.Create(s.alice, `{"user_id":"alice"}`, key...), 409, "idempotency_key_spent")

	for _, method := range []string{"GET", "DELETE"} {
		list := "?user_id=%20"
		problem(s.Call(method, list, s.alice, ""), 400, "invalid_user_id")
		problem(s.Call(method, "?surplus=1", s.alice, ""), 400, "invalid_request")
		problem(s.Call(method, "?user_id=alice&cursor=none", s.alice, ""), 400, "invalid_cursor")
		for _, path := range []string{"", "/" + id} {
			problem(s.Call(method, path, "", ""), 401, "missing_token")
			problem(s.Call(method, path, acting, ""), 403, "insufficient_scope")
			problem(s.send(method, "/auth/sessions"+path, "", "Authorization", bearer+s.alice, "Authorization", bearer+s.alice), 400, "invalid_request")
		}
		problem(s.Call(method, "/"+strings.Repeat("A", 22), s.alice, ""), 404, "not_found")
		problem(s.Call(method, "/current", "", ""), 401, "missing_token")
		problem(s.Call(method, "/current", s.alice, ""), 401, "invalid_token")
	}
	problem(s.send("DELETE", "/auth/sessions/current", "", "X-Edge-Token", s.alice), 403, "cross_origin")

	for _, holder := range holders {
		problem(s.Call(holder.method, holder.path, "", `{"refresh_token":"e.e.e"}`), 400, "invalid_grant")
		problem(s.Call(holder.method, holder.path, "", `{"surplus":"`+spent+`"}`), 400, "invalid_request")
		problem(s.Call(holder.method, holder.path, "", `{"refresh_token":"`+strings.Repeat("a", 5000)+`"}`), 413, "body_too_large")
		problem(s.send(holder.method, "/auth/sessions"+holder.path, "refresh_token=e", "Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_media_type")
	}
}

// holders are where a refresh token is shown in the body.
var holders = []struct{ method, path string }{
	{"POST", "/current/refresh"}, {"GET", "/current"}, {"DELETE", "/current"},
}

// askSlowly sends bodies that never come.
func askSlowly(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Start(s.site(""))
	slow := []struct{ method, path string }{{"POST", "/auth/sessions"}}
	for _, holder := range holders {
		slow = append(slow, struct{ method, path string }{holder.method, "/auth/sessions" + holder.path})
	}
	for _, path := range formPaths {
		slow = append(slow, struct{ method, path string }{"POST", path})
	}
	for _, path := range oauthPaths {
		slow = append(slow, struct{ method, path string }{"POST", path})
	}
	for path := range eventPaths {
		slow = append(slow, struct{ method, path string }{"POST", path})
	}
	for _, slow := range slow {
		t.Run(slow.method+slow.path, func(t *testing.T) {
			t.Parallel()
			media := asJSON
			if strings.HasPrefix(slow.path, "/oauth/") || slices.Contains(formPaths, slow.path) {
				media = asForm
			}
			if said, ok := eventPaths[slow.path]; ok {
				media = said
			}
			sidecartest.WantStatus(t, s.promise(slow.method, slow.path, media, 10), 408)
		})
	}
}

// promise sends a request whose body has that length and never comes.
func (s *scene) promise(method, path, media string, length int64) sidecartest.Answer {
	s.t.Helper()
	body, hold := io.Pipe()
	defer hold.Close()
	req, err := http.NewRequest(method, s.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", media)
	if path == "/auth/sessions" {
		req.Header.Set("Authorization", bearer+s.alice)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if path == "/auth/sessions/events" {
		req.Header.Set("Authorization", bearer+plainSecret)
	}
	got, err := s.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// documents are what anybody may read.
var documents = []string{"/auth/sessions/jwks.json", "/auth/sessions/openapi.json", wellKnown + "oauth-authorization-server", wellKnown + "openid-configuration"}

func (s *scene) askDocuments(status int) {
	s.t.Helper()
	for _, document := range documents {
		for _, method := range []string{"GET", "HEAD"} {
			sidecartest.WantStatus(s.t, s.send(method, document, ""), status)
		}
	}
}

// askWithoutKeys asks while the disk with the signing keys fails.
func askWithoutKeys(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Start(s.site(""))
	s.Stop()
	keys, err := filepath.Glob(filepath.Join(s.Dir, "data", "caddy", "auth_sessions", "*", "access.json"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("the keys are at %v, %v", keys, err)
	}
	if err := os.Remove(keys[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/self/mem", keys[0]); err != nil { // reading its begin is EIO
		t.Fatal(err)
	}
	s.Start(s.site(""))
	s.askDocuments(503)
}

// askInTrouble asks while the store opens, is down, and fails.
func askInTrouble(t *testing.T, c *contract) {
	s := newScene(t, c)
	flaw := func(name string, is bool) {
		if is {
			s.Write(name, "")
		} else if err := os.Remove(filepath.Join(s.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	flaw("waits", true)
	s.Run(s.site("store flawed DIR"))
	for {
		got, err := s.TryAsk("GET", "status")
		if err == nil {
			sidecartest.WantStatus(t, got, 503)
			break
		}
	}
	flaw("down", true)
	flaw("waits", false)
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("A", 22)
	s.askDocuments(200) // they need no store
	for _, method := range []string{"GET", "HEAD"} {
		sidecartest.WantStatus(t, s.send(method, "/healthz", ""), 503)
	}
	s.askEverything(id, presented{"e.e.e", "e.e.e", "e.e.e", ""}, 503)
	s.say(503)
	sidecartest.WantStatus(t, s.send("POST", "/auth/sessions/close", "", "Sec-Fetch-Site", "same-origin"), 503)
	s.askAdmin(id, 503)

	flaw("down", false)
	for s.send("GET", "/healthz", "").Status != 200 { // it tries again by itself
	}
	mine := s.Create(s.alice, `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, mine, 200)
	_, app := s.exchanged("my-app")
	_, gateway := s.exchanged("gateway")
	acting := s.inCookies(s.desk, `{"user_id":"alice","reason":"ticket 4711","deliver":"cookie"}`)
	flaw("fails", true)
	s.askEverything(id, presented{mine.Text("refresh_token"), app, gateway, acting}, 500)
	s.say(500)
	s.askAdmin(id, 500)
}

// presented are refresh tokens: of a session that no client of OAuth has, and of two clients. acting
// are the cookies of an impersonation.
type presented struct{ own, app, gateway, acting string }

// askEverything sends a good request to each operation that needs the store.
func (s *scene) askEverything(id string, tokens presented, status int) {
	s.t.Helper()
	holder, _ := json.Marshal(map[string]string{"refresh_token": tokens.own})
	for _, got := range []sidecartest.Answer{
		s.Create(s.alice, `{"user_id":"alice"}`), s.Call("GET", "", s.alice, ""), s.Call("DELETE", "?user_id=alice&dry_run=true", s.alice, ""),
		s.Call("GET", "/"+id, s.alice, ""), s.Call("DELETE", "/"+id, s.alice, ""), s.Refresh(tokens.own),
		s.Call("GET", "/current", "", string(holder)), s.Call("DELETE", "/current", "", string(holder)),
		s.present("preview", linkOfNone), s.present("confirm", linkOfNone), s.send("GET", "/auth/sessions/banner", "", "Cookie", tokens.acting),
		s.post("/oauth/token", "my-app", "grant_type", "refresh_token", "refresh_token", tokens.app),
		s.post("/oauth/revoke", "my-app", "token", tokens.app), s.post("/oauth/introspect", "gateway", "token", tokens.gateway),
	} {
		sidecartest.WantStatus(s.t, got, status)
	}
}

func (s *scene) askAdmin(id string, status int) {
	s.t.Helper()
	for _, got := range []sidecartest.Answer{
		s.Ask("GET", "sessions?user_id=alice"), s.Ask("DELETE", "sessions?user_id=alice&dry_run=true"), s.Ask("DELETE", "sessions/"+id), s.Ask("GET", "backup"),
	} {
		sidecartest.WantStatus(s.t, got, status)
	}
}

// Each described path has the methods that it is described with, and no other.
func TestOpenAPI_DescribesEachMethod(t *testing.T) {
	t.Parallel()
	c := readContract(t, openapi.YAML)
	s := newScene(t, c)
	s.Client.Transport = http.DefaultTransport
	s.Start(s.site(""))
	people := newScene(t, c) // the site where they sign in
	people.startSignIn("")
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		var want []string
		base := s.URL
		for method, operation := range item.GetOperations().FromOldest() {
			want = append(want, strings.ToUpper(method))
			if word := operation.Extensions.GetOrZero("x-served-with"); word != nil && word.Value == "sign_in" {
				base = people.URL
			}
		}
		if strings.HasPrefix(path, "/auth_sessions/") {
			base = "http://" + s.Admin
		}
		req, err := http.NewRequest("PATCH", base+strings.Replace(path, "{id}", strings.Repeat("A", 22), 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		sidecartest.WantStatus(t, got, 405)
		allow := strings.Split(got.Header.Get("Allow"), ", ")
		slices.Sort(allow)
		slices.Sort(want)
		if !slices.Equal(allow, want) {
			t.Errorf("%s allows %q and is described with %q", path, allow, want)
		}
	}
}

// What a site serves of the description is valid, and has what the site has.
func TestOpenAPI_OfASiteIsServedWhereAWordTurnsItOn(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), "path /a\n\t\topenapi"))
	got := s.Get("GET", "/a/openapi.json")
	sidecartest.WantStatus(t, got, 200)
	c := readContract(t, []byte(got.Body))
	var paths []string
	for path := range c.model.Paths.PathItems.FromOldest() {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	if !slices.Equal(paths, []string{"/a", "/a/openapi.json"}) {
		t.Errorf("it describes %q", paths)
	}
	sidecartest.WantIn(t, s.Get("POST", "/a/openapi.json").Body, "POST /a/openapi.json") // the app's

	without := sidecartest.New(t)
	without.Start(provider.Site(without, sidecartest.Echo(t), ""))
	sidecartest.WantIn(t, without.Get("GET", "/auth/sessions/openapi.json").Body, "GET /auth/sessions/openapi.json")
}
