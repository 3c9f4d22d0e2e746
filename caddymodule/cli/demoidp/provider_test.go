package demoidp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"authsidecar/sessions/jose"
)

const site = "http://127.0.0.1:8080/auth/sessions"

// A scene is a provider that serves, and a browser that follows nothing.
type scene struct {
	*Provider
	t       testing.TB
	browser *http.Client
	mu      sync.Mutex
	now     time.Time
}

func newScene(t testing.TB) *scene {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, now: time.Now()}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) }))
	s.Provider, err = New(Config{
		Issuer: "http://" + server.Listener.Addr().String(), Client: "demo", Sites: []string{site}, Key: key,
		People: []Person{{Name: "alice"}, {"support", []string{"support", "boss"}}, {Name: `<img src=x onerror=alert(1)>`}},
		Now:    func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	s.browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

func (s *scene) later(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(by)
}

// An answer is what a request got.
type answer struct {
	status int
	header http.Header
}

// to is where it leads.
func (a *answer) to() string { return a.header.Get("Location") }

func (s *scene) do(req *http.Request) (got *answer, body string) {
	s.t.Helper()
	resp, err := s.browser.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return &answer{resp.StatusCode, resp.Header}, string(data)
}

func (s *scene) get(path string) (*answer, string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.Issuer+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(req)
}

func (s *scene) post(path string, form url.Values, header ...string) (*answer, string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for n := 0; n < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	return s.do(req)
}

var verifier = strings.Repeat("v", 43)

// asked is what a client asks for.
func asked() url.Values {
	return url.Values{
		"client_id": {"demo"}, "redirect_uri": {site + "/sign-in/callback"}, "response_type": {"code"}, "scope": {"openid"},
		"state": {"s"}, "nonce": {"n"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}
}

// choose chooses a person, and returns what the client gets.
func (s *scene) choose(name string) url.Values {
	s.t.Helper()
	form := asked()
	form.Set("person", name)
	resp, _ := s.post("/authorize", form, "Sec-Fetch-Site", "same-origin")
	to, err := url.Parse(resp.to())
	if resp.status != http.StatusSeeOther || err != nil || !strings.HasPrefix(to.String(), site+"/sign-in/callback?") {
		s.t.Fatalf("%d, to %s", resp.status, to)
	}
	return to.Query()
}

func (s *scene) exchange(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"demo"}, "redirect_uri": {site + "/sign-in/callback"}, "code": {code}, "code_verifier": {verifier},
	}
}

// A client that nobody here wrote signs somebody in.
func TestProvider_SignsInByTheCodeFlow(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, s.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	client := oauth2.Config{ClientID: "demo", RedirectURL: site + "/sign-in/callback", Endpoint: provider.Endpoint(), Scopes: []string{"openid"}}
	for person, roles := range map[string]string{"alice": "", "support": "support boss"} {
		to := client.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("the nonce"))
		resp, body := s.get(strings.TrimPrefix(to, s.Issuer))
		if resp.status != http.StatusOK || !strings.Contains(body, `value="`+person+`"`) {
			t.Fatalf("the page: %d %s", resp.status, body)
		}
		if policy := resp.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "form-action 'self' "+site) {
			t.Errorf("its policy: %s", policy)
		}
		form, _ := url.ParseQuery(to[strings.IndexByte(to, '?')+1:])
		form.Set("person", person)
		resp, _ = s.post("/authorize", form)
		back, err := url.Parse(resp.to())
		if err != nil {
			t.Fatal(err)
		}
		if query := back.Query(); query.Get("state") != "the state" || query.Get("iss") != s.Issuer {
			t.Errorf("back with %v", query)
		}
		token, err := client.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := token.Extra("id_token").(string)
		id, err := provider.Verifier(&oidc.Config{ClientID: "demo"}).Verify(ctx, raw)
		if err != nil {
			t.Fatal(err)
		}
		var claims struct{ Roles []string }
		if err := id.Claims(&claims); err != nil || id.Subject != person || id.Nonce != "the nonce" || strings.Join(claims.Roles, " ") != roles {
			t.Errorf("%s, nonce %s, %+v: %v", id.Subject, id.Nonce, claims, err)
		}
	}
}

// Whoever opens the address of the provider reads what it is, and where people sign in.
func TestProvider_TheFirstPageLeadsToTheSites(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	got, body := s.get("/")
	if got.status != http.StatusOK || !strings.Contains(body, "asks for no password") || !strings.Contains(body, `<a href="`+site+`/sign-in">`+site+`</a>`) || strings.Contains(body, "<form") {
		t.Errorf("%d %s", got.status, body)
	}
	if got, _ := s.get("/elsewhere"); got.status != http.StatusNotFound {
		t.Errorf("another path: %d", got.status)
	}
}

