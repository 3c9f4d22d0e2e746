package identity

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/internal/pathpattern"
)

func requestOf(target string, original *url.URL) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL, _ = url.ParseRequestURI(target)
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	if original != nil {
		ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, http.Request{URL: original})
	}
	return r.WithContext(ctx)
}

func TestDeny_PathsInEverySpelling(t *testing.T) {
	guard := NewPathGuard([]string{"/Billing/*", "/account/delete", "*.bak", "/users/*/password", "/straße", "/billing.php", "/pay.pl"})
	for _, c := range []struct {
		name, target string
		denied       bool
	}{
		{"below a guarded folder", "/billing/pay", true},
		{"the folder itself, with its slash", "/billing/", true},
		{"the folder itself, without", "/billing", true},
		{"deep below it", "/billing/a/b/c", true},
		{"another that begins like it", "/billings", false},
		{"a guarded path", "/account/delete", true},
		{"with a slash", "/account/delete/", true},
		{"with a query", "/account/delete?x=y", true},
		{"below a guarded path", "/account/delete/x", false},
		{"with a format", "/account/delete.json", true},
		{"a guarded folder with a format", "/billing.json", true},
		{"what a star stands for, with a format", "/users/7/password.xml", true},
		{"another that begins like it and has a format", "/billings.json", false},
		{"a guarded script", "/billing.php", true},
		{"what follows a guarded script", "/billing.php/x", true},
		{"what follows a guarded file", "/pay.pl/x", true},
		{"beside a guarded file", "/pay.plx", false},
		{"above it", "/account", false},
		{"in capitals", "/ACCOUNT/Delete", true},
		{"an ending", "/dump.bak", true},
		{"an ending with a slash", "/dump.bak/", true},
		{"an ending and a parameter", "/dump.bak;v=1", true},
		{"a star in the middle", "/users/7/password", true},
		{"which is for one segment", "/users/7/8/password", false},
		{"letters beyond ASCII", "/stra%C3%9Fe", true},
		{"letters beyond ASCII, in capitals", "/STRA%E1%BA%9EE", true},
		{"doubled slashes", "//billing//pay", true},
		{"a doubled slash in a guarded path", "/account//delete", true},
		{"dots", "/x/../account/./delete", true},
		{"encoded letters", "/%62illing/pay", true},
		{"encoded dots", "/x/%2e%2e/billing/pay", true},
		{"an encoded slash", "/account%2Fdelete", true},
		{"an encoded slash, twice", "/account%252Fdelete", true},
		{"encoded dots, twice", "/x/%252e%252e/account/delete", true},
		{"a backslash", "/account%5Cdelete", true},
		{"a backslash as it is", `/account\delete`, true},
		{"a parameter", "/account;x/delete", true},
		{"a parameter at the end", "/account/delete;jsessionid=1", true},
		{"a parameter behind dots", "/x/..;/account/delete", true},
		{"an encoded blank", "/account/delete%20", true},
		{"a tab", "/account/%09delete", true},
		{"a NUL", "/account/delete%00.css", true},
		{"an encoded question mark", "/account/delete%3Fx", true},
		{"an encoded hash", "/account/delete%23x", true},
		{"a dot at the end", "/account/delete.", true},
		{"wide letters", "/%EF%BC%A2illing/pay", true},
		{"a zero-width letter", "/account/de%E2%80%8Blete", true},
		{"an absolute URL", "http://a.example.com/account/delete", true},
		{"another scheme", "x:account/delete", true},
		{"another scheme, encoded", "x:account%2fdelete", true},
		{"something else", "/app", false},
		{"the root", "/", false},
		{"a name with blanks and letters beyond ASCII", "/M%C3%A4rz%202026.pdf", false},
		{"an address", "/users/alice%40example.com", false},
		{"the server itself", "*", true},
		{"a host that some apps read", "//x/app", true},
		{"what some apps read as another path", "/app//../x", true},
		{"the same, encoded", "/app%2Fx", true},
		{"the same, encoded twice", "/app%252Fx", true},
		{"a parameter of another path", "/app;x", true},
		{"what follows any script", "/index.php/app", true},
	} {
		if got := guard.Denies(requestOf(c.target, nil)); got != c.denied {
			t.Errorf("%s: %s denied: %t, want %t", c.name, c.target, got, c.denied)
		}
	}
}

func TestDeny_TheRootIsNotAllBelowIt(t *testing.T) {
	for pattern, want := range map[string]map[string]bool{
		"/":    {"/": true, "/a": false, "/a.b": false, "/.well-known/x": false},
		"/*":   {"/": true, "/a": true},
		"*":    {"/": true, "/a": true},
		"/a/":  {"/": false, "/a": true, "/a/": true, "/a.json": true, "/a/b": false},
		"*/b*": {"/a/b": true, "/a/c": false},
	} {
		guard := NewPathGuard([]string{pattern})
		for target, denied := range want {
			if guard.Denies(requestOf(target, nil)) != denied {
				t.Errorf("deny %s, %s: %t", pattern, target, !denied)
			}
		}
	}
}

