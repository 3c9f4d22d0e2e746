package identity

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/internal/pathpattern"
	"authsidecar/sessions/urlpath"
	"authsidecar/sessions/urlpath/pathtest"
)

// caddyMatches asks Caddy's own matcher for a path.
func caddyMatches(matcher caddyhttp.MatchPath, p string) bool {
	r := requestOf("/", nil)
	r.URL = &url.URL{Path: p}
	return matcher.Match(r)
}

// FuzzPatterns: canonical paths are compared as Caddy's own path matcher does.
func FuzzPatterns(f *testing.F) {
	patterns := []string{"*", "/", "/*", "/a", "/A/*", "*.css", "*secret*", "/users/*/password", "/*/b*", "/[ab]c", `/a\*b`, "/a?c", "/stra\u00dfe/*", "*/", "/a/", "**", "/**"}
	for _, pattern := range patterns {
		f.Add(pattern, strings.ReplaceAll(pattern, "*", "x"))
		f.Add(pattern, "/")
	}
	f.Fuzz(func(t *testing.T, pattern, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !urlpath.Canonical(u) || strings.ContainsAny(pattern, "%{}") || strings.Contains(pattern, "//") {
			return
		}
		want := caddyMatches(caddyhttp.MatchPath{strings.ToLower(pattern)}, u.Path)
		if got := pathpattern.New([]string{pattern}).Match(u.Path); got != want {
			t.Errorf("%q matches %q: %t, and %t for Caddy", pattern, target, got, want)
		}
	})
}

// FuzzDeny: what Caddy's own path matcher finds is denied, and what any server that we
// know reads as such a path, whatever else is.
func FuzzDeny(f *testing.F) {
	for _, target := range append(variants, "/billing/pay", "/billing%2fpay", "//billing/", "/x/../billing/a;b", "x:billing", "/%zz", "*") {
		f.Add(target)
	}
	patterns := []string{"/billing/*", "/account/delete", "*.bak", "*secret*", "/users/*/password", "/billing.php"}
	guard, matcher := NewPathGuard(patterns), append(caddyhttp.MatchPath{}, patterns...)
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := requestOf("/", nil)
		r.URL = u
		if guard.Denies(r) {
			return
		}
		for _, server := range slices.Concat(pathtest.Servers, pathtest.Folding) {
			read := server.Read(u.EscapedPath())
			for _, p := range []string{read, read + "/", strings.TrimSuffix(read, "/")} {
				if caddyMatches(matcher, p) {
					t.Errorf("%q passes, and is read as %q by %s", target, read, server.Name)
				}
			}
		}
	})
}

// FuzzExempt: what is exempt is so for any server that we know.
func FuzzExempt(f *testing.F) {
	for _, target := range variants {
		f.Add(target)
	}
	patterns := []string{"/public/*", "/login", "*.css", "/users/*/avatar"}
	exempt, matcher := exemptPath{pathpattern.New(patterns)}, append(caddyhttp.MatchPath{}, patterns...)
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := requestOf("/", nil)
		r.URL = u
		if !exempt.exempts(r) {
			return
		}
		for _, server := range slices.Concat(pathtest.Servers, pathtest.Folding) {
			read := server.Read(u.EscapedPath())
			if read == u.EscapedPath() { // where it is not decoded
				read = u.Path
			}
			if !caddyMatches(matcher, read) {
				t.Errorf("%q is exempt, and read as %q by %s", target, read, server.Name)
			}
		}
	})
}

// variants are what servers read in several ways, and canonical paths.
var variants = []string{
	"/public/x", "/public/", "//public/admin", "/admin/../public/x", "/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "/public/..;/admin", `/public/..\admin`,
	"/public%2Fx", "/public/%252e%252e/admin", "/public/x%00", "/login;x", "/login%20", "/login.", "/admin.php/x.css", "/admin.phpx.css", "/admin%3Fx.css", "/admin#x.css", "/admin;x.css",
	"/public/M%C3%A4rz%202026.pdf", "/public/%EF%BC%8F..%EF%BC%8Fadmin", "/public/..%EF%BC%8F..%EF%BC%8Fadmin", "/public/%E2%80%A5/admin", "/users/a%40b/avatar", "/users/a/b%2Favatar", "//x/login",
	"/account/delete%E2%80%8B", "/%EF%BC%A2illing/x", "/billing.php/x", "/x.cgi/y.css", `/\x/login`,
}