func TestProvider_SendsNobodyToAStranger(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for name, change := range map[string]func(url.Values){
		"another client":           func(v url.Values) { v.Set("client_id", "other") },
		"another redirect URI":     func(v url.Values) { v.Set("redirect_uri", "https://evil.example/auth/sessions/sign-in/callback") },
		"one below the redirect":   func(v url.Values) { v.Set("redirect_uri", site+"/sign-in/callback/x") },
		"no redirect URI":          func(v url.Values) { v.Del("redirect_uri") },
		"a redirect URI twice":     func(v url.Values) { v.Add("redirect_uri", site+"/sign-in/callback") },
		"the sign-out as redirect": func(v url.Values) { v.Set("redirect_uri", site+"/signed-out") },
	} {
		form := asked()
		change(form)
		resp, _ := s.get("/authorize?" + form.Encode())
		form.Set("person", "alice")
		chosen, _ := s.post("/authorize", form)
		for _, got := range []*answer{resp, chosen} {
			if got.status != http.StatusBadRequest || got.to() != "" {
				t.Errorf("%s: %d, to %s", name, got.status, got.to())
			}
		}
	}
}

func TestProvider_TellsTheClientWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, test := range []struct{ name, value, want string }{
		{"response_type", "token", "unsupported_response_type"},
		{"scope", "email", "invalid_request"},
		{"code_challenge_method", "plain", "invalid_request"},
		{"code_challenge", "short", "invalid_request"},
		{"request_uri", "https://evil.example", "invalid_request"},
		{"prompt", "none", "login_required"},
		{"person", "nobody", "access_denied"},
	} {
		form := asked()
		form.Set(test.name, test.value)
		resp, _ := s.post("/authorize", form)
		to, err := url.Parse(resp.to())
		if err != nil || to.Query().Get("error") != test.want || to.Query().Get("state") != "s" || to.Query().Get("code") != "" {
			t.Errorf("%s %s: %v, %v", test.name, test.value, to, err)
		}
	}
}

func TestProvider_ACodeIsGoodOnceForItsClient(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := s.choose("alice").Get("code")
	for _, test := range []struct {
		name  string
		wrong string
		form  func() url.Values
	}{
		{"as it has to be", "", func() url.Values { return s.exchange(good) }},
		{"again", "invalid_grant", func() url.Values { return s.exchange(good) }},
		{"a guess", "invalid_grant", func() url.Values { return s.exchange("guess") }},
		{"no verifier", "invalid_grant", func() url.Values {
			form := s.exchange(s.choose("alice").Get("code"))
			form.Del("code_verifier")
			return form
		}},
		{"another verifier", "invalid_grant", func() url.Values {
			form := s.exchange(s.choose("alice").Get("code"))
			form.Set("code_verifier", strings.Repeat("x", 43))
			return form
		}},
		{"another redirect URI", "invalid_grant", func() url.Values {
			form := s.exchange(s.choose("alice").Get("code"))
			form.Set("redirect_uri", site)
			return form
		}},
		{"another client", "invalid_client", func() url.Values {
			form := s.exchange(s.choose("alice").Get("code"))
			form.Set("client_id", "other")
			return form
		}},
		{"another grant", "unsupported_grant_type", func() url.Values {
			form := s.exchange(s.choose("alice").Get("code"))
			form.Set("grant_type", "password")
			return form
		}},
		{"too late", "invalid_grant", func() url.Values {
			form := s.exchange(s.choose("alice").Get("code"))
			s.later(codeLife + time.Second)
			return form
		}},
	} {
		resp, body := s.post("/token", test.form())
		var got struct {
			Error string
			Token string `json:"id_token"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Error != test.wrong || (got.Token == "") != (test.wrong != "") || (resp.status == 200) != (test.wrong == "") {
			t.Errorf("%s: %d %s", test.name, resp.status, body)
		}
		if resp.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", test.name, resp.header)
		}
	}
}

func TestProvider_NoOtherSiteChooses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	form := asked()
	form.Set("person", "alice")
	if resp, _ := s.post("/authorize", form, "Sec-Fetch-Site", "cross-site"); resp.status != http.StatusForbidden {
		t.Errorf("a page of another site: %d", resp.status)
	}
	req, err := http.NewRequest(http.MethodGet, s.Issuer+"/authorize?"+asked().Encode(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example:80"
	if resp, _ := s.do(req); resp.status != http.StatusMisdirectedRequest {
		t.Errorf("a name that leads here: %d", resp.status)
	}
}

func TestProvider_NamesAreText(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	form := asked()
	form.Set("state", `"><script>alert(1)</script>`)
	if _, body := s.get("/authorize?" + form.Encode()); strings.Contains(body, "<script>") || strings.Contains(body, "<img") || !strings.Contains(body, "&lt;img") {
		t.Errorf("the page has\n%s", body)
	}
}

func TestProvider_SignsOutAndSendsBackToItsSites(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, test := range []struct {
		query url.Values
		want  string
	}{
		{url.Values{"client_id": {"demo"}, "post_logout_redirect_uri": {site + "/signed-out"}, "state": {"s"}}, site + "/signed-out?state=s"},
		{url.Values{"client_id": {"demo"}, "post_logout_redirect_uri": {site + "/signed-out"}}, site + "/signed-out"},
		{url.Values{"client_id": {"demo"}, "post_logout_redirect_uri": {"https://evil.example/signed-out"}}, ""},
		{url.Values{"client_id": {"other"}, "post_logout_redirect_uri": {site + "/signed-out"}}, ""},
		{nil, ""},
	} {
		resp, _ := s.get("/logout?" + test.query.Encode())
		if got := resp.to(); got != test.want || (resp.status == http.StatusOK) != (test.want == "") {
			t.Errorf("%v: %d, to %s", test.query, resp.status, got)
		}
	}
}