func TestDeny_WhatWasRewrittenBefore(t *testing.T) {
	guard := NewPathGuard([]string{"/billing/*"})
	for _, c := range []struct {
		name, came, is string
		denied         bool
	}{
		{"away from a guarded path", "/billing/pay", "/index.php", true},
		{"to a guarded path", "/b/pay", "/billing/pay", true},
		{"from and to others", "/b/pay", "/c/pay", false},
	} {
		came, _ := url.Parse(c.came)
		if got := guard.Denies(requestOf(c.is, came)); got != c.denied {
			t.Errorf("%s: %t, want %t", c.name, got, c.denied)
		}
	}
}

func TestDeny_WhatWasRewrittenFromAVariant(t *testing.T) {
	guard := NewPathGuard([]string{"/billing/*"})
	came, _ := url.ParseRequestURI("/app//x")
	if !guard.Denies(requestOf("/app/x", came)) || !guard.Denies(requestOf("/app//x", requestOf("/app/x", nil).URL)) {
		t.Error("a variant passes")
	}
	encoded, _ := url.ParseRequestURI("/app%2Fx")
	if !guard.Denies(requestOf("/app/x", encoded)) {
		t.Error("a variant passes that was decoded since")
	}
	if guard.Denies(requestOf("/app/x?y", requestOf("/api/app/x?y", nil).URL)) {
		t.Error("a canonical path does not pass")
	}
}

// WebDAV names a second path in a header.
func TestDeny_WhereWebDAVCopiesTo(t *testing.T) {
	guard := NewPathGuard([]string{"/private/*"})
	for destination, denied := range map[string]bool{
		"https://app.example.com/files/x": false, "/files/x": false, "https://app.example.com/private/x": true, "/private/x": true, "/files/../private/x": true, "": true, "//x/y": false, "://": true,
	} {
		r := requestOf("/files/a", nil)
		r.Header.Set("Destination", destination)
		if got := guard.Denies(r); got != denied {
			t.Errorf("to %q: denied: %t, want %t", destination, got, denied)
		}
	}
}

func TestDeny_DoesNotAllocateForCanonicalPaths(t *testing.T) {
	guard := NewPathGuard([]string{"/billing/*", "/account/delete", "/admin/*"})
	r := requestOf("/api/v1/items/4711?page=2", nil)
	if n := testing.AllocsPerRun(100, func() { guard.Denies(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDeny_NothingWithoutAWord(t *testing.T) {
	if NewPathGuard(nil).Denies(requestOf("/", nil)) {
		t.Error("denied")
	}
}

// Spellings may be mixed as one likes.
func TestDeny_AnyMixOfSpellings(t *testing.T) {
	guard := NewPathGuard([]string{"/account/delete"})
	random := rand.New(rand.NewPCG(4, 7))
	spell := []func(string) string{
		func(c string) string { return c },
		strings.ToUpper,
		func(c string) string { return fmt.Sprintf("%%%02X", c[0]) },
		func(c string) string { return fmt.Sprintf("%%25%02x", c[0]) },
		func(c string) string { return fmt.Sprintf("%%2525%02x", c[0]) },
		func(c string) string { return c + "%09" },
		func(c string) string { return map[bool]string{true: "//", false: c}[c == "/"] },
		func(c string) string { return map[bool]string{true: "/./", false: c}[c == "/"] },
		func(c string) string { return map[bool]string{true: ";a=b/", false: c}[c == "/"] },
		func(c string) string { return map[bool]string{true: "/x/%2e%2e/", false: c}[c == "/"] },
	}
	for range 5000 {
		target := "/"
		for _, c := range "account/delete" {
			target += spell[random.IntN(len(spell))](string(c))
		}
		if !guard.Denies(requestOf(target, nil)) {
			t.Fatalf("%s passes", target)
		}
	}
}

func TestExempt_OnlyCanonicalPaths(t *testing.T) {
	exempt := exemptPath{pathpattern.New([]string{"/public/*", "/login", "*.css"})}
	for target, want := range map[string]bool{
		"/public/x": true, "/public/": true, "/login": true, "/LOGIN": true, "/a.css": true, "/public/M%C3%A4rz%202026.pdf": true, "/public/a%40b": true,
		"/public": false, "/login/": false, "/": false, "//public/x": false, "/public//x": false, "/admin/../public/x": false, "/public/./x": false, "/%70ublic/x": false, "/public/a%2Fb": false,
		"/public/a;b": false, "/admin.php/x.css": false, "/admin.cgi/x.css": false, "/public/..%EF%BC%8F..%EF%BC%8Fadmin": false, "http:login": false, "*": false,
	} {
		if got := exempt.exempts(requestOf(target, nil)); got != want {
			t.Errorf("%s exempt: %t, want %t", target, got, want)
		}
	}
	came, _ := url.ParseRequestURI("//public/x")
	if exempt.exempts(requestOf("/public/x", came)) {
		t.Error("exempt by what a variant was rewritten to")
	}
	copied := requestOf("/public/x", nil)
	copied.Header.Set("Destination", "/admin/x")
	if exempt.exempts(copied) {
		t.Error("exempt, and copies to another path")
	}
}

// BenchmarkDeny is what an impersonated request for a plain path pays.
func BenchmarkDeny(b *testing.B) {
	guard := NewPathGuard([]string{"/billing/*", "/account/delete", "/admin/*"})
	r := requestOf("/api/v1/items/4711?page=2", nil)
	b.ReportAllocs()
	for b.Loop() {
		if guard.Denies(r) {
			b.Fatal("denied")
		}
	}
}
