package docs

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// tokens are what a code is swapped for.
type tokens struct{ Access, ID string }

// redirectURI is where the issuers send the code: to the test, which never goes there.
const redirectURI = "https://app.example.com/callback"

// endpoints are what the issuer's discovery document says.
func (i *realIssuer) endpoints(t *testing.T) (authorize, token string) {
	t.Helper()
	document := i.ask(t, "GET", "/.well-known/openid-configuration", "", "")
	return document.Text("authorization_endpoint"), strings.TrimPrefix(document.Text("token_endpoint"), i.url)
}

// signIn signs a person in to an app by the code flow with PKCE (RFC 6749 section 4.1, RFC 7636),
// with more parameters of the two requests; answer fills in the forms of the pages.
func (i *realIssuer) signIn(t *testing.T, client, secret string, more url.Values, answer func(at *url.URL, form string) url.Values) tokens {
	t.Helper()
	authorize, token := i.endpoints(t)
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirectURI}, "scope": {"openid"}, "state": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	form := url.Values{"grant_type": {"authorization_code"}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}}
	for name, values := range more {
		query[name], form[name] = values, values
	}
	form.Set("code", i.codeOf(t, authorize+"?"+query.Encode(), query.Get("state"), answer))
	got := i.askToken(t, token, client, secret, form)
	return tokens{got["access_token"], got["id_token"]}
}

// clientCredentials gets a machine its token (RFC 6749 section 4.4).
func (i *realIssuer) clientCredentials(t *testing.T, client, secret string, form url.Values) string {
	t.Helper()
	_, token := i.endpoints(t)
	form.Set("grant_type", "client_credentials")
	return i.askToken(t, token, client, secret, form)["access_token"]
}

func (i *realIssuer) askToken(t *testing.T, path, client, secret string, form url.Values) map[string]string {
	t.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(client) + ":" + url.QueryEscape(secret)))
	got := i.ask(t, "POST", path, "application/x-www-form-urlencoded", form.Encode(), "Authorization", "Basic "+basic)
	return map[string]string{"access_token": got.Text("access_token"), "id_token": got.Text("id_token")}
}

// codeOf goes where the issuer sends a browser, until it sends it back to the app with a code.
func (i *realIssuer) codeOf(t *testing.T, start, state string, answer func(at *url.URL, form string) url.Values) string {
	t.Helper()
	browser := i.browser
	if browser == nil {
		browser = newBrowser(t)
	}
	page := browse(t, browser, http.MethodGet, start, nil)
	for range 20 {
		switch {
		case strings.HasPrefix(page.next, redirectURI):
			back, err := url.Parse(page.next)
			if err != nil || back.Query().Get("state") != state {
				t.Fatalf("sent back with %s: %v", page.next, err)
			}
			return back.Query().Get("code")
		case page.next != "":
			page = browse(t, browser, http.MethodGet, page.next, nil)
		default:
			page = browse(t, browser, http.MethodPost, page.at.String(), answer(page.at, page.text))
		}
	}
	t.Fatal("no code after 20 pages")
	return ""
}

// newBrowser is one without cookies, that says where it is sent.
func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// A page is what a browser is shown; next is where it is sent instead.
type page struct {
	at         *url.URL
	status     int
	text, next string
}

// browse is look at a page that has to be there.
func browse(t *testing.T, browser *http.Client, method, to string, form url.Values) page {
	t.Helper()
	found := look(t, browser, method, to, form)
	if found.next == "" && found.status != http.StatusOK {
		t.Fatalf("%s: %d\n%s", found.at.Path, found.status, found.text)
	}
	return found
}

// look returns a page as a person sees it.
func look(t *testing.T, browser *http.Client, method, to string, form url.Values) page {
	t.Helper()
	req, err := http.NewRequest(method, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if next, err := resp.Location(); err == nil {
		return page{next: next.String()}
	}
	return page{at: req.URL, status: resp.StatusCode, text: string(text)}
}
