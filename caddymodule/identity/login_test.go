package identity

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// arriving is a request as Caddy hands it to us, for a target as it is on the wire.
func arriving(t *testing.T, target string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("parsing %q: %v", target, err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL, r.RequestURI, r.Host = u, target, "app.example.com:8443"
	r.Header.Set("Referer", "https://evil.example/x")
	r.AddCookie(&http.Cookie{Name: "back", Value: "//evil.example"})
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, http.Request{URL: u, RequestURI: target}))
	caddyhttp.NewTestReplacer(r)
	return r
}

func TestLogin_WhereToGoBackTo(t *testing.T) {
	t.Setenv("SSO", "a=b&c=d")
	long := "/" + strings.Repeat("a", 4096)
	for _, c := range []struct{ login, target, want string }{
		{"/login", "/app", "/login"},
		{"/login?next={http.request.uri_escaped}", "/app?a=b&c", "/login?next=%2Fapp%3Fa%3Db%26c"},
		{"/login?next={http.request.uri}", "/app?a=b&next=//evil.example", "/login?next=%2Fapp%3Fa%3Db%26next%3D%2F%2Fevil.example"},
		{"/login?next={http.request.orig_uri}", "/M%C3%A4rz%202026.pdf", "/login?next=%2FM%25C3%25A4rz%25202026.pdf"},
		{"/login?next={http.request.uri.path}&q={http.request.uri.query}", "/a%20b?c=https://d.example/e&f", "/login?next=%2Fa+b&q=c%3Dhttps%3A%2F%2Fd.example%2Fe%26f"},
		{"/login?next={http.request.uri.path_escaped}{http.request.uri.prefixed_query}", "/a?b=c", "/login?next=%2Fa%3Fb%3Dc"},
		{"https://sso.example.com/start?{env.SSO}&rd={http.request.scheme}://{http.request.hostport}{http.request.uri}", "/a?b", "https://sso.example.com/start?a=b&c=d&rd=http://app.example.com%3A8443%2Fa%3Fb"},
		{"/login{http.request.uri}", "/a?b=c", "/login/a?b=c"},

		{"/login?next={http.request.uri_escaped}", "//evil.example/x", "/login?next=/"},
		{"/login?next={http.request.uri}", "//evil.example/x", "/login?next=%2F"},
		{"/login?next={http.request.uri.path_escaped}{http.request.uri.prefixed_query}", "//evil.example?b=c", "/login?next=/"},
		{"/login?next={http.request.uri.path.dir}{http.request.uri.path.file}", "//evil.example", "/login?next=%2F"},
		{"https://app.example.com{http.request.uri}", "x:.evil.example/", "https://app.example.com/"},
		{"/login?next={http.request.uri.query.next}", "/app?next=https://evil.example", "/login?next="},
		{"/login?next={http.request.uri.query}", "/app?//evil.example", "/login?next="},
		{"/login?next={http.request.header.Referer}", "/app", "/login?next="},
		{"/login?next={http.request.cookie.back}", "/app", "/login?next="},
		{"/login?next={http.request.orig_uri}", "http://evil.example/x", "/login?next="},
		{"/login?next={http.request.uri_escaped}", long, "/login?next=/"},
		{"/login?next={http.request.uri_escaped}", "/app?" + long, "/login?next=/"},
		{"/login?next={http.request.uri.query.x}", "/app?x=" + long, "/login?next="},
	} {
		if got := loginURL(arriving(t, c.target), c.login); got != c.want {
			t.Errorf("login %s, GET %.60s: %.200s, want %s", c.login, c.target, got, c.want)
		}
	}
}

// Whatever the placeholder, a browser that goes where the login page is told stays on the
// site: as it is, and decoded as often as one likes.
func TestLogin_NeverLeadsAway(t *testing.T) {
	hostile := []string{
		"//evil.example", "//evil.example/x?y", "///evil.example", `/\evil.example`, `/\/evil.example`, "/%2Fevil.example", "/%2f%2fevil.example", "/%5Cevil.example", "/%255Cevil.example", "/%25252Fevil.example",
		"/%09/evil.example", "/%0d%0a/evil.example", "/%00/evil.example", "/..//evil.example", "/.//evil.example", "/x/%2e%2e//evil.example", "https:evil.example", "https:/evil.example", "https://evil.example",
		"x:/evil.example", "x://evil.example//y", "javascript:alert(1)", "http:%2F%2Fevil.example", "/?//evil.example", "/?https://evil.example", "/?next=//evil.example", `/?next=/\evil.example`,
		"/?next=%2F%2Fevil.example", "/?next=https:evil.example", "/?next=java%09script:x", "/?next=%20https://evil.example", "/?next=%0a//evil.example", "/?next=%255c%255cevil.example", "/?next=/%2Fevil.example",
	}
	placeholders := []string{
		"http.request.uri", "http.request.uri_escaped", "http.request.uri.path", "http.request.uri.path_escaped", "http.request.uri.path.file", "http.request.uri.path.dir", "http.request.uri.query",
		"http.request.uri.query_escaped", "http.request.uri.query.next", "http.request.orig_uri", "http.request.orig_uri.path", "http.request.orig_uri.path.file", "http.request.orig_uri.path.dir",
		"http.request.orig_uri.query", "http.request.header.Referer", "http.request.cookie.back", "http.request.uri.path.0", "http.unknown",
	}
	site, _ := url.Parse("https://app.example.com/login")
	for _, target := range hostile {
		for _, name := range placeholders {
			where := loginURL(arriving(t, target), "/login?next={"+name+"}")
			location, err := site.Parse(where)
			if err != nil || location.Host != site.Host || location.Path != "/login" || len(location.Query()) != 1 {
				t.Errorf("%s of %q: sent to %q", name, target, where)
				continue
			}
			for next, before := location.Query().Get("next"), ""; next != before; before, next = next, unescapeOnce(next) {
				to, err := site.Parse(asBrowser(next))
				if err != nil { // a=b:c is no scheme to a browser, and an error to Go
					to, err = site.Parse("./" + asBrowser(next))
				}
				if err != nil || to.Host != site.Host || to.Scheme != site.Scheme {
					t.Errorf("%s of %q: sent to %q, and from there to %q", name, target, where, next)
				}
			}
		}
	}
}

func unescapeOnce(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// asBrowser does to a URL what browsers do before they look at it, and Go does not.
func asBrowser(s string) string {
	return strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/").Replace(strings.TrimLeft(s, " \x00"))
}
