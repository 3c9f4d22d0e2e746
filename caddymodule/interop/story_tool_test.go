package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A tool is what support and officers work with: a site of its own, whose people sign in at the
// same provider, and which calls the API with their tokens.
type tool struct {
	URL string

	t     testing.TB
	s     *story
	ended atomic.Int64 // when a session was ended last, in ms
}

func newTool(t testing.TB, s *story) *tool {
	t.Helper()
	tool := &tool{t: t, s: s}
	mux := http.NewServeMux()
	for _, path := range []string{"/act", "/end"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, tool.client().AuthCodeURL(r.URL.RequestURI(), oauth2.S256ChallengeOption(toolVerifier), tool.resource()), http.StatusSeeOther) //nolint:gosec // to the provider
		})
	}
	mux.HandleFunc("/callback", tool.callback)
	tool.URL = sidecartest.Serve(t, mux.ServeHTTP)
	return tool
}

// toolVerifier is the same for all: nobody attacks it here.
const toolVerifier = "a-verifier-of-a-story-that-is-long-enough-for-pkce"

func (o *tool) client() *oauth2.Config {
	return &oauth2.Config{
		ClientID: "app", ClientSecret: "app-secret", RedirectURL: o.URL + "/callback", Scopes: []string{"openid"},
		Endpoint: oauth2.Endpoint{AuthURL: o.s.provider + "/auth", TokenURL: o.s.provider + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
}

func (*tool) resource() oauth2.AuthCodeOption {
	return oauth2.SetAuthURLParam("resource", sidecartest.Audience)
}

// callback does, with the token of who signed in, what they came for.
func (o *tool) callback(w http.ResponseWriter, r *http.Request) {
	token, err := o.client().Exchange(context.Background(), r.FormValue("code"), oauth2.VerifierOption(toolVerifier), o.resource())
	if err != nil {
		o.t.Error(err)
		return
	}
	sidecartest.Remember(token.AccessToken)
	wanted, _ := url.Parse(r.FormValue("state"))
	user := wanted.Query().Get("user")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if wanted.Path == "/act" {
		fmt.Fprintf(w, `<!doctype html><title>desk</title><pre>a link for %s</pre><p><a href="%s">open</a>`, user, o.link(token.AccessToken, user))
		return
	}
	fmt.Fprintf(w, `<!doctype html><title>desk</title><pre>ended %s</pre>`, o.end(token.AccessToken, user))
}

// link has a session for a user handed over to whoever has the token.
func (o *tool) link(token, user string) string {
	got, _ := o.ask(http.MethodPost, "", token, `{"user_id":"`+user+`","reason":"ticket 4711","deliver":"link","return_to":"/orders?id=1"}`)
	return got
}

// end revokes the impersonations of a user, and says how many there were.
func (o *tool) end(token, user string) string {
	_, body := o.ask(http.MethodDelete, "?impersonations=true&user_id="+user, token, "")
	o.ended.Store(time.Now().UnixMilli())
	return body
}

func (o *tool) ask(method, path, token, body string) (link, text string) {
	req, err := http.NewRequest(method, o.s.URL+"/auth/sessions"+path, strings.NewReader(body))
	if err != nil {
		o.t.Error(err)
		return "", ""
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.s.Client.Do(req)
	if err != nil {
		o.t.Error(err)
		return "", ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(resp.Body)
	var answer struct {
		Link string `json:"link"`
	}
	_ = json.Unmarshal(data, &answer)
	if answer.Link != "" {
		_, code, _ := strings.Cut(answer.Link, "#")
		o.s.secret(code)
	}
	if resp.StatusCode >= 300 {
		o.t.Errorf("%s %s: %d %s", method, path, resp.StatusCode, data)
	}
	return answer.Link, string(data)
}
